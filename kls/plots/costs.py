"""What ways of searching cost, against how far from the best their answers are: a panel a network, a mark a way."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator

from kls.plots.colours import BLACK, BLUE, GREY, SMALL_SIZE, VERMILLION
from kls.plots.style import PNG, figure_style, new_figure, save, wrap

_LEAST = 0.01  # points: less is drawn as this, for the axis is logarithmic
_LOOKS = {True: (BLUE, "o", "published"), False: (VERMILLION, "D", "other")}
_STEPS = np.arange(-24, 25) * 0.06  # inches from a mark to its name, to each side
_APART, _MARK, _GAP = 0.085, 0.045, 0.03  # inches between marks of one cost, half a mark, around a label


class Way(NamedTuple):
    """A way of searching: epochs it costs, the mean of its regret and the 95th percentile, in points."""

    name: str
    cost: float
    mean: float
    high: float
    published: bool


@figure_style()
def plot_costs(
    panels: Sequence[tuple[str, Sequence[Way]]], path: Path, title: str, formats: Sequence[str] = PNG
) -> None:
    """Write a figure of one panel for each network, all of one scale, with the names beside the marks."""
    figure = new_figure(0.2 + 3.3 * len(panels))
    ways = [way for _, own in panels for way in own]
    costs = [way.cost for way in ways]
    heights = np.maximum([(way.mean, way.high) for way in ways], _LEAST)
    for place, (network, own) in enumerate(panels):
        axes = figure.add_subplot(len(panels), 1, place + 1)
        axes.set(xscale="log", yscale="log", title=wrap(network, 4.0), ylabel="regret (points)")
        axes.set(xlim=(min(costs) / 1.5, max(costs) * 1.5), ylim=(heights.min() / 1.4, heights.max() * 1.4))
        axes.xaxis.set(major_locator=LogLocator(subs=(1.0, 2.0, 5.0)), major_formatter="{x:,g}", minor_formatter="")
        axes.yaxis.set(major_locator=LogLocator(subs=(1.0, 2.0, 5.0)), major_formatter="{x:g}", minor_formatter="")
        for published in dict.fromkeys(way.published for way in own):
            colour, sign, label = _LOOKS[published]
            axes.plot([], [], sign, color=colour, label=f"{label}: mean")
        axes.plot([], [], marker="_", linestyle="-", color=GREY, markersize=8.0, label="up to the 95th percentile")
    figure.axes[-1].set_xlabel("epochs of all runs before the confirmation")
    figure.draw_without_rendering()  # which gives the axes their places
    for axes, (_, own) in zip(figure.axes, panels, strict=True):
        _draw(axes, own)
    save(figure, path, title, formats)


def _draw(axes: Axes, ways: Sequence[Way]) -> None:
    """Marks, those of one cost side by side, and names."""
    dpi, ends = axes.figure.dpi, np.maximum([(way.mean, way.high) for way in ways], _LEAST)
    x = np.log10([way.cost for way in ways])
    inches = np.diff(axes.transData.transform([(1.0, 1.0), (10.0, 1.0)])[:, 0])[0] / dpi  # of a decade
    order = np.lexsort((ends[:, 0], x))
    for before, after in pairwise(order):
        x[after] = max(x[after], x[before] + _APART / inches)
    spots = np.stack([axes.transData.transform(np.stack([10.0**x, ends[:, i]], axis=1)) for i in (0, 1)], axis=1) / dpi
    taken = np.stack([spots.min(axis=1) - _MARK, spots.max(axis=1) + _MARK], axis=1)
    inside = axes.bbox.get_points() / dpi
    for i in order:
        colour, sign, _ = _LOOKS[ways[i].published]
        axes.plot([10.0 ** x[i]] * 2, ends[i], color=colour, linewidth=1.2, zorder=3)
        axes.plot(10.0 ** x[i], ends[i, 1], "_", color=colour, markersize=7.0, zorder=3)
        axes.plot(10.0 ** x[i], ends[i, 0], sign, color=colour, markersize=6.0, markeredgecolor="white", zorder=4)
    for i in order:
        text = axes.text(0.0, 0.0, wrap(ways[i].name, 2.5, SMALL_SIZE), fontsize=SMALL_SIZE, color=BLACK, zorder=5)
        extent = text.get_window_extent()
        size = np.array([extent.width, extent.height]) / dpi
        text.remove()
        corner, tip = _free_place(spots[i, 0], size, taken, i, inside)
        taken = np.concatenate([taken, [[corner, corner + size]]])
        offset = 72.0 * (corner - spots[i, 0])
        far = np.abs(tip - spots[i, 0]).max() > _MARK
        arrow = {"arrowstyle": "-", "color": GREY, "linewidth": 0.6, "shrinkA": 0.0, "shrinkB": 3.0}
        axes.annotate(
            text.get_text(), (10.0 ** x[i], ends[i, 0]), offset, textcoords="offset points", fontsize=SMALL_SIZE,
            arrowprops=arrow | {"relpos": tuple((tip - corner) / size)} if far else None, zorder=5,
        )  # fmt: skip


def _free_place(
    mark: np.ndarray, size: np.ndarray, taken: np.ndarray, own: int, inside: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The lower left corner (2,) of a label that overlaps nothing, as near to its mark as can be, and its end there.

    All in inches; taken: lower left and upper right corners (m, 2, 2) of what is there, ``own`` that of the mark;
    inside (2, 2): those of the panel. Where no place is free, the label is to the right of its mark.
    """
    dx, dy = (steps.ravel() for steps in np.meshgrid(_STEPS, _STEPS))
    aligned = np.where(dx < 0.0, size[0], np.where(dx > 0.0, 0.0, size[0] / 2))
    corners = mark + np.stack([dx - aligned, dy - size[1] / 2], axis=1)
    tips = np.clip(mark, corners, corners + size)
    overlap = (corners[:, None] - _GAP < taken[:, 1]) & (corners[:, None] + size + _GAP > taken[:, 0])
    free = ~overlap.all(axis=2).any(axis=1) & ((corners >= inside[0]) & (corners + size <= inside[1])).all(axis=1)
    lengths, others = np.hypot(*(tips - mark).T), np.delete(taken, own, axis=0)
    for i in np.flatnonzero(free)[np.argsort(lengths[free], kind="stable")]:
        leader = mark + np.linspace(0.0, 1.0, 30)[:, None] * (tips[i] - mark)
        crossed = (leader[:, None] > others[:, 0]) & (leader[:, None] < others[:, 1])
        if not crossed.all(axis=2).any():
            return corners[i], tips[i]
    return mark + np.array([2 * _MARK, -size[1] / 2]), mark
