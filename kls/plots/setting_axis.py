"""Axes of settings: numbers, or rows as of a table."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from kls.plots.colours import SMALL_SIZE
from kls.plots.style import wrap

_MOST_VALUES, _CLOSEST = 8, 0.09  # as ticks: how many, and how far apart as a share of the range
_NAMES, _VALUES = 2.8, 1.4  # inches


def set_setting_axis(axes: Axes, values: np.ndarray, log: bool, padding: float = 0.05) -> None:
    """Scale, limits and ticks of the x axis for values (n,), n >= 1.

    A logarithmic axis has a place for 0, at the left end. A few values that lie apart become the ticks themselves.
    `padding` is the margin at both ends, as a share of the range.
    """
    values = np.unique(values)
    positive = values[values > 0.0]
    if log and values[0] > 0.0:
        axes.set_xscale("log")
    elif log and positive.size:
        axes.set_xscale("symlog", linthresh=positive[0], linscale=1.0)
    scale = axes.xaxis.get_transform()
    steps = scale.transform(values)
    span = float(np.ptp(steps)) or 1.0
    axes.set_xlim(*scale.inverted().transform(steps[[0, -1]] + padding * span * np.array([-1.0, 1.0])))
    if axes.get_xscale() != "linear":
        axes.xaxis.set(major_formatter="{x:g}", minor_formatter="")
    if values.size <= _MOST_VALUES and (np.diff(steps) >= _CLOSEST * span).all():
        axes.set_xticks(values, [f"{value:g}" for value in values])


def set_rows(figure: Figure, names: Sequence[str], values: Sequence[str] = (), least: float = 0.0) -> list[Text]:
    """Rows at 0, 1, ... down the y axis: names on its left, values on the right; returns the texts of the values.

    The figure becomes as high as they need, each `least` inches at least.
    """
    axes = figure.axes[0]
    labels = [wrap(name, _NAMES, SMALL_SIZE) for name in names]
    height = max(0.12 + 0.16 * max(label.count("\n") + 1 for label in labels), least)
    figure.set_figheight(max(0.6 + height * len(labels), 1.5))
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_yticks(range(len(labels)), labels)
    right = axes.secondary_yaxis("right")
    right.set_yticks(range(len(values)), [wrap(value, _VALUES, SMALL_SIZE) for value in values])
    right.spines[:].set_visible(False)
    right.tick_params(length=0)
    axes.tick_params(axis="y", length=0, pad=7, grid_alpha=0.0)
    return right.get_yticklabels()
