"""Confusion matrix of a classifier as a heat map of row percentages."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from kls.plots.style import BLACK, LABEL_SIZE, LIGHT_GREY, figure_style, new_figure, save, set_title

_INCHES_PER_CELL = 0.56


def plot_confusion(matrix: np.ndarray, class_names: Sequence[str], path: Path, title: str) -> None:
    """Write the figure of `confusion_figure` to `path` as PNG."""
    save(confusion_figure(matrix, class_names, title), path)


def row_percentages(matrix: np.ndarray) -> np.ndarray:
    """Counts (C, C) in percent of the sum of their row, float64 (C, C); NaN in a row that sums to 0."""
    totals = matrix.sum(axis=1, keepdims=True)
    return np.where(totals > 0, 100.0 * matrix / np.maximum(totals, 1), np.nan)


@figure_style()
def confusion_figure(matrix: np.ndarray, class_names: Sequence[str], title: str) -> Figure:
    """Figure of `matrix` (C, C), integer counts with true classes as rows and predicted classes as columns.

    Each cell shows its share of the row in percent; the framed diagonal is the accuracy of each class. The
    last title line gives the accuracy over all images, trace / sum. A row without images shows dashes.

    Raises ValueError if `matrix` does not hold counts >= 0 of shape (C, C) with C names.
    """
    classes = len(class_names)
    counts = np.issubdtype(matrix.dtype, np.integer) and (matrix >= 0).all()
    if matrix.shape != (classes, classes) or not counts:
        raise ValueError(f"{matrix.dtype} matrix {matrix.shape} does not hold counts of {classes} classes")
    percentages = row_percentages(matrix)
    side = max(_INCHES_PER_CELL * classes, 2.4)
    figure = new_figure(side + 2.6, side + 1.6)
    axes = figure.subplots()
    colours = matplotlib.colormaps["Blues"].with_extremes(bad=LIGHT_GREY)
    image = axes.imshow(percentages, cmap=colours, vmin=0.0, vmax=100.0, interpolation="nearest")
    backgrounds = image.to_rgba(np.ma.masked_invalid(percentages))
    for (row, column), percentage in np.ndenumerate(percentages):
        _write_cell(axes, row, column, percentage, backgrounds[row, column])
    _label_axes(axes, class_names, matrix.sum(axis=1))
    bar = figure.colorbar(image, ax=axes, shrink=0.85, aspect=30, pad=0.02)
    bar.set_label("Share of the true class (%)")
    bar.outline.set_visible(False)
    set_title(figure, f"{title}\n{_summary(matrix)}")
    return figure


def _write_cell(axes: Axes, row: int, column: int, percentage: float, background: np.ndarray) -> None:
    on_diagonal = row == column
    axes.text(
        column, row, "-" if np.isnan(percentage) else f"{percentage:.1f}", color=_readable_colour(background),
        fontsize=LABEL_SIZE, fontweight="bold" if on_diagonal else "normal",
        horizontalalignment="center", verticalalignment="center",
    )  # fmt: skip
    if on_diagonal:
        corner = (column - 0.48, row - 0.48)
        axes.add_patch(Rectangle(corner, 0.96, 0.96, fill=False, edgecolor=BLACK, linewidth=1.3))


def _readable_colour(background: np.ndarray) -> str:
    """Black or white, whichever has the larger WCAG 2 contrast ratio on `background`, sRGB in [0, 1]."""
    srgb = background[:3]
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ (0.2126, 0.7152, 0.0722))
    return "black" if (luminance + 0.05) / 0.05 >= 1.05 / (luminance + 0.05) else "white"


def _label_axes(axes: Axes, class_names: Sequence[str], totals: np.ndarray) -> None:
    positions = range(len(class_names))
    axes.grid(visible=False)
    rows = [f"{name} ({total})" for name, total in zip(class_names, totals, strict=True)]
    axes.set_xticks(
        positions, class_names, parse_math=False,
        rotation=40, rotation_mode="anchor", horizontalalignment="right",
    )  # fmt: skip
    axes.set_yticks(positions, rows, parse_math=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("Predicted class")
    axes.set_ylabel("True class (number of images)")


def _summary(matrix: np.ndarray) -> str:
    total = int(matrix.sum())
    return f"accuracy {100.0 * np.trace(matrix) / total:.2f} % of {total} images" if total else "no images"
