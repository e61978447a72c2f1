"""A score, a difference, or the best value of a setting, against another setting: seeds, means and intervals."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator

from kls.plots.colours import BLACK, GREY, LIGHT_GREY, MARKERS, PALETTE
from kls.plots.style import PNG, Band, draw_band, figure_style, limits, new_figure, save, set_rows, set_x_axis, wrap

MOST_SERIES = len(PALETTE)  # more do not all look different
_FEW = 8  # dots, drawn larger


class Point(NamedTuple):
    """Values of seeds (n,), n >= 0, at x (a number, or that of a row), their mean, and its interval, NaN if unknown."""

    x: float
    values: np.ndarray
    mean: float
    low: float = np.nan
    high: float = np.nan


class Series(NamedTuple):
    """Points of one colour, and a fitted line through points at numbers; label "" if there is one series only."""

    label: str
    points: Sequence[Point]
    line: Band | None = None


@figure_style()
def plot_intervals(
    series: Sequence[Series], x_label: str, y_label: str, path: Path, title: str, formats: Sequence[str] = PNG, *,
    log_x: bool = False, log_y: bool = False, dot: str = "one seed", mean: str = "mean and 95 % interval",
    line: str = "fitted line and 95 % interval", rows: Sequence[tuple[str, str]] = (), farthest: float = np.inf,
) -> None:  # fmt: skip
    """Write a figure with a dot for each seed, side by side, and among them the mean with its interval.

    Series that share a place stand side by side. Means at numbers are joined if the series has no fitted line.
    `rows`, names of rows from the top with texts at their ends, turn the figure: values are then on its x axis.
    Intervals that would squeeze everything else, and values farther from 0 than `farthest`, are arrows at the edge.
    dot, mean and line explain the marks in the legend.
    """
    points, flat = [point for one in series for point in one.points], bool(rows)
    owners = np.repeat(np.arange(len(series)), [len(one.points) for one in series])
    x = np.array([point.x for point in points], dtype=np.float64)
    figure = new_figure()
    axes = figure.subplots()
    if flat:
        together = max(int((x == place).sum()) for place in x)
        set_rows(figure, [name for name, _ in rows], [text for _, text in rows], 0.14 + 0.14 * together)
        axes.hlines(np.unique(x)[1:] - 0.5, 0, 1, transform=axes.get_yaxis_transform(), color=LIGHT_GREY, linewidth=0.6)
    else:
        set_x_axis(axes, x, log_x, padding=0.15)
    low, high = np.clip(_value_limits(points, log_y), -farthest, farthest)
    axes.set(**{f"{'x' if flat else 'y'}scale": "log" if log_y else "linear"})
    axes.set(**{f"{'x' if flat else 'y'}lim": (low, high)})
    if low < 0.0 < high:
        (axes.axvline if flat else axes.axhline)(0.0, color=BLACK, linewidth=1.0)
    if log_y:
        axis = axes.xaxis if flat else axes.yaxis
        axis.set(major_locator=LogLocator(subs=(1.0, 2.0, 5.0)), major_formatter="{x:g}", minor_formatter="")
    ends = np.full(x.shape, low)
    corners = np.stack([ends, x] if flat else [x, ends], axis=1)
    shares = (axes.transScale + axes.transLimits).transform(corners)[:, int(flat)]
    gap = np.diff(np.unique(shares)).min(initial=0.5)
    for number, one in enumerate(series):
        present = [owners[x == place] for place in x[owners == number]]  # series at each place
        counts = np.array([owner.size for owner in present])
        widths = (0.8 * gap if flat else np.minimum(min(0.4 * gap, 0.2), 0.1 * counts)) / counts
        order = np.array([(own < number).sum() + 0.5 - own.size / 2.0 for own in present])
        at = shares[owners == number] + widths * (-order if flat else order)
        look: dict[str, Any] = {"color": PALETTE[number % MOST_SERIES], "marker": MARKERS[number % MOST_SERIES]}
        look["linestyle"] = "" if flat or one.line is not None else "-"
        axes.plot([], [], **look, markersize=7.0, label=one.label if one.points else "")
        _draw(axes, one.points, at, widths, look, flat)
        if one.line is not None:
            draw_band(axes, one.line, look["color"], line)
    axes.plot([], [], "o", color=GREY, markersize=4.0, label=dot * any(point.values.size for point in points))
    mean *= any(point.low <= point.high for point in points)
    axes.errorbar([], [], yerr=[], color=GREY, marker="" if len(series) > 1 else "o", linestyle="", label=mean)
    axes.set(xlabel=wrap(y_label if flat else x_label, 4.0), ylabel=wrap(x_label, 1.4) if flat else wrap(y_label, 3.0))
    save(figure, path, title, formats)


def _value_limits(points: Sequence[Point], log: bool) -> tuple[float, float]:
    """Limits that hold all dots and means, and intervals up to once the range of these to both sides."""
    scale = np.log10 if log else np.asarray
    values = scale(np.concatenate([[point.mean, *point.values] for point in points]))
    ends = scale(np.array([end for point in points for end in (point.low, point.high) if end > 0.0 or not log]))
    values = values[np.isfinite(values)]
    reach = float(np.ptp(values)) or np.inf
    ends = np.clip(ends[np.isfinite(ends)], values.min() - reach, values.max() + reach)
    low, high = limits(np.concatenate([values, ends]))
    return (10.0**low, 10.0**high) if log else (low, high)


def _draw(
    axes: Axes, points: Sequence[Point], at: np.ndarray, widths: np.ndarray, look: dict[str, Any], flat: bool
) -> None:
    """Dots, means and intervals around at (points,), in slots of widths (points,), both shares of the axis."""
    low, high = axes.get_xlim() if flat else axes.get_ylim()
    how = {"transform": axes.get_xaxis_transform() if flat else axes.get_yaxis_transform(), "clip_on": False}
    cap, arrows = ("|", "<>") if flat else ("_", "v^")

    def plot(place: Any, value: Any, **changes: Any) -> None:
        shown = (value >= low) & (value <= high)
        if shown.any():
            pair = (np.asarray(place)[shown], value[shown])
            axes.plot(*(pair[::-1] if flat else pair), **look | how | changes)

    plot(at, np.array([point.mean for point in points]), markersize=7.0, markeredgecolor="white", zorder=5)
    for place, width, point in zip(at, widths, points, strict=True):
        n, size = point.values.size, 4.5 if point.values.size <= _FEW else 2.5
        beside = np.r_[np.linspace(-0.45, -0.15, -(-n // 2)), np.linspace(0.15, 0.45, n // 2)]  # the mean is at 0
        plot(place + width * beside, point.values, marker="o", linestyle="", markersize=size, alpha=0.6)
        reached = np.array([point.mean, *point.values, *((point.low, point.high) if point.low <= point.high else ())])
        ends = np.clip([point.low, point.high], low, high)
        plot([place, place], ends, marker="", linestyle="-", linewidth=1.8, zorder=4)
        for side, (edge, off) in enumerate(((low, reached.min() < low), (high, reached.max() > high))):
            marker, label = (arrows[side], "goes on off the scale") if off else (cap, "")
            plot([place], np.array([edge if off else ends[side]]), marker=marker, markersize=8.0, label=label)
