"""Learning curves: of one run, and of groups of runs, the mean over seeds with a band of one standard deviation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from kls.plots.colours import BLACK, DASHES, GREY, MARKERS, PALETTE, YELLOW
from kls.plots.style import PNG, figure_style, limits, new_figure, save

MOST_CURVES = len(PALETTE) * len(DASHES)  # more do not all look different; these numbers have no common factor
_SPLITS = {"train": "Training", "val": "Validation"}
_LEAST_RANGE = {"accuracy": 5.0, "loss": 0.1, "cost": 0.1}  # of an axis: networks at chance differ by nothing
_MOST_MARKED_POINTS = 30
_CEILING_FACTOR = 3.0


class GroupCurve(NamedTuple):
    """Evaluations of a group: epoch (n,), and of each score the values (runs, n), NaN where none.

    Keys of `scores` are "train_loss", "val_accuracy" and so on; losses and costs in nats, accuracies in percent.
    """

    label: str
    epoch: np.ndarray
    scores: Mapping[str, np.ndarray]


@figure_style()
def plot_run_curves(history: Mapping[str, np.ndarray], path: Path, title: str) -> None:
    """Write a figure of four panels: cost, loss, accuracy and learning rate.

    `history` maps every name in `names.HISTORY_COLUMNS` to an array (n,), one entry for each evaluation, n >= 1;
    losses and costs in nats, accuracies in percent. The axes of a run that diverges are limited to its sound part: an
    arrow shows where a line leaves them, and the legend says how many evaluations they do not show.
    """
    epoch, accuracy, eta = history["epoch"], history["val_accuracy"], history["eta"]
    figure = new_figure(4.6)
    *panels, rate = figure.subplots(2, 2, sharex=True).ravel()
    hidden = np.zeros(epoch.shape, dtype=bool)
    for axes, quantity in zip(panels, ("cost", "loss", "accuracy"), strict=True):
        pair = {name.lower(): history[f"{split}_{quantity}"][None] for split, name in _SPLITS.items()}
        low, high = _set_values(axes, [*pair.values()], quantity)
        for number, (name, values) in enumerate(pair.items()):
            _draw_line(axes, epoch, values, number, len(pair)).set_label(name)
            hidden |= ~((values[0] >= low) & (values[0] <= high))
        axes.set_title(_titled(quantity.capitalize()))
    if np.isfinite(accuracy).any():
        x, y = epoch[np.nanargmax(accuracy)], np.nanmax(accuracy)
        (star,) = panels[-1].plot(x, y, "*", color=YELLOW, label=f"best validation: {y:.2f} % at epoch {x:.4g}")
        star.set(markeredgecolor=BLACK, markersize=12.0, zorder=7.0)
    note = f"{hidden.sum()} of {hidden.size} evaluations are off the scale or not finite"
    panels[-1].plot([], [], "^", color=GREY, label=note * bool(hidden.any()))
    rate.plot(epoch, eta, color=GREY, marker="." if epoch.size == 1 else "")
    rate.set(title="Learning rate", ylim=(0.0, 1.08 * float(eta.max()) or 1.0))
    _set_epochs([panels[-1], rate], epoch)
    save(figure, path, title)


@figure_style()
def plot_learning_curves(curves: Sequence[GroupCurve], path: Path, title: str, formats: Sequence[str] = PNG) -> None:
    """Write a figure with a row each for accuracy, loss and cost, training left and validation right.

    A line is the mean over the finite values of a group, its band one standard deviation (n - 1) to both sides. The
    legend says which lines leave the scale, and how many runs have no value at the end.
    """
    figure = new_figure(6.0)
    grid = figure.subplots(len(_LEAST_RANGE), len(_SPLITS), sharex=True, sharey="row")
    leaving = np.zeros(len(curves), dtype=bool)
    for quantity, row in zip(_LEAST_RANGE, grid, strict=True):
        arrays = [curve.scores[f"{split}_{quantity}"] for curve in curves for split in _SPLITS]
        low, high = _set_values(row[0], arrays, quantity)
        for (split, name), axes in zip(_SPLITS.items(), row, strict=True):
            score, n = f"{split}_{quantity}", len(curves)
            lines = [_draw_line(axes, curve.epoch, curve.scores[score], i, n) for i, curve in enumerate(curves)]
            means = [np.asarray(line.get_ydata()) for line in lines]
            leaving |= [bool(((mean < low) | (mean > high)).any()) for mean in means]
            axes.set_title(_titled(f"{name} {quantity}"))
    for curve, line, leaves in zip(curves, lines, leaving, strict=True):
        ended = np.any([~np.isfinite(values[:, -1]) for values in curve.scores.values()], axis=0)
        note = f" ({ended.sum()} of {ended.size} runs without a value at the end)" if ended.any() else ""
        line.set_label(curve.label + note + (" (leaves the scale at the arrow)" if leaves else ""))
    _set_epochs(grid[-1], np.concatenate([curve.epoch for curve in curves]))
    save(figure, path, title, formats)


def _titled(name: str) -> str:
    return name + " (%)" * name.lower().endswith("accuracy")


def _set_values(axes: Axes, arrays: Sequence[np.ndarray], quantity: str) -> tuple[float, float]:
    """Set and return the limits of the y axis for values (runs, n) of a quantity.

    Costs and losses are cut above `_CEILING_FACTOR` times the median of the first ones, so that a run that diverges
    does not flatten the others.
    """
    shown, first = (np.concatenate([a[:, :end][np.isfinite(a[:, :end])] for a in arrays]) for end in (None, 1))
    if quantity != "accuracy" and first.size:
        shown = shown[shown <= _CEILING_FACTOR * float(np.median(first))]
    low, high = limits(shown)
    missing = max(0.0, _LEAST_RANGE[quantity] - (high - low)) / 2.0
    return axes.set_ylim(low - missing, high + missing)


def _set_epochs(row: Sequence[Axes], epoch: np.ndarray) -> None:
    """The x axes of epochs (n,), whole ones as ticks."""
    for axes in row:
        axes.set_xlim(*limits(epoch, 0.025) if np.ptp(epoch) else (epoch[0] - 0.5, epoch[0] + 0.5))
        axes.xaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 5, 10], integer=True))
        axes.set_xlabel("Epoch")


def _draw_line(axes: Axes, epoch: np.ndarray, values: np.ndarray, number: int, of: int) -> Line2D:
    """Draw the mean and the band of values (runs, n), and an arrow where the mean leaves the limits of the axis.

    A line is thinner than those drawn before, and dashed otherwise, so that equal lines show both.
    """
    colour, depth, finite = PALETTE[number % len(PALETTE)], 1.0 - number / max(of - 1, 1), np.ma.masked_invalid(values)
    n, mean = finite.count(axis=0), finite.mean(axis=0).filled(np.nan)
    sd = finite.std(axis=0, ddof=1).filled(np.nan)
    (line,) = axes.plot(epoch, mean, color=colour, linestyle=DASHES[number % len(DASHES)], linewidth=1.3 + 1.5 * depth)
    shown = np.flatnonzero(n)
    if shown.size <= _MOST_MARKED_POINTS:
        stride = max(1, min(of, shown.size // 3))
        line.set(marker=MARKERS[number % len(MARKERS)], markersize=4.0 + 2.5 * depth)
        line.set_markevery(shown[number % stride :: stride].tolist())
    axes.fill_between(epoch, mean - sd, mean + sd, where=n > 1, color=colour, alpha=0.15, linewidth=0)
    low, high = axes.get_ylim()
    for off, edge, arrow in ((mean > high, high, "^"), (mean < low, low, "v")):
        for place in epoch[off & ~np.r_[False, off[:-1]]]:
            axes.plot(place, edge, arrow, color=colour, markeredgecolor=BLACK, markersize=8.0, clip_on=False)
    return line
