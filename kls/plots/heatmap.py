"""Mean scores over two settings as heat maps, one panel for each value of a third."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from kls.plots.style import (
    LABEL_SIZE,
    SKY_BLUE,
    SMALL_SIZE,
    figure_style,
    new_figure,
    save,
    set_title,
    wrap_title,
)

MOST_PANELS = 6

_SHADES = LinearSegmentedColormap.from_list("shades", ["#FFFFFF", SKY_BLUE])  # black is readable on all
_CELL_WIDTH, _CELL_HEIGHT = 0.95, 0.6
_PANELS_A_ROW = 3


@dataclass(frozen=True)
class HeatPanel:
    """Means (r, c), NaN in a cell without runs, and numbers of runs (r, c)."""

    title: str
    means: np.ndarray
    counts: np.ndarray


def plot_heatmap(
    panels: Sequence[HeatPanel], rows: tuple[str, Sequence[str]], columns: tuple[str, Sequence[str]], score: str,
    path: Path, title: str,
) -> None:  # fmt: skip
    """Write the figure of `heatmap_figure` to `path` as PNG."""
    save(heatmap_figure(panels, rows, columns, score, title), path)


@figure_style()
def heatmap_figure(
    panels: Sequence[HeatPanel], rows: tuple[str, Sequence[str]], columns: tuple[str, Sequence[str]], score: str,
    title: str,
) -> Figure:  # fmt: skip
    """Figure of the panels, which share one colour scale; a darker cell has a larger mean.

    `rows` and `columns` are each the name of a setting and its values. A cell shows its mean with two decimals
    and its number of runs; one without runs is empty. `score` labels the colour scale.

    Raises ValueError if there is no panel, more than `MOST_PANELS`, or one of another shape than the labels.
    """
    shape = (len(rows[1]), len(columns[1]))
    if not 1 <= len(panels) <= MOST_PANELS or any(p.means.shape != shape or p.counts.shape != shape for p in panels):
        raise ValueError(f"{len(panels)} panels; there must be 1 to {MOST_PANELS}, each with {shape} cells")
    down = math.ceil(len(panels) / _PANELS_A_ROW)
    across = math.ceil(len(panels) / down)
    panel_width = max(_CELL_WIDTH * shape[1], 2.2)
    figure = new_figure(panel_width * across + 2.4, (_CELL_HEIGHT * shape[0] + 0.9) * down + 0.7)
    grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    means = np.stack([panel.means for panel in panels])
    finite = means[np.isfinite(means)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    for axes, panel in zip(grid.flat, panels, strict=False):
        image = axes.imshow(
            panel.means, cmap=_SHADES, vmin=low, vmax=max(high, low + 1e-9), interpolation="nearest", aspect="auto"
        )
        _write_cells(axes, panel)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        axes.set_title(wrap_title(panel.title, panel_width), fontsize=LABEL_SIZE, parse_math=False)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_yticks(range(shape[0]), rows[1], parse_math=False)
        axes.set_ylabel(rows[0], parse_math=False)
    for place, axes in enumerate(grid.flat[: len(panels)]):
        if place + across >= len(panels):  # nothing below it
            axes.set_xticks(range(shape[1]), columns[1], parse_math=False)
            axes.tick_params(labelbottom=True)
            axes.set_xlabel(columns[0], parse_math=False)
    bar = figure.colorbar(image, ax=grid, shrink=0.9, pad=0.02)
    bar.set_label(score)
    bar.outline.set_visible(False)
    set_title(figure, title)
    return figure


def _write_cells(axes: Axes, panel: HeatPanel) -> None:
    for (row, column), mean in np.ndenumerate(panel.means):
        if not np.isfinite(mean):
            continue
        axes.annotate(
            f"{mean:.2f}", (column, row), xytext=(0.0, 1.0), textcoords="offset points", fontsize=LABEL_SIZE,
            horizontalalignment="center", verticalalignment="bottom",
        )  # fmt: skip
        axes.annotate(
            f"n={panel.counts[row, column]}", (column, row), xytext=(0.0, -1.0), textcoords="offset points",
            fontsize=SMALL_SIZE, horizontalalignment="center", verticalalignment="top",
        )  # fmt: skip
