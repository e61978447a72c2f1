"""Relative errors of the gradient check, one box for each parameter on a logarithmic axis."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kls.plots.style import (
    BLACK,
    BLUE,
    SKY_BLUE,
    SMALL_SIZE,
    VERMILLION,
    figure_style,
    new_figure,
    save,
    set_title,
)

_PERCENTILES = (5.0, 25.0, 50.0, 75.0, 95.0)
_MOST_TICKS = 9
_DECADES_WITHOUT_ERRORS = (-16, -15)


class _Box(NamedTuple):
    """What is drawn of a parameter: `_PERCENTILES` of its finite errors (empty without any), the maximum."""

    name: str
    percentiles: tuple[float, ...]
    maximum: float


def plot_gradient_errors(
    errors: Mapping[str, np.ndarray], path: Path, title: str, tolerance: float | None = None
) -> None:
    """Write the figure of `gradient_errors_figure` to `path` as PNG."""
    save(gradient_errors_figure(errors, title, tolerance), path)


@figure_style()
def gradient_errors_figure(errors: Mapping[str, np.ndarray], title: str, tolerance: float | None = None) -> Figure:
    """Figure with a horizontal box for each entry of `errors`, the first entry on top.

    `errors` maps the name of a parameter to its relative errors: any shape, entries >= 0. A box spans the
    quartiles, its line is the median, its whiskers end at the 5th and 95th percentile of the finite errors. A
    point marks the maximum, which is also written on the right. `tolerance` (> 0) draws a vertical line; a
    maximum above it, or one that is not finite, is a cross and its value has another colour. Errors of
    exactly 0 have a place of their own, labelled 0, at the left end of the axis.

    Raises ValueError if there is no parameter, or one without errors or with a negative error.
    """
    if not errors:
        raise ValueError("there are no gradient errors to draw")
    boxes = [_box(name, np.asarray(values, dtype=np.float64).ravel()) for name, values in errors.items()]
    figure = new_figure(9.0, 1.7 + 0.27 * max(len(boxes), 2))
    axes = figure.subplots()
    axes.set_xscale("log")
    zero, end = _set_error_axis(axes, boxes, tolerance)
    axes.bxp(
        [_drawn_statistics(box, zero) for box in boxes if box.percentiles],
        positions=[row for row, box in enumerate(boxes) if box.percentiles],
        orientation="horizontal", widths=0.6, showfliers=False, manage_ticks=False, patch_artist=True,
        boxprops={"facecolor": SKY_BLUE, "edgecolor": BLUE, "linewidth": 0.9},
        medianprops={"color": BLACK, "linewidth": 1.6},
        whiskerprops={"color": BLUE, "linewidth": 0.9},
        capprops={"color": BLUE, "linewidth": 0.9},
    )  # fmt: skip
    _draw_maxima(axes, boxes, zero, end, tolerance)
    if tolerance is not None:
        label = f"tolerance {tolerance:g}"
        axes.axvline(tolerance, color=VERMILLION, linestyle="--", linewidth=1.3, label=label)
    axes.set_xlabel("Relative error (box: quartiles and median, whiskers: 5th and 95th percentile)")
    figure.legend(loc="outside lower center", ncols=3)
    set_title(figure, title)
    return figure


def _box(name: str, values: np.ndarray) -> _Box:
    if values.size == 0 or (values < 0.0).any():
        raise ValueError(f"relative errors of {name} must be one number at least, none below 0")
    finite = values[np.isfinite(values)]
    percentiles = tuple(np.percentile(finite, _PERCENTILES).tolist()) if finite.size else ()
    return _Box(name, percentiles, float(values.max()))


def _set_error_axis(axes: Axes, boxes: Sequence[_Box], tolerance: float | None) -> tuple[float, float]:
    """Set limits and ticks of the error axis; returns the places of errors that are 0 and not finite."""
    drawn = np.array([value for box in boxes for value in (*box.percentiles, box.maximum)])
    positive = drawn[np.isfinite(drawn) & (drawn > 0.0)]
    logarithms = np.log10([*positive, *([tolerance] if tolerance is not None else [])])
    first, last = _DECADES_WITHOUT_ERRORS
    if logarithms.size:
        first, last = math.floor(logarithms.min()), math.ceil(logarithms.max())
    last = max(last, first + 1)
    step = math.ceil((last - first + 1) / _MOST_TICKS)
    decades = range(first, last + 1, step)
    ticks = [10.0**decade for decade in decades]
    labels = [f"$10^{{{decade}}}$" for decade in decades]
    padding = 0.03 * (last - first)
    left, right = first - padding, last + padding
    zero, end = first - 3.0 * padding, last + 2.0 * padding
    if (drawn == 0.0).any():
        ticks, labels, left = [10.0**zero, *ticks], ["0", *labels], zero - padding
    if not np.isfinite(drawn).all():
        right = end + padding
    axes.set_xlim(10.0**left, 10.0**right)
    axes.set_xticks(ticks, labels)
    axes.xaxis.minorticks_off()
    return 10.0**zero, 10.0**end


def _drawn_statistics(box: _Box, zero: float) -> dict[str, float]:
    drawn = (percentile or zero for percentile in box.percentiles)
    return dict(zip(("whislo", "q1", "med", "q3", "whishi"), drawn, strict=True))


def _draw_maxima(axes: Axes, boxes: Sequence[_Box], zero: float, end: float, tolerance: float | None) -> None:
    rows = np.arange(len(boxes))
    maxima = np.array([box.maximum for box in boxes])
    places = np.where(np.isfinite(maxima), np.where(maxima > 0.0, maxima, zero), end)
    failed = ~np.isfinite(maxima) | (maxima > (np.inf if tolerance is None else tolerance))
    for chosen, marker, colour, label in (
        (~failed, "o", BLUE, "maximum"),
        (failed, "X", VERMILLION, "maximum above the tolerance or not finite"),
    ):
        if chosen.any():
            (points,) = axes.plot(places[chosen], rows[chosen], linestyle="", color=colour, label=label)
            points.set(marker=marker, markersize=6, zorder=4)
    axes.set_ylim(len(boxes) - 0.4, -0.6)
    axes.set_yticks(rows, [box.name for box in boxes], parse_math=False)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    values = axes.secondary_yaxis("right")
    values.set_yticks(rows, [f"{maximum:.1e}" if maximum else "0" for maximum in maxima])
    values.tick_params(length=0)
    values.spines[:].set_visible(False)
    for text, above in zip(values.get_yticklabels(), failed, strict=True):
        text.set_color(VERMILLION if above else BLACK)
    axes.annotate(
        "maximum", (1.0, 1.0), xycoords="axes fraction", xytext=(3.5, 4.0), textcoords="offset points",
        fontsize=SMALL_SIZE,
    )  # fmt: skip
