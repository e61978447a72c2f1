"""Published figures beside our runs: a row a figure."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from kls.plots.style import BLACK, BLUE, LIGHT_GREY, SKY_BLUE, VERMILLION, figure_style, new_figure, save, set_title

_LABEL_CHARACTERS = 42


@dataclass(frozen=True)
class Beside:
    """A published accuracy, its sd if known, our runs (n,), where they expect a new one, and whether it is outside."""

    label: str
    published: float
    sd: float | None
    ours: np.ndarray
    expected: tuple[float, float] | None
    outside: bool


def plot_published(rows: Sequence[Beside], path: Path, title: str) -> None:
    """Write the figure of `published_figure` to `path` as PNG."""
    save(published_figure(rows, title), path)


@figure_style()
def published_figure(rows: Sequence[Beside], title: str) -> Figure:
    """Figure with a row for each figure, the first on top, accuracies in percent.

    Dots are runs, a pale bar the interval expected of a new one, a tick the mean; a diamond is the published figure,
    filled where it lies outside, with its standard deviation as a line. Raises ValueError if there is no row.
    """
    if not rows:
        raise ValueError("there are no figures to draw")
    figure = new_figure(9.0, 1.6 + 0.34 * max(len(rows), 2))
    axes = figure.subplots()
    for place, row in enumerate(rows):
        if row.expected is not None:
            low, high = np.clip(row.expected, 0.0, 100.0)
            axes.barh(
                place, high - low, left=low, height=0.5, color=SKY_BLUE, alpha=0.45,
                label="where our runs expect a new one (95 %)",
            )  # fmt: skip
        spread = place + 0.1 * np.where(np.arange(row.ours.size) % 2, 1.0, -1.0) * (row.ours.size > 1)
        axes.plot(np.sort(row.ours), spread, linestyle="", marker="o", markersize=3.6, color=BLUE, label="our runs")
        mean = float(row.ours.mean())
        axes.plot([mean, mean], [place - 0.3, place + 0.3], color=BLUE, linewidth=1.6, label="our mean")
        axes.errorbar(
            [row.published], [place], xerr=None if row.sd is None else [row.sd], linestyle="", marker="D",
            markersize=6.5, color=VERMILLION, markerfacecolor=_face(row), markeredgecolor=VERMILLION,
            markeredgewidth=1.5, zorder=5, label=_label(row),
        )  # fmt: skip
    axes.set_ylim(len(rows) - 0.4, -0.6)
    labels = [textwrap.fill(f"{row.label} (n={row.ours.size})", _LABEL_CHARACTERS) for row in rows]
    axes.set_yticks(range(len(rows)), labels, parse_math=False)
    axes.tick_params(axis="y", length=0, labelcolor=BLACK)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("Accuracy (%)")
    handles, names = axes.get_legend_handles_labels()
    unique = dict(zip(names, handles, strict=True))
    figure.legend(list(unique.values()), list(unique), loc="outside lower center", ncols=3)
    set_title(figure, title)
    return figure


def _face(row: Beside) -> str:
    if row.expected is None:
        return LIGHT_GREY
    return VERMILLION if row.outside else "white"


def _label(row: Beside) -> str:
    if row.expected is None:
        return "published, beside one run"
    return "published, outside" if row.outside else "published, inside"
