"""The first layer's weights as pictures, one tile for each hidden unit."""

import math
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from kls.plots.style import DPI, GREY, SMALL_SIZE, TITLE_SIZE, figure_style, new_figure, save, wrap_title

MOST_TILES = 64

_RANGE_PERCENTILE = 99.0
_GAP = 1
_WIDEST_MOSAIC = 1080
_LARGEST_SCALE = 8
_MARGIN = 18
_NARROWEST_FIGURE = 840


def plot_weights(w: np.ndarray, image_shape: tuple[int, int, int], path: Path, title: str) -> None:
    """Write the figure of `weights_figure` to `path` as PNG."""
    save(weights_figure(w, image_shape, title), path)


def weight_tiles(w: np.ndarray, image_shape: tuple[int, int, int]) -> np.ndarray:
    """RGB pictures of the weight vectors, float64 in [0, 1], shape (m, height, width, 3).

    `w` has shape (d, m): column j holds the weights of unit j. `image_shape` is (3, height, width), and a
    column is an image flattened in that order. For each unit, a weight v becomes 0.5 + 0.5 v / r clipped to
    [0, 1], where r is the 99th percentile of the unit's absolute weights over all channels, or their maximum
    if that percentile is 0. Weight 0 is mid grey, and so is a weight that is not finite.

    Raises ValueError if the shapes do not fit.
    """
    channels, height, width = image_shape
    if channels != 3 or w.ndim != 2 or w.shape[0] != channels * height * width or w.shape[1] == 0:
        raise ValueError(f"weights of shape {w.shape} are not columns of images of shape {image_shape}")
    weights = np.where(np.isfinite(w), w, 0.0).astype(np.float64)
    magnitudes = np.abs(weights)
    radius = np.percentile(magnitudes, _RANGE_PERCENTILE, axis=0)
    radius = np.where(radius > 0.0, radius, magnitudes.max(axis=0))
    pictures = 0.5 + 0.5 * np.clip(weights / np.where(radius > 0.0, radius, 1.0), -1.0, 1.0)
    return pictures.T.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)


@figure_style()
def weights_figure(w: np.ndarray, image_shape: tuple[int, int, int], title: str) -> Figure:
    """Figure of the tiles of the first `MOST_TILES` units of `w` (d, m), row by row from the top left.

    The figure's only image holds all tiles; every weight is a square of the same whole number of pixels
    (nearest-neighbour enlargement). The title says how many units are shown, and how many of them have
    weights that are not finite.
    """
    shown = w[:, :MOST_TILES]
    mosaic = _mosaic(weight_tiles(shown, image_shape))
    enlarged = mosaic.repeat(_scale(mosaic), axis=0).repeat(_scale(mosaic), axis=1)
    height, width = enlarged.shape[:2]
    figure_width = max(width + 2 * _MARGIN, _NARROWEST_FIGURE)
    text = wrap_title(f"{title}\n{_summary(w, shown)}", figure_width / DPI)
    title_height = round((text.count("\n") + 1) * 1.25 * TITLE_SIZE * DPI / 72)
    caption_height = round(2 * SMALL_SIZE * DPI / 72)
    figure_height = height + title_height + caption_height + 2 * _MARGIN
    figure = new_figure(figure_width / DPI, figure_height / DPI)
    figure.set_layout_engine("none")
    figure.text(
        _MARGIN / figure_width, 1.0 - 0.6 * _MARGIN / figure_height, text,
        verticalalignment="top", fontsize=TITLE_SIZE, fontweight="bold", parse_math=False,
    )  # fmt: skip
    figure.text(
        _MARGIN / figure_width, 0.6 * _MARGIN / figure_height,
        f"Each unit on its own scale: grey is 0, range ± the {_RANGE_PERCENTILE:g}th percentile of |weight|.",
        fontsize=SMALL_SIZE, color=GREY,
    )  # fmt: skip
    figure.figimage(enlarged, xo=_MARGIN, yo=_MARGIN + caption_height, origin="upper")
    return figure


def _mosaic(tiles: np.ndarray) -> np.ndarray:
    """Tiles (n, height, width, 3) side by side on white, `_GAP` pixels apart, as uint8 RGB."""
    count, height, width, _ = tiles.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    mosaic = np.full((rows * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP, 3), 255, dtype=np.uint8)
    for index, tile in enumerate(tiles):
        top, left = (index // columns) * (height + _GAP), (index % columns) * (width + _GAP)
        mosaic[top : top + height, left : left + width] = np.rint(255.0 * tile).astype(np.uint8)
    return mosaic


def _scale(mosaic: np.ndarray) -> int:
    return int(np.clip(_WIDEST_MOSAIC // mosaic.shape[1], 1, _LARGEST_SCALE))


def _summary(w: np.ndarray, shown: np.ndarray) -> str:
    units = w.shape[1]
    summary = f"{'first ' if units > shown.shape[1] else ''}{shown.shape[1]} of {units} units"
    broken = int((~np.isfinite(shown)).any(axis=0).sum())
    return f"{summary}, {broken} with weights that are not finite" if broken else summary
