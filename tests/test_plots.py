"""Figures of single runs: what they show equals what they were given, and the files are whole PNGs."""

import struct
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.image import FigureImage, imread
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.typing import ColorType

from kls.plots.confusion import confusion_figure, plot_confusion
from kls.plots.curves import curves_figure, plot_curves
from kls.plots.gradient_boxes import gradient_errors_figure, plot_gradient_errors
from kls.plots.style import BLACK, DPI, VERMILLION, figure_style
from kls.plots.weights import MOST_TILES, plot_weights, weight_tiles, weights_figure
from kls.records.names import HISTORY_COLUMNS

pytestmark = pytest.mark.filterwarnings("error")

IMAGE_SHAPE = (3, 32, 32)
CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
LONG_TITLE = "hidden [50, 50], $\\eta$ triangular, lambda 0.005, " * 6


def drawn(figure: Figure) -> Figure:
    with figure_style():
        figure.draw_without_rendering()
    return figure


def title_of(figure: Figure) -> str:
    return figure.get_suptitle().replace("\n", " ")


def png_size(path: Path) -> tuple[int, int]:
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    assert data[-8:-4] == b"IEND"
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def make_history() -> dict[str, np.ndarray]:
    values = np.array([0.1, 0.3, 0.4, 0.35])
    diverged = np.array([2.3, 1e30, np.inf, np.nan])
    columns = {"epoch": np.linspace(0.0, 0.02, 4), "eta": 0.00103 * values, "val_cost": diverged}
    return dict.fromkeys(HISTORY_COLUMNS, values) | columns


def plot_all(folder: Path) -> dict[str, tuple[int, int]]:
    """Write one file of each kind; returns their names and sizes in pixels."""
    w = np.random.default_rng(0).normal(size=(3072, 10))
    errors = {"W1": np.array([0.0, 1e-9, 3e-8, np.nan]), "b1": np.array([1e-300])}
    plot_curves(make_history(), folder / "curves.png", LONG_TITLE)
    plot_weights(w, IMAGE_SHAPE, folder / "weights.png", "Weights")
    plot_confusion(np.eye(10, dtype=int), CLASSES, folder / "confusion.png", LONG_TITLE)
    plot_gradient_errors(errors, folder / "errors.png", LONG_TITLE, tolerance=1e-6)
    weights = weights_figure(w, IMAGE_SHAPE, "Weights").get_size_inches() * DPI
    return {
        "curves.png": (1800, 660),
        "weights.png": (round(weights[0]), round(weights[1])),
        "confusion.png": (1230, 1080),
        "errors.png": (1350, 336),
    }


def test_files_are_whole_pngs_of_the_figure_size(tmp_path: Path) -> None:
    sizes = plot_all(tmp_path)
    assert {path.name: png_size(path) for path in tmp_path.iterdir()} == sizes


def test_files_do_not_depend_on_user_settings_and_change_none(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    plot_all(tmp_path / "first")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "savefig.dpi": 40, "lines.linewidth": 9}):
        before = dict(matplotlib.rcParams)
        plot_all(tmp_path / "second")
        assert dict(matplotlib.rcParams) == before
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes()
        assert b"Matplotlib" not in path.read_bytes()


def test_pyplot_stays_unloaded() -> None:
    modules = "kls.plots.curves, kls.plots.weights, kls.plots.confusion, kls.plots.gradient_boxes"
    check = f"import sys, {modules}; sys.exit({{'matplotlib.pyplot', 'pandas'}} & set(sys.modules) != set())"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_texts_lie_inside_the_figure_and_apart() -> None:
    figures = [
        curves_figure(make_history(), LONG_TITLE),
        weights_figure(np.ones((3072, 3)), IMAGE_SHAPE, LONG_TITLE),
        confusion_figure(np.eye(10, dtype=int), CLASSES, LONG_TITLE),
        gradient_errors_figure({"a very long parameter name": np.array([1e-8, 2e-8])}, LONG_TITLE, 1e-6),
    ]
    for figure in figures:
        occupied = drawn(figure).get_tightbbox()
        assert occupied.x0 >= 0.0
        assert occupied.x1 <= figure.get_figwidth()
        assert occupied.y0 >= 0.0
        assert occupied.y1 <= figure.get_figheight()
    for axes in figures[0].axes[:3]:
        (legend,) = [child for child in axes.artists if isinstance(child, Legend)]
        title = next(text for text in axes.findobj(Text) if text.get_text() == axes.get_title(loc="left"))
        assert title.get_window_extent().x1 < legend.get_window_extent().x0


def test_weight_tiles_scale_each_unit_around_grey() -> None:
    rng = np.random.default_rng(0)
    w = rng.normal(0.0, 1.0, (3072, 4)).astype(np.float32) * np.array([1.0, 1e-3, 0.0, 5.0], dtype=np.float32)
    w[7, 3] = np.inf
    tiles = weight_tiles(w, IMAGE_SHAPE)
    assert tiles.shape == (4, 32, 32, 3)
    radius = np.percentile(np.abs(w[:, 1].astype(np.float64)), 99)
    for channel, row, column in ((0, 0, 0), (1, 3, 30), (2, 31, 31)):
        weight = w[1024 * channel + 32 * row + column, 1]
        expected = np.clip(0.5 + 0.5 * weight / radius, 0.0, 1.0)
        assert tiles[1, row, column, channel] == pytest.approx(expected, abs=1e-12)
    assert np.mean((tiles[1] == 0.0) | (tiles[1] == 1.0)) == pytest.approx(0.01, abs=0.001)
    np.testing.assert_array_equal(tiles[2], 0.5)
    assert tiles[3, 0, 7, 0] == 0.5
    lone = np.zeros((3072, 1))
    lone[5] = -2.0
    assert weight_tiles(lone, IMAGE_SHAPE)[0, 0, 5].tolist() == [0.0, 0.5, 0.5]
    with pytest.raises(ValueError, match="not columns of images"):
        weight_tiles(w.T, IMAGE_SHAPE)


@pytest.mark.parametrize(("units", "columns"), [(1, 1), (10, 4), (70, 8)])
def test_weights_file_holds_every_tile_enlarged(tmp_path: Path, units: int, columns: int) -> None:
    w = np.random.default_rng(units).normal(size=(3072, units))
    plot_weights(w, IMAGE_SHAPE, tmp_path / "weights.png", "Weights")
    pixels = np.rint(255 * imread(tmp_path / "weights.png")[..., :3]).astype(int)
    (image,) = weights_figure(w, IMAGE_SHAPE, "Weights").images
    assert isinstance(image, FigureImage)
    shown = np.asarray(image.get_array()).astype(int)
    top = len(pixels) - image.oy - len(shown)
    np.testing.assert_array_equal(pixels[top : top + len(shown), image.ox : image.ox + shown.shape[1]], shown)
    scale = shown.shape[1] // (33 * columns - 1)
    tiles = np.rint(255 * weight_tiles(w[:, :MOST_TILES], IMAGE_SHAPE)).astype(int)
    for index, tile in enumerate(tiles):
        y, x = 33 * scale * (index // columns), 33 * scale * (index % columns)
        enlarged = np.kron(tile, np.ones((scale, scale, 1), dtype=int))
        np.testing.assert_array_equal(shown[y : y + 32 * scale, x : x + 32 * scale], enlarged)


def test_weights_title_counts_units() -> None:
    w = np.ones((3072, 70))
    w[0, [1, 5, 69]] = np.nan
    title = weights_figure(w, IMAGE_SHAPE, "Weights").texts[0].get_text().replace("\n", " ")
    assert title == "Weights first 64 of 70 units, 2 with weights that are not finite"
    assert weights_figure(w[:, :1], IMAGE_SHAPE, "Weights").texts[0].get_text() == "Weights\n1 of 1 units"


def test_confusion_cells_are_row_percentages_in_readable_colours() -> None:
    matrix = np.array([[30, 10, 0], [1, 2, 0], [0, 0, 0]])
    figure = drawn(confusion_figure(matrix, ["cat", "$dog", "frog_"], "Test"))
    axes = figure.axes[0]
    cells = [text.get_text() for text in axes.texts]
    assert cells == ["75.0", "25.0", "0.0", "33.3", "66.7", "0.0", "-", "-", "-"]
    assert [text.get_fontweight() == "bold" for text in axes.texts] == [i in (0, 4, 8) for i in range(9)]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["cat", "$dog", "frog_"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["cat (40)", "$dog (3)", "frog_ (0)"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Predicted class", "True class (number of images)")
    assert title_of(figure) == "Test accuracy 74.42 % of 43 images"


def relative_luminance(colour: ColorType) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_confusion_text_reaches_contrast_aa_on_every_shade() -> None:
    matrix = np.array([[100 - n, n] for n in range(0, 100, 5)]) @ np.eye(2, 20, dtype=int)
    axes = confusion_figure(matrix.astype(int), [f"class {i}" for i in range(20)], "Test").axes[0]
    shades = axes.images[0].to_rgba(matrix)
    for text, shade in zip(axes.texts, shades.reshape(-1, 4).tolist(), strict=True):
        dark, light = sorted((relative_luminance(text.get_color()), relative_luminance(tuple(shade))))
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_confusion_rejects_what_is_not_counts() -> None:
    for matrix in (np.ones((2, 3), dtype=int), np.eye(2), np.array([[1, -1], [0, 1]])):
        with pytest.raises(ValueError, match="counts of 2 classes"):
            confusion_figure(matrix, ["a", "b"], "Test")


def maxima_of(axes: Axes) -> dict[int, float]:
    lines = [line for line in axes.get_lines() if str(line.get_label()).startswith("maximum")]
    return {int(y): float(x) for line in lines for x, y in np.asarray(line.get_xydata())}


def test_gradient_boxes_are_percentiles_and_maxima() -> None:
    rng = np.random.default_rng(1)
    errors = {f"layer{i}.W": 10.0 ** rng.normal(-8.0, 0.5, (20, 10)) for i in range(40)}
    axes = drawn(gradient_errors_figure(errors, "Gradients", tolerance=3e-7)).axes[0]
    assert axes.get_xscale() == "log"
    assert axes.yaxis_inverted()
    assert [text.get_text() for text in axes.get_yticklabels()] == list(errors)
    points = {(y, x) for line in axes.get_lines() for x, y in np.asarray(line.get_xydata()).tolist()}
    values = axes.child_axes[0].get_yticklabels()
    for row, array in enumerate(errors.values()):
        assert maxima_of(axes)[row] == array.max()
        assert {(row, np.percentile(array, 5)), (row, np.percentile(array, 95))} <= points
        assert values[row].get_text() == f"{array.max():.1e}"
        assert to_hex(values[row].get_color()).upper() == (VERMILLION if array.max() > 3e-7 else BLACK)
        box = axes.patches[row].get_path().get_extents()
        assert (box.x0, box.x1) == pytest.approx(np.percentile(array, [25, 75]), rel=1e-12)
    assert {to_hex(text.get_color()).upper() for text in values} == {VERMILLION, BLACK}
    labels = [text.get_window_extent() for text in axes.get_yticklabels()]
    assert all(upper.y0 >= lower.y1 for upper, lower in pairwise(labels))
    (tolerance,) = [line for line in axes.get_lines() if line.get_label() == "tolerance 3e-07"]
    np.testing.assert_array_equal(tolerance.get_xdata(), [3e-7, 3e-7])


def test_gradient_zeros_and_broken_values_have_a_place() -> None:
    errors = {"zero": np.zeros(5), "half": np.array([0.0, 0.0, 0.0, 1e-9]), "nan": np.array([1e-9, np.nan])}
    errors |= {"inf": np.array([np.inf]), "good": np.array([2e-8])}
    axes = drawn(gradient_errors_figure(errors, "Gradients")).axes[0]
    left, right = axes.get_xlim()
    maxima = maxima_of(axes)
    assert [text.get_text() for text in axes.get_xticklabels()[:2]] == ["0", "$10^{-10}$"]
    zero, lowest = axes.get_xticks()[:2]
    assert left < maxima[0] == zero < lowest == 1e-10
    assert maxima[1] == 1e-9
    assert maxima[4] == 2e-8
    assert [1.0, zero] in [[y, x] for line in axes.get_lines() for x, y in np.asarray(line.get_xydata())]
    assert 2e-8 < maxima[2] == maxima[3] < right
    values = [text.get_text() for text in axes.child_axes[0].get_yticklabels()]
    assert values == ["0", "1.0e-09", "nan", "inf", "2.0e-08"]
    axes = drawn(gradient_errors_figure({"zero": np.zeros(3)}, "Gradients")).axes[0]
    assert axes.get_xlim()[0] < maxima_of(axes)[0] == axes.get_xticks()[0] < axes.get_xlim()[1]


def test_gradient_boxes_reject_empty_and_negative_errors() -> None:
    for errors in ({}, {"W1": np.zeros(0)}, {"W1": np.array([-1e-9])}):
        with pytest.raises(ValueError, match="errors"):
            gradient_errors_figure(errors, "Gradients")
