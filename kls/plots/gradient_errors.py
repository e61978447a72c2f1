"""Relative errors of the gradient check, one box for each parameter on a logarithmic axis."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kls.plots.colours import BLACK, BLUE, SKY_BLUE, SMALL_SIZE, VERMILLION
from kls.plots.style import figure_style, new_figure, save, set_rows, set_x_axis

_PERCENTILES = {"whislo": 5.0, "q1": 25.0, "med": 50.0, "q3": 75.0, "whishi": 95.0}


@figure_style()
def plot_gradient_errors(errors: Mapping[str, np.ndarray], path: Path, title: str, tolerance: float = np.inf) -> None:
    """Write a figure with a horizontal box for each entry of `errors`, the first entry on top.

    `errors` maps the name of a parameter to its relative errors: any shape, entries >= 0. A box spans the quartiles,
    its line is the median, its whiskers end at the 5th and 95th percentile of the finite errors. A point marks the
    maximum, which is also written on the right. `tolerance` (> 0) draws a vertical line; a maximum above it, or one
    that is not finite (at the right end), is a cross and its value has another colour.
    """
    finite = {row: np.ravel(values)[np.isfinite(np.ravel(values))] for row, values in enumerate(errors.values())}
    boxes = {row: np.percentile(values, [*_PERCENTILES.values()]) for row, values in finite.items() if values.size}
    maxima = np.array([np.max(values) for values in errors.values()], dtype=np.float64)  # NaN if one is
    drawn = np.concatenate([[*maxima, tolerance], *boxes.values()])
    drawn = drawn[np.isfinite(drawn)]
    decades = np.log10(drawn[drawn > 0.0]) if drawn.any() else np.array([-15.0])
    ticks = 10.0 ** np.arange(np.floor(decades.min()), np.ceil(decades.max()) + 1.0)
    figure = new_figure()
    axes = figure.subplots()
    set_x_axis(axes, np.r_[ticks, drawn[drawn == 0.0]], log=True)
    axes.bxp(
        [dict(zip(_PERCENTILES, box, strict=True)) for box in boxes.values()], positions=list(boxes),
        orientation="horizontal", widths=0.6, showfliers=False, manage_ticks=False, patch_artist=True,
        boxprops={"facecolor": SKY_BLUE, "edgecolor": BLUE}, medianprops={"color": BLACK, "linewidth": 1.6},
        whiskerprops={"color": BLUE}, capprops={"color": BLUE},
    )  # fmt: skip
    failed, rows = ~np.isfinite(maxima) | (maxima > tolerance), np.arange(len(maxima))
    at, label = np.where(np.isfinite(maxima), maxima, ticks[-1]), "maximum above the tolerance or not finite"
    axes.plot(at[~failed], rows[~failed], "o", color=BLUE, label="maximum", markersize=6.5, zorder=4)
    if failed.any():
        axes.plot(at[failed], rows[failed], "X", color=VERMILLION, label=label, markersize=7.5, zorder=4)
    if np.isfinite(tolerance):
        axes.axvline(tolerance, color=VERMILLION, linestyle="--", label=f"tolerance {tolerance:g}")
    axes.set_xlabel("Relative error\n(box: quartiles and median, whiskers: 5th and 95th percentile)")
    axes.set_title("maximum", loc="right", size=SMALL_SIZE, weight="normal")
    texts = set_rows(figure, list(errors), [f"{maximum:.1e}" if maximum else "0" for maximum in maxima])
    for text, above in zip(texts, failed, strict=True):
        text.set_color(VERMILLION if above else BLACK)
    save(figure, path, title)
