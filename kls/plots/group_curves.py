"""Learning curves of groups of runs: cost, loss and accuracy, the mean over seeds with a band."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kls.plots.style import PALETTE, figure_style, new_figure, save, set_title, wrap_title
from kls.records.names import SPLITS, metric

_LINES = tuple(itertools.product(("-", "--", "-.", ":"), PALETTE[:-1]))  # yellow is too pale for lines
MOST_GROUPS = len(_LINES)

_SPLITS = ((SPLITS[0], "Training"), (SPLITS[1], "Validation"))
_CEILING_FACTOR = 1.5
_LEAST_SPAN = {"cost": 0.1, "loss": 0.1, "accuracy": 10.0}  # of an axis: networks at chance differ by nothing


@dataclass(frozen=True)
class GroupCurve:
    """Evaluations of a group: epoch (t,), and of each score of a split the values (runs, t), NaN where none.

    Losses and costs in nats, accuracies as fractions; keys such as "val_loss".
    """

    label: str
    epoch: np.ndarray
    scores: Mapping[str, np.ndarray]


def plot_group_curves(curves: Sequence[GroupCurve], path: Path, title: str) -> None:
    """Write the figure of `group_curves_figure` to `path` as PNG."""
    save(group_curves_figure(curves, title), path)


@figure_style()
def group_curves_figure(curves: Sequence[GroupCurve], title: str) -> Figure:
    """Figure with a row for training and one for validation; columns are cost, loss and accuracy (%).

    A line is the mean over the runs of a group, its band one standard deviation (n - 1) to both sides where there
    are several runs. The rows of a column share their scale, costs and losses cut above `_CEILING_FACTOR` times the
    median of the first ones, so that a run that diverges does not flatten the others.

    Raises ValueError if there is no curve, or more than `MOST_GROUPS`.
    """
    if not 1 <= len(curves) <= MOST_GROUPS:
        raise ValueError(f"{len(curves)} groups; there must be 1 to {MOST_GROUPS}")
    columns = 2 if max(len(curve.label) for curve in curves) < 45 and len(curves) > 3 else 1
    height = 5.4 + 0.2 * -(-len(curves) // columns)
    figure = new_figure(11.0, height)
    grid = figure.subplots(2, 3, sharex=True, sharey="col")
    for (split, name), row in zip(_SPLITS, grid, strict=True):
        for quantity, axes in zip(("cost", "loss", "accuracy"), row, strict=True):
            for curve, (line_style, colour) in zip(curves, _LINES, strict=False):
                _draw(axes, curve, metric(split, quantity), line_style, colour)
            axes.set_title(f"{name} {quantity}" + (" (%)" if quantity == "accuracy" else ""))
    for quantity, axes in zip(("cost", "loss", "accuracy"), grid[0], strict=True):
        if quantity != "accuracy":
            _limit(axes, curves, quantity)
        low, high = axes.get_ylim()
        missing = max(0.0, _LEAST_SPAN[quantity] - (high - low))
        axes.set_ylim(low - missing / 2, high + missing / 2)
    for axes in grid[1]:
        axes.set_xlabel("Epoch")
    grid[0, 0].xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 4, 5, 10]))
    handles, labels = grid[0, 0].get_legend_handles_labels()
    labels = [wrap_title(label, 8.5) for label in labels]
    legend = figure.legend(handles, labels, loc="outside lower center", handlelength=3.0, ncols=columns)
    for text in legend.get_texts():
        text.set_parse_math(False)
    set_title(figure, title)
    return figure


def _draw(axes: Axes, curve: GroupCurve, score: str, line_style: str, colour: str) -> None:
    values = curve.scores[score] * (100.0 if score.endswith("accuracy") else 1.0)
    n = np.isfinite(values).sum(axis=0)
    shown = np.where(np.isfinite(values), values, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = shown.sum(axis=0) / n
        deviations = np.where(np.isfinite(values), values - mean, 0.0)
        sd = np.sqrt((deviations**2).sum(axis=0) / (n - 1))
    axes.plot(curve.epoch, mean, color=colour, linestyle=line_style, label=curve.label)
    if (n > 1).any():
        axes.fill_between(curve.epoch, mean - sd, mean + sd, where=n > 1, color=colour, alpha=0.18, linewidth=0)


def _limit(axes: Axes, curves: Sequence[GroupCurve], quantity: str) -> None:
    """Limits that hold all means and bands but those far above where training began."""
    values = np.concatenate([curve.scores[metric(split, quantity)].ravel() for curve in curves for split, _ in _SPLITS])
    first = np.concatenate([curve.scores[metric(split, quantity)][:, 0] for curve in curves for split, _ in _SPLITS])
    first = first[np.isfinite(first)]
    ceiling = _CEILING_FACTOR * float(np.median(first)) if first.size else np.inf
    sound = values[np.isfinite(values) & (values <= ceiling)]
    if sound.size:
        padding = 0.05 * float(np.ptp(sound)) or 0.05
        axes.set_ylim(float(sound.min()) - padding, float(sound.max()) + padding)
