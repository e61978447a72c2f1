"""The first layer's weights as pictures, one tile for each hidden unit."""

import math
from pathlib import Path

import numpy as np

from kls.plots.colours import DPI, WIDTH
from kls.plots.style import figure_style, new_figure, save

CHANNELS = (1, 3)  # of pictures that can be shown
MOST_TILES = 64
_MARGIN, _LARGEST_SCALE = 24, 10  # pixels


@figure_style()
def plot_weights(w: np.ndarray, image_shape: tuple[int, int, int], path: Path, title: str) -> None:
    """Write a figure of the tiles of the first `MOST_TILES` units of `w` (d, m), row by row from the top left.

    Every weight is a square of the same whole number of pixels; of pictures larger than the figure only every second,
    third, ... weight is shown. The title says how many units are shown, and how many of them have weights that are not
    finite.
    """
    shown, units, room = w[:, :MOST_TILES], w.shape[1], int(WIDTH * DPI) - 2 * _MARGIN
    every = -(-max(image_shape[1:]) // room)
    mosaic = _mosaic(weight_tiles(shown, image_shape)[:, ::every, ::every], room)
    scale = int(np.clip(room // max(mosaic.shape[:2]), 1, _LARGEST_SCALE))
    enlarged = mosaic.repeat(scale, axis=0).repeat(scale, axis=1)
    figure = new_figure((len(enlarged) + 2 * _MARGIN) / DPI)
    figure.set_layout_engine("none")
    figure.figimage(enlarged, xo=_MARGIN, yo=_MARGIN, origin="upper")
    broken = int((~np.isfinite(shown)).any(axis=0).sum())
    title += f"\n{'first ' if units > shown.shape[1] else ''}{shown.shape[1]} of {units} units"
    title += f", {broken} with weights that are not finite" if broken else ""
    save(figure, path, f"{title}; grey is 0, each on its own scale")


def weight_tiles(w: np.ndarray, image_shape: tuple[int, int, int]) -> np.ndarray:
    """RGB pictures of the weight vectors, float64 in [0, 1], shape (m, height, width, 3).

    Column j of `w` (d, m) holds the weights of unit j, an image of `image_shape` flattened: 1 or 3 channels, height,
    width. For each unit, a weight v becomes 0.5 + 0.5 v / r clipped to [0, 1]; r is the 99th percentile of the unit's
    absolute weights, or their maximum if that is 0. Weight 0 is mid grey, and so is a weight that is not finite.
    """
    weights = np.where(np.isfinite(w), w, 0.0).astype(np.float64)
    radius = np.percentile(np.abs(weights), 99.0, axis=0)
    radius = np.where(radius > 0.0, radius, np.abs(weights).max(axis=0))
    pictures = 0.5 + 0.5 * np.clip(weights / np.where(radius > 0.0, radius, 1.0), -1.0, 1.0)
    tiles = pictures.T.reshape(-1, *image_shape).transpose(0, 2, 3, 1)
    return np.broadcast_to(tiles, (*tiles.shape[:3], 3))


def _mosaic(tiles: np.ndarray, room: int) -> np.ndarray:
    """Tiles (n, height, width, 3) side by side on white, one pixel apart, as uint8 RGB, at most `room` pixels wide."""
    count, height, width, _ = tiles.shape
    columns = min(math.ceil(math.sqrt(count)), max((room + 1) // (width + 1), 1))
    tiles = np.pad(np.rint(255.0 * tiles), ((0, -count % columns), (0, 1), (0, 1), (0, 0)), constant_values=255.0)
    rows = tiles.reshape(-1, columns, height + 1, width + 1, 3).swapaxes(1, 2)
    return rows.reshape(-1, columns * (width + 1), 3)[:-1, :-1].astype(np.uint8)
