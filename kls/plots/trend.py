"""A score, a gain, or the best value of a setting, against another setting."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kls.plots.style import BLUE, GREY, SKY_BLUE, VERMILLION, figure_style, new_figure, save, set_title

_DECADE = 10.0
_MOST_CHARACTERS = 70  # of all labels in a row


@dataclass(frozen=True)
class TrendPoint:
    """One value of the setting: values of runs (n,), their centre, and the ends of its interval, NaN if unknown."""

    label: str
    values: np.ndarray
    centre: float
    low: float
    high: float


@dataclass(frozen=True)
class TrendAxes:
    """What the axes show.

    Attributes:
        x: places of the points (n,), logarithmic where all are above 0 and span a decade; evenly spaced if None.
        setting, score: labels.
        best: whether the points are best values of a setting, on a logarithmic axis, and not means.
    """

    x: np.ndarray | None
    setting: str
    score: str
    best: bool = False


def plot_trend(points: Sequence[TrendPoint], along: TrendAxes, path: Path, title: str) -> None:
    """Write the figure of `trend_figure` to `path` as PNG."""
    save(trend_figure(points, along, title), path)


@figure_style()
def trend_figure(points: Sequence[TrendPoint], along: TrendAxes, title: str) -> Figure:
    """Figure with a dot for each run, a diamond for each centre, and a bar for each interval that is known.

    A line marks 0 where the axis holds it. Raises ValueError if there is no point, or x has another length.
    """
    if not points or (along.x is not None and along.x.shape != (len(points),)):
        raise ValueError(f"{len(points)} points at {None if along.x is None else along.x.shape} places")
    figure = new_figure(8.5, 4.2)
    axes = figure.subplots()
    places = np.arange(len(points), dtype=np.float64) if along.x is None else along.x
    sizes = [point.values.size for point in points]
    axes.plot(
        np.repeat(places, sizes), np.concatenate([point.values for point in points]), linestyle="", marker="o",
        markersize=4.5, color=SKY_BLUE, markeredgecolor=BLUE, markeredgewidth=0.6, alpha=0.8,
        label=("best of one seed" if along.best else "one seed") if any(sizes) else "",
    )  # fmt: skip
    centres = np.array([point.centre for point in points])
    axes.plot(
        places, centres, color=VERMILLION, linestyle="" if along.x is None else "-", marker="D", markersize=6,
        markeredgecolor="white", markeredgewidth=0.8, zorder=4,
        label="best by the mean over seeds" if along.best else "mean",
    )  # fmt: skip
    known = np.array([np.isfinite(point.low) and np.isfinite(point.high) for point in points])
    if known.any():
        ends = np.array([[p.centre - p.low, p.high - p.centre] for p, k in zip(points, known, strict=True) if k]).T
        axes.errorbar(
            places[known], centres[known], yerr=ends, linestyle="", color=VERMILLION, capsize=3.5, linewidth=1.3,
            zorder=3, label="95 % interval of the mean",
        )  # fmt: skip
    if along.best and (centres > 0.0).all():
        axes.set_yscale("log")
    low, high = axes.get_ylim()
    if low <= 0.0 <= high:
        axes.axhline(0.0, color=GREY, linewidth=0.9)
    _set_places(axes, points, along)
    axes.set_ylabel(along.score, parse_math=False)
    figure.legend(loc="outside lower center", ncols=3)
    set_title(figure, title)
    return figure


def _set_places(axes: Axes, points: Sequence[TrendPoint], along: TrendAxes) -> None:
    if along.x is None:
        axes.set_xticks(range(len(points)), [point.label for point in points], parse_math=False)
        axes.set_xlim(-0.6, len(points) - 0.4)
        if sum(len(point.label) for point in points) > _MOST_CHARACTERS:
            axes.tick_params(axis="x", labelrotation=25)
    elif (along.x > 0.0).all() and along.x.max() / along.x.min() >= _DECADE:
        axes.set_xscale("log")
    axes.set_xlabel(along.setting, parse_math=False)
