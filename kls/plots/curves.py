"""Learning curves of one run: cost, loss and accuracy against the epoch, the learning rate under each."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kls.plots.style import BLUE, GREY, VERMILLION, figure_style, new_figure, save, set_title
from kls.records.names import HISTORY_COLUMNS

_PANELS = (("cost", "Cost"), ("loss", "Loss"), ("accuracy", "Accuracy (%)"))
_SPLITS = (("train", "training", BLUE, "-", "o"), ("val", "validation", VERMILLION, "--", "s"))

_MOST_MARKED_POINTS = 30
_DIVERGED_FACTOR = 10.0


def plot_curves(history: Mapping[str, np.ndarray], path: Path, title: str) -> None:
    """Write the figure of `curves_figure` to `path` as PNG."""
    save(curves_figure(history, title), path)


@figure_style()
def curves_figure(history: Mapping[str, np.ndarray], title: str) -> Figure:
    """Figure of three columns (cost, loss, accuracy), each with the learning rate in a thin panel below.

    `history` maps every name in `HISTORY_COLUMNS` to an array of shape (n,), one entry for each evaluation,
    n >= 1; losses and costs in nats, accuracies as fractions in [0, 1] (drawn as percentages). A run that
    diverges is drawn with the axes limited to its sound part, and the title says how many evaluations they do
    not show.

    The figure's axes are, in order, the cost, loss and accuracy panels and the three learning-rate panels.

    Raises ValueError if a column is missing, is empty or has another length than the others.
    """
    columns = _checked(history)
    figure = new_figure(12.0, 4.4)
    axes = figure.subplots(2, 3, sharex=True, height_ratios=(4.2, 1.0))
    hidden = np.zeros(columns["epoch"].shape, dtype=bool)
    for (quantity, label), upper, lower in zip(_PANELS, axes[0], axes[1], strict=True):
        hidden |= _draw_splits(upper, columns, quantity)
        _draw_learning_rate(lower, columns)
        upper.set_title(label)
        lower.set_xlabel("Epoch")
    axes[1, 0].set_ylabel("Learning\nrate")
    _mark_best_validation(axes[0, 2], columns)
    axes[0, 0].set_xlim(*_epoch_limits(columns["epoch"]))
    axes[0, 0].xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 4, 5, 10]))
    if hidden.any():
        title += f"\n{hidden.sum()} of {hidden.size} evaluations are off the scale or not finite"
    set_title(figure, title)
    return figure


def _checked(history: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    missing = [name for name in HISTORY_COLUMNS if name not in history]
    if missing:
        raise ValueError(f"the history has no column {', '.join(missing)}")
    columns = {name: np.asarray(history[name], dtype=np.float64) for name in HISTORY_COLUMNS}
    shapes = {column.shape for column in columns.values()}
    if len(shapes) != 1 or len(columns["epoch"].shape) != 1 or columns["epoch"].size == 0:
        raise ValueError(f"history columns must share one shape (n,) with n >= 1, not {sorted(shapes)}")
    return columns


def _draw_splits(axes: Axes, columns: Mapping[str, np.ndarray], quantity: str) -> np.ndarray:
    """Draw both splits of `quantity`; returns which evaluations, bool (n,), have a value not on the axis."""
    values = np.stack([columns[f"{split}_{quantity}"] for split, *_ in _SPLITS])
    shown = np.isfinite(values)
    if quantity == "accuracy":
        values = 100.0 * values
    else:
        shown &= np.abs(values) <= _ceiling(values)
    axes.set_ylim(*_padded(values[shown]) if shown.any() else (0.0, 1.0))
    marked = shown.any(axis=0).sum() <= _MOST_MARKED_POINTS
    for row, (_, label, colour, line_style, marker) in zip(values, _SPLITS, strict=True):
        (line,) = axes.plot(columns["epoch"], row, color=colour, linestyle=line_style, label=label)
        line.set_marker(marker if marked else "")
    legend_above = axes.legend(
        loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2,
        borderaxespad=0.15, borderpad=0.2, columnspacing=1.0, handlelength=2.2,
    )  # fmt: skip
    axes.add_artist(legend_above)
    return np.asarray(~shown.all(axis=0))


def _ceiling(values: np.ndarray) -> float:
    """Largest loss or cost shown: `_DIVERGED_FACTOR` times the first finite evaluation, at least 1 nat."""
    finite_columns = np.isfinite(values).any(axis=0)
    if not finite_columns.any():
        return np.inf
    first = values[:, int(np.argmax(finite_columns))]
    return _DIVERGED_FACTOR * max(1.0, float(first[np.isfinite(first)].max()))


def _padded(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    padding = 0.06 * (high - low) or 0.05 * max(abs(high), 1.0)
    return low - padding, high + padding


def _draw_learning_rate(axes: Axes, columns: Mapping[str, np.ndarray]) -> None:
    eta = columns["eta"]
    marker = "." if eta.size <= _MOST_MARKED_POINTS else ""
    axes.plot(columns["epoch"], eta, color=GREY, linewidth=1.2, marker=marker)
    top = float(eta.max())
    if top > 0.0:
        axes.set_ylim(0.0, 1.12 * top)
        axes.set_yticks([0.0, top], ["0", f"{top:.3g}"])


def _mark_best_validation(axes: Axes, columns: Mapping[str, np.ndarray]) -> None:
    accuracy = columns["val_accuracy"]
    if not np.isfinite(accuracy).any():
        return
    best = int(np.nanargmax(accuracy))
    epoch, percentage = columns["epoch"][best], 100.0 * accuracy[best]
    (point,) = axes.plot(
        [epoch], [percentage], linestyle="", marker="*", markersize=10, zorder=4,
        markerfacecolor=VERMILLION, markeredgecolor="black", markeredgewidth=0.8,
    )  # fmt: skip
    axes.legend(
        [point], [f"best {percentage:.2f} %\nepoch {epoch:.4g}"],
        loc="best", frameon=True, handlelength=1.2, handletextpad=0.4,
    )  # fmt: skip


def _epoch_limits(epoch: np.ndarray) -> tuple[float, float]:
    first, last = float(epoch.min()), float(epoch.max())
    padding = 0.025 * (last - first) or 0.5
    return first - padding, last + padding
