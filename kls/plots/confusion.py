"""Confusion matrix of a classifier as a heat map of row percentages."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kls.plots.heatmap import plot_heatmap
from kls.plots.style import PNG


def plot_confusion(
    matrix: np.ndarray, class_names: Sequence[str], path: Path, title: str, formats: Sequence[str] = PNG
) -> None:
    """Write a figure of `matrix` (C, C), integer counts with true classes as rows and predicted classes as columns.

    Each cell shows its share of the row in percent; the framed diagonal is the accuracy of each class. The last title
    line gives the accuracy over all images, trace / sum. A row without images is empty.
    """
    totals, n = matrix.sum(axis=1, keepdims=True), int(matrix.sum())
    shares = np.where(totals > 0, 100.0 * matrix / np.maximum(totals, 1), np.nan)
    names = [f"{name} ({total})" for name, total in zip(class_names, totals.flat, strict=True)]
    rows, columns = ("True class (number of images)", names), ("Predicted class", class_names)
    title += f"\naccuracy {100.0 * np.trace(matrix) / n:.2f} % of {n} images" if n else "\nno images"
    plot_heatmap(shares, rows, columns, "Share of the true class (%)", path, title, formats, framed=True)
