"""A search in stages: the score of each trial against the settings that were searched."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from kls.plots.style import BLACK, GREY, PALETTE, YELLOW, figure_style, new_figure, save, set_title

MOST_PANELS = 6

_MARKERS = "osD^vPh"
_PANELS_A_ROW = 3
_MOST_LARGE_POINTS = 500
_OUTLIER_FACTOR = 3.0  # of the interquartile range
_STAR: dict[str, Any] = {
    "linestyle": "", "marker": "*", "markersize": 12, "zorder": 50,
    "markerfacecolor": YELLOW, "markeredgecolor": BLACK, "markeredgewidth": 0.9,
}  # fmt: skip


@dataclass(frozen=True)
class SearchStage:
    """Trials of one stage: setting x (n,), score y (n,), diverged (n,) bool; the interval searched, if known."""

    name: str
    x: np.ndarray
    y: np.ndarray
    diverged: np.ndarray
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class SearchPanel:
    """Stages that searched one setting, whether its axis is logarithmic, and (x, y) of the winner."""

    setting: str
    log: bool
    stages: Sequence[SearchStage]
    best: tuple[float, float] | None = None


def plot_search(
    panels: Sequence[SearchPanel], score: str, best: str, path: Path, title: str, lower_is_better: bool = False
) -> None:
    """Write the figure of `search_figure` to `path` as PNG."""
    save(search_figure(panels, score, best, title, lower_is_better), path)


@figure_style()
def search_figure(
    panels: Sequence[SearchPanel], score: str, best: str, title: str, lower_is_better: bool = False
) -> Figure:
    """Figure with a panel for each setting; all share the axis of the score, whose label is `score`.

    Each stage has its marker and colour, and a shade over the interval that it searched. Diverged trials are
    crosses. A star marks the winner, and `best` is its text below the title. On a logarithmic axis, values of 0
    have a place of their own at the left end. Scores so bad that they would squeeze the others, and those that
    are not finite, are drawn on the edge of the panel, and the title counts them.

    Raises ValueError if there is no panel, or more than `MOST_PANELS`.
    """
    if not 1 <= len(panels) <= MOST_PANELS:
        raise ValueError(f"{len(panels)} panels; there must be 1 to {MOST_PANELS}")
    rows = math.ceil(len(panels) / _PANELS_A_ROW)
    columns = math.ceil(len(panels) / rows)
    figure = new_figure(max(9.0, 4.2 * columns), 1.6 + 3.3 * rows)
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    limits = score_limits(np.concatenate([stage.y for p in panels for stage in p.stages]), lower_is_better)
    names = dict.fromkeys(stage.name for panel in panels for stage in panel.stages)
    styles = {name: _mark(place) for place, name in enumerate(names)}
    for axes, panel in zip(grid.flat, panels, strict=False):
        _draw_panel(axes, panel, styles, limits, limits[1] if lower_is_better else limits[0])
        axes.set_ylim(*limits)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel(score)
    handles = _legend(panels, styles)
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    outside = sum(int((~_inside(stage.y, limits)).sum()) for stage in panels[0].stages)  # each panel has all trials
    notes = [best] if best else []
    trials_are = "trial is" if outside == 1 else "trials are"
    notes += [f"{outside} {trials_are} off the scale, drawn on its edge"] if outside else []
    set_title(figure, "\n".join([title, *notes]))
    return figure


def score_limits(scores: np.ndarray, lower_is_better: bool) -> tuple[float, float]:
    """Limits of the axis that hold all finite scores but those far on the bad side of the middle half."""
    finite = scores[np.isfinite(scores)]
    if finite.size == 0:
        return 0.0, 1.0
    lower, upper = np.percentile(finite, (25, 75))
    reach = _OUTLIER_FACTOR * (upper - lower) or np.inf
    sound = finite[finite <= upper + reach] if lower_is_better else finite[finite >= lower - reach]
    return _padded(sound, 0.06)


def _padded(values: np.ndarray, share: float) -> tuple[float, float]:
    padding = share * float(np.ptp(values)) or 0.05 * abs(float(values[0])) or 1.0
    return float(values.min()) - padding, float(values.max()) + padding


def _inside(scores: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    return np.asarray(np.isfinite(scores) & (scores >= limits[0]) & (scores <= limits[1]))


def _mark(place: int) -> dict[str, Any]:
    colour = PALETTE[place % len(_MARKERS)]  # never the last, yellow, too pale on white
    return {"linestyle": "", "marker": _MARKERS[place % len(_MARKERS)], "color": colour}


def _draw_panel(
    axes: Axes, panel: SearchPanel, styles: Mapping[str, dict[str, Any]], limits: tuple[float, float], edge: float
) -> None:
    zero = _set_setting_axis(axes, panel)
    size = 5.0 if sum(stage.x.size for stage in panel.stages) <= _MOST_LARGE_POINTS else 2.0
    for depth, stage in enumerate(panel.stages):
        style = styles[stage.name]
        if stage.interval is not None:
            left, right = (end or zero for end in stage.interval)
            axes.axvspan(left, right, color=style["color"], alpha=0.12, linewidth=0)
        x, y = np.where(stage.x == 0.0, zero, stage.x), np.where(_inside(stage.y, limits), stage.y, edge)
        for chosen, changes in ((~stage.diverged, {}), (stage.diverged, {"marker": "x"})):
            if chosen.any():
                look = style | changes | {"markersize": size, "zorder": 3 + depth}
                axes.plot(x[chosen], y[chosen], **look, alpha=0.8, clip_on=False, label=stage.name)
    if panel.best is not None:
        axes.plot([panel.best[0] or zero], [panel.best[1]], **_STAR, label="best")
    axes.set_xlabel(panel.setting, parse_math=False)


def _set_setting_axis(axes: Axes, panel: SearchPanel) -> float:
    """Scale and limits of the setting's axis; returns where 0 is drawn on it."""
    ends = [end for stage in panel.stages for end in stage.interval or ()]
    values = np.concatenate([*(stage.x for stage in panel.stages), ends])
    if not panel.log:
        axes.set_xlim(*_padded(values, 0.04))
        return 0.0
    axes.set_xscale("log")
    first, last = _padded(np.log10(values[values > 0.0]), 0.04)
    zero = 10.0 ** (first - 0.12 * (last - first))
    if (values == 0.0).any():
        decades = range(math.ceil(first), math.floor(last) + 1)
        axes.set_xticks([zero, *(10.0**d for d in decades)], ["0", *(f"$10^{{{d}}}$" for d in decades)])
        axes.xaxis.minorticks_off()
        axes.axvline(10.0 ** (first - 0.05 * (last - first)), color=GREY, linewidth=0.8, linestyle=":")
        first -= 0.17 * (last - first)
    axes.set_xlim(10.0**first, 10.0**last)
    return float(zero)


def _legend(panels: Sequence[SearchPanel], styles: Mapping[str, dict[str, Any]]) -> list[Line2D]:
    handles = [Line2D([], [], **style, label=name) for name, style in styles.items() if len(styles) > 1]
    if any(stage.diverged.any() for panel in panels for stage in panel.stages):
        handles.append(Line2D([], [], linestyle="", marker="x", color=GREY, label="diverged"))
    if any(panel.best is not None for panel in panels):
        handles.append(Line2D([], [], **_STAR, label="best"))
    return handles
