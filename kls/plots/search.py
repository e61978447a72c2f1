"""A search: the score of each trial against the settings that were searched, a panel for each setting and budget."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from kls.plots.colours import BLACK, GREY, MARKERS, PALETTE, SKY_BLUE, SMALL_SIZE, VERMILLION, YELLOW
from kls.plots.style import PNG, Band, draw_band, figure_style, limits, new_figure, save, set_x_axis, wrap

MOST_PANELS = 8
_MANY_POINTS, _MOST_DRAWN = 500, 5_000
_OUTLIER_FACTOR = 3.0  # of the interquartile range


class Mark(NamedTuple):
    """A point with the text that explains it in the legend, and the ends of its interval, NaN if unknown."""

    x: float
    y: float
    text: str
    low: float = np.nan
    high: float = np.nan


class Peak(NamedTuple):
    """The best point of a smooth curve with the interval of its place, and the values that cannot be told from it."""

    x: float
    y: float
    low: float
    high: float
    flat_low: float
    flat_high: float


class SearchPanel(NamedTuple):
    """Trials of one budget, such as "10 epochs" (the panel's title), against one setting (its x axis).

    Setting x, score y, the name of the stage, and which diverged (bool) are of shape (n,), n >= 1. intervals: what
    stages searched. best is the best trial; confirmed the mean of the confirmation, whose text names its budget; curve
    the smooth curve, peak its best point.
    """

    setting: str
    log: bool
    budget: str
    x: np.ndarray
    y: np.ndarray
    stage: np.ndarray
    diverged: np.ndarray
    intervals: Mapping[str, tuple[float, float]]
    best: Mark | None = None
    confirmed: Mark | None = None
    curve: Band | None = None
    peak: Peak | None = None


@figure_style()
def plot_search(
    panels: Sequence[SearchPanel], score_label: str, path: Path, title: str, formats: Sequence[str] = PNG, *,
    lower_is_better: bool = False,
) -> None:  # fmt: skip
    """Write a figure of 1 to `MOST_PANELS` panels, two in a row, each with its own scale of the score.

    A bar at the bottom spans the interval that a stage searched. Diverged trials are crosses. Trials so bad that they
    would squeeze the others, and those that are not finite, are arrows on the edge of the panel, with their number.
    """
    rows = -(-len(panels) // 2)
    figure = new_figure(0.2 + 2.5 * rows)
    stages = list(dict.fromkeys(name for panel in panels for name in panel.stage))
    for place, panel in enumerate(panels):
        axes = figure.add_subplot(rows, min(len(panels), 2), place + 1)
        axes.set_ylim(*_score_limits(panel, lower_is_better))
        hidden = _draw_trials(axes, panel, stages, "^" if lower_is_better else "v")
        axes.set_title(f"{hidden} off the scale" * bool(hidden), loc="right", size=SMALL_SIZE, weight="normal")
        axes.set(title=wrap(panel.budget, 2.0), xlabel=wrap(panel.setting, 3.0), ylabel=wrap(score_label, 2.4))
    save(figure, path, title, formats)


def _score_limits(panel: SearchPanel, lower_is_better: bool) -> tuple[float, float]:
    """Limits that hold the marks and all finite scores but those far on the bad side of the middle half."""
    scores = panel.y[np.isfinite(panel.y)]
    if scores.size:
        lower, upper = np.percentile(scores, (25, 75))
        reach = _OUTLIER_FACTOR * (upper - lower) or np.inf
        scores = scores[scores <= upper + reach] if lower_is_better else scores[scores >= lower - reach]
    ends = np.array([(mark.low, mark.y, mark.high) for mark in (panel.best, panel.confirmed) if mark is not None])
    low, high = limits(np.concatenate([scores, ends[np.isfinite(ends)]]))
    return low - 0.05 * len(set(panel.stage)) * (high - low), high  # room for the bars


def _draw_trials(axes: Axes, panel: SearchPanel, stages: Sequence[str], arrow: str) -> int:
    """Draw the trials, the curve and the marks; returns how many trials are off the scale."""
    marks = [(panel.best, "*", YELLOW, 16.0), (panel.confirmed, "D", VERMILLION, 6.0)]
    places = [mark.x for mark, *_ in marks if mark is not None]
    set_x_axis(axes, np.r_[panel.x, places, np.ravel([*panel.intervals.values()])], panel.log)
    if panel.curve is not None:
        draw_band(axes, panel.curve, GREY, "smooth curve, 95 % band")
    if panel.peak is not None:
        _draw_peak(axes, panel.peak)
    low, high = axes.get_ylim()
    off = ~((panel.y >= low) & (panel.y <= high))
    y = np.where(off, low if arrow == "v" else high, panel.y)
    for depth, stage in enumerate(dict.fromkeys(panel.stage)):
        own, look = panel.stage == stage, stages.index(stage) % len(PALETTE)
        sound, colour = own & ~off & ~panel.diverged, PALETTE[look]
        crossed = own & ~off & panel.diverged
        kinds = {stage: (sound, MARKERS[look]), "diverged": (crossed, "x"), "off the scale": (own & off, arrow)}
        for label, (kind, sign) in kinds.items():
            if kind.any():
                (line,) = axes.plot(panel.x[kind], y[kind], sign, color=colour, clip_on=False, label=label)
                if len(off) > _MOST_DRAWN:  # under the curve; each a shape of its own makes files of many megabytes
                    line.set(rasterized=True, zorder=0.5)
                line.set(alpha=0.85, markersize=(5.0 if len(off) < _MANY_POINTS else 2.0) + 3.0 * (sign == arrow))
        if stage in panel.intervals:
            bar = [low + (0.02 + 0.045 * depth) * (high - low)] * 2
            axes.plot(panel.intervals[stage], bar, color=colour, linewidth=3.5, alpha=0.6, label="interval searched")
    for mark, sign, colour, size in marks:
        if mark is not None:
            axes.plot([mark.x] * 2, [mark.low, mark.high], color=BLACK, marker="_", markersize=8.0, zorder=7)
            (point,) = axes.plot(mark.x, mark.y, sign, color=colour, markersize=size, zorder=8, label=mark.text)
            point.set_markeredgecolor(BLACK)
    return int(off.sum())


def _draw_peak(axes: Axes, peak: Peak) -> None:
    """A shade over the values that cannot be told from the best, and a bar with the interval of the place."""
    flat = axes.axvspan(peak.flat_low, peak.flat_high, color=SKY_BLUE, label="not told from the optimum")
    flat.set(alpha=0.25, linewidth=0.0, zorder=0)
    label = "optimum, 95 % interval"
    axes.plot([peak.low, peak.high], [peak.y] * 2, "|-", color=BLACK, markersize=9.0, zorder=6, label=label)
    axes.plot(peak.x, peak.y, "o", color="white", markeredgecolor=BLACK, zorder=6)
