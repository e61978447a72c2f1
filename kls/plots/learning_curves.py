"""Learning curves of groups of runs: the mean over seeds with a band of one standard deviation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from kls.plots.colours import BLACK, DASHES, MARKERS, PALETTE
from kls.plots.style import PNG, figure_style, limits, new_figure, save

MOST_CURVES = len(PALETTE) * len(DASHES)  # more do not all look different; these numbers have no common factor
_SPLITS = {"train": "Training", "val": "Validation"}
_LEAST_RANGE = {"accuracy": 5.0, "loss": 0.1, "cost": 0.1}  # of an axis: networks at chance differ by nothing
_MOST_MARKED_POINTS = 30
_CEILING_FACTOR = 3.0


@dataclass(frozen=True)
class GroupCurve:
    """Evaluations of a group: epoch (n,), and of each score the values (runs, n), NaN where none.

    Keys of `scores` are "train_loss", "val_accuracy" and so on; losses and costs in nats, accuracies in percent.
    """

    label: str
    epoch: np.ndarray
    scores: Mapping[str, np.ndarray]


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
        set_values(row[0], [curve.scores[f"{split}_{quantity}"] for curve in curves for split in _SPLITS], quantity)
        for (split, name), axes in zip(_SPLITS.items(), row, strict=True):
            score, of = f"{split}_{quantity}", len(curves)
            lines = [draw_line(axes, curve.epoch, curve.scores[score], i, of) for i, curve in enumerate(curves)]
            leaving |= [leaves for _, leaves in lines]
            axes.set_title(f"{name} {quantity}" + " (%)" * (quantity == "accuracy"))
    for curve, (line, _), leaves in zip(curves, lines, leaving, strict=True):
        ended = np.any([~np.isfinite(values[:, -1]) for values in curve.scores.values()], axis=0)
        note = f" ({ended.sum()} of {ended.size} runs without a value at the end)" if ended.any() else ""
        line.set_label(curve.label + note + (" (leaves the scale at the arrow)" if leaves else ""))
    for axes in grid[-1]:
        set_epochs(axes, np.concatenate([curve.epoch for curve in curves]))
    save(figure, path, title, formats)


def set_values(axes: Axes, arrays: Sequence[np.ndarray], quantity: str) -> tuple[float, float]:
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


def set_epochs(axes: Axes, epoch: np.ndarray) -> None:
    """The x axis of epochs (n,), whole ones as ticks."""
    axes.set_xlim(*limits(epoch, 0.025) if np.ptp(epoch) else (epoch[0] - 0.5, epoch[0] + 0.5))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, steps=[1, 2, 5, 10], integer=True))
    axes.set_xlabel("Epoch")


def draw_line(axes: Axes, epoch: np.ndarray, values: np.ndarray, number: int, of: int) -> tuple[Line2D, bool]:
    """Draw the mean and the band of values (runs, n); returns the line, and whether it leaves the limits of the axis.

    A line is thinner than those drawn before, and dashed otherwise, so that equal lines show both. Where it leaves the
    limits there is an arrow.
    """
    colour, depth, finite = PALETTE[number % len(PALETTE)], 1.0 - number / max(of - 1, 1), np.isfinite(values)
    n = finite.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(finite, values, 0.0).sum(axis=0) / n
        sd = np.sqrt((np.where(finite, values - mean, 0.0) ** 2).sum(axis=0) / (n - 1))
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
    return line, bool(((mean > high) | (mean < low)).any())
