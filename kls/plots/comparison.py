"""Learning curves of several runs in one picture: validation accuracy and validation loss."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kls.plots.style import PALETTE, figure_style, new_figure, save, set_title

_LINE_STYLES = tuple(product(("-", "--", "-.", ":"), PALETTE[:-1]))  # yellow is too pale for lines
MOST_CURVES = len(_LINE_STYLES)

_MOST_MARKED_POINTS = 30
_CEILING_FACTOR = 2.0


@dataclass(frozen=True)
class Curve:
    """A run's evaluations: epoch (n,), accuracy (n,) as fractions, loss (n,) in nats, n >= 1."""

    label: str
    epoch: np.ndarray
    accuracy: np.ndarray
    loss: np.ndarray


def plot_comparison(curves: Sequence[Curve], path: Path, title: str) -> None:
    """Write the figure of `comparison_figure` to `path` as PNG."""
    save(comparison_figure(curves, title), path)


@figure_style()
def comparison_figure(curves: Sequence[Curve], title: str) -> Figure:
    """Figure with a panel of accuracies (%) and one of losses; the legend below has a line for each run.

    Losses above `_CEILING_FACTOR` times the largest first one are cut off, so that a run that diverges does not
    flatten the others.

    Raises ValueError if there is no curve, or more than `MOST_CURVES`.
    """
    if not 1 <= len(curves) <= MOST_CURVES:
        raise ValueError(f"{len(curves)} curves; there must be 1 to {MOST_CURVES}")
    figure = new_figure(11.0, 4.6 + 0.2 * len(curves))
    left, right = figure.subplots(1, 2, sharex=True)
    for curve, (line_style, colour) in zip(curves, _LINE_STYLES, strict=False):
        marker = "o" if curve.epoch.size <= _MOST_MARKED_POINTS else ""
        for axes, values in ((left, 100.0 * curve.accuracy), (right, curve.loss)):
            (line,) = axes.plot(curve.epoch, values, color=colour, linestyle=line_style, label=curve.label)
            line.set(marker=marker, markersize=3.0)
    left.set_title("Validation accuracy (%)")
    right.set_title("Validation loss")
    first = np.array([curve.loss[0] for curve in curves])
    losses = np.concatenate([curve.loss for curve in curves])
    shown = losses[np.isfinite(losses) & (losses <= _CEILING_FACTOR * max(1.0, np.nanmax(first, initial=0.0)))]
    if shown.size:
        padding = 0.05 * float(np.ptp(shown)) or 0.05
        right.set_ylim(float(shown.min()) - padding, float(shown.max()) + padding)
    left.xaxis.set_major_locator(MaxNLocator(nbins=8, steps=[1, 2, 4, 5, 10]))
    for axes in (left, right):
        axes.set_xlabel("Epoch")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", handlelength=3.0)
    set_title(figure, title)
    return figure
