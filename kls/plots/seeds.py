"""Spread over seeds: a box for each group of runs, with a point for each run."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from kls.plots.style import BLACK, BLUE, SKY_BLUE, VERMILLION, figure_style, new_figure, save, set_title

MOST_BOXES = 20

_LABEL_CHARACTERS = 44


def plot_seeds(groups: Sequence[tuple[str, np.ndarray]], score: str, path: Path, title: str) -> None:
    """Write the figure of `seeds_figure` to `path` as PNG."""
    save(seeds_figure(groups, score, title), path)


@figure_style()
def seeds_figure(groups: Sequence[tuple[str, np.ndarray]], score: str, title: str) -> Figure:
    """Figure with a horizontal box for each group, the first on top; `groups` holds labels and
    scores (n,), finite.

    A box spans the quartiles (linear interpolation), its line is the median, its whiskers end at the smallest
    and the largest score; a diamond is the mean. The points of a group lie on its box, one a run.

    Raises ValueError if there is no group, an empty one, or more than `MOST_BOXES`.
    """
    if not 1 <= len(groups) <= MOST_BOXES or any(values.size == 0 for _, values in groups):
        raise ValueError(f"{len(groups)} groups; there must be 1 to {MOST_BOXES}, each with one score at least")
    all_values = [values for _, values in groups]
    figure = new_figure(9.0, 1.5 + 0.45 * max(len(groups), 2))
    axes = figure.subplots()
    boxes = axes.boxplot(
        all_values, positions=range(len(groups)), orientation="horizontal", widths=0.6, whis=(0, 100),
        showfliers=False, manage_ticks=False, patch_artist=True,
        boxprops={"facecolor": SKY_BLUE, "edgecolor": BLUE, "linewidth": 0.9, "alpha": 0.55},
        medianprops={"color": BLACK, "linewidth": 1.6},
        whiskerprops={"color": BLUE, "linewidth": 0.9},
        capprops={"color": BLUE, "linewidth": 0.9},
    )  # fmt: skip
    boxes["boxes"][0].set_label("quartiles and median; whiskers: smallest and largest")
    for row, values in enumerate(all_values):
        spread = row + 0.16 * np.where(np.arange(values.size) % 2, 1.0, -1.0) * (values.size > 1)
        label = "one run" if row == 0 else ""
        axes.plot(
            np.sort(values), spread, linestyle="", marker="o", markersize=4.0, color=BLUE, alpha=0.85,
            zorder=4, label=label,
        )  # fmt: skip
    means = [float(values.mean()) for values in all_values]
    axes.plot(
        means, range(len(groups)), linestyle="", marker="D", markersize=6.0, color=VERMILLION,
        markeredgecolor="white", markeredgewidth=0.8, zorder=5, label="mean",
    )  # fmt: skip
    axes.set_ylim(len(groups) - 0.4, -0.6)
    names = [textwrap.fill(f"{label} (n={values.size})", _LABEL_CHARACTERS) for label, values in groups]
    axes.set_yticks(range(len(groups)), names, parse_math=False)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(score)
    figure.legend(loc="outside lower center", ncols=3)
    set_title(figure, title)
    return figure
