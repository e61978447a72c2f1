"""Heat maps: mean scores over two settings, and the confusion matrix of a classifier."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle

from kls.plots.colours import BLACK, SKY_BLUE, SMALL_SIZE, WIDTH
from kls.plots.style import PNG, figure_style, new_figure, save, wrap

_SHADES = LinearSegmentedColormap.from_list("shades", ["#FFFFFF", SKY_BLUE])  # black is readable on all
_CELL = 0.55  # inches, the least width
_LONGEST = 7  # characters of column labels that are not turned


@figure_style()
def plot_heatmap(
    means: np.ndarray, rows: tuple[str, Sequence[str]], columns: tuple[str, Sequence[str]], score_label: str,
    path: Path, title: str, formats: Sequence[str] = PNG, *, framed: bool = False,
) -> None:  # fmt: skip
    """Write a figure of `means` (r, c), with two decimals; a darker cell has a larger mean, one of NaN is empty.

    `rows` and `columns` are each the label of a setting and its values. `framed` frames the diagonal.
    """
    labels, names = ([wrap(name, 2.2, SMALL_SIZE) for name in values] for _, values in (rows, columns))
    longest = max(map(len, names))
    turned: dict[str, Any] = {"rotation": 40, "rotation_mode": "anchor", "ha": "right"} if longest > _LONGEST else {}
    height = max(0.48 * len(labels), 1.2)
    figure = new_figure(height + 0.8 + 0.05 * longest * bool(turned), max(WIDTH, 1.7 + _CELL * len(names)))
    axes = figure.subplots()
    low, high = (np.nanmin(means), np.nanmax(means)) if np.isfinite(means).any() else (0.0, 1.0)
    image = axes.imshow(means, cmap=_SHADES, vmin=low, vmax=high if high > low else low + 1.0, aspect="auto")
    for (row, column), mean in np.ndenumerate(means):
        axes.text(column, row, f"{mean:.2f}" * bool(np.isfinite(mean)), fontsize=SMALL_SIZE, ha="center", va="center")
        if framed and row == column:
            axes.add_patch(Rectangle((row - 0.48, row - 0.48), 0.96, 0.96, fill=False, edgecolor=BLACK))
    axes.set_frame_on(False)
    axes.tick_params(length=0, grid_alpha=0.0)
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xticks(range(len(names)), names, **turned)
    axes.set(xlabel=wrap(columns[0], 5.0), ylabel=wrap(rows[0], height))
    figure.colorbar(image, pad=0.02, aspect=30, label=wrap(score_label, height)).outline.set_visible(False)
    save(figure, path, title, formats)


def plot_confusion(matrix: np.ndarray, class_names: Sequence[str], path: Path, title: str) -> None:
    """Write a figure of `matrix` (C, C), integer counts with true classes as rows and predicted classes as columns.

    Each cell shows its share of the row in percent; the framed diagonal is the accuracy of each class. The last title
    line gives the accuracy over all images, trace / sum. A row without images is empty.
    """
    totals, n = matrix.sum(axis=1, keepdims=True), int(matrix.sum())
    shares = np.where(totals > 0, 100.0 * matrix / np.maximum(totals, 1), np.nan)
    names = [f"{name} ({total})" for name, total in zip(class_names, totals.flat, strict=True)]
    rows, columns = ("True class (number of images)", names), ("Predicted class", class_names)
    title += f"\naccuracy {100.0 * np.trace(matrix) / n:.2f} % of {n} images" if n else "\nno images"
    plot_heatmap(shares, rows, columns, "Share of the true class (%)", path, title, framed=True)
