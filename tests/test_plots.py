"""Files of figures, and figures of single networks: what they show equals what they were given."""

import math
import struct
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from figures import figure_of, labels_of, legend_of, points_of, title_of
from matplotlib.colors import to_hex
from matplotlib.image import FigureImage, imread

from kls.plots.colours import BLACK, DPI, VERMILLION, WIDTH
from kls.plots.gradient_errors import plot_gradient_errors
from kls.plots.heatmap import plot_confusion
from kls.plots.intervals import Point, Series, plot_intervals
from kls.plots.weights import MOST_TILES, plot_weights, weight_tiles
from kls.records.own_files import is_own

IMAGE_SHAPE = (3, 32, 32)
CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
LONG = "hidden [50, 50], $\\eta$ triangular, lambda 0.005, " * 6
HOSTILE = "a\x1b[31m <b>&\udc80 \u202e $x"
FORMATS = ("png", "svg", "pdf")


def plot_some(folder: Path, formats: tuple[str, ...] = FORMATS) -> None:
    series, rows = [Series(HOSTILE, [Point(0, np.ones(2), 1.0, 0.5, 1.5)])], [(HOSTILE, "")]
    plot_intervals(series, HOSTILE, HOSTILE, folder / "intervals.png", LONG, formats, rows=rows)
    plot_weights(np.random.default_rng(0).normal(size=(3072, 10)), IMAGE_SHAPE, folder / "w.png", LONG)


def test_files_are_whole_ours_and_equal_whatever_the_user_has_set(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    plot_some(tmp_path / "first")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "savefig.dpi": 40, "lines.linewidth": 9}):
        before = dict(matplotlib.rcParams)
        plot_some(tmp_path / "second")
        assert dict(matplotlib.rcParams) == before
    names = sorted(path.name for path in (tmp_path / "first").iterdir())
    assert names == [*(f"intervals.{kind}" for kind in sorted(FORMATS)), "w.png"]
    for path in (tmp_path / "first").iterdir():
        data = path.read_bytes()
        assert data == (tmp_path / "second" / path.name).read_bytes()
        assert is_own(path)
        assert b"Matplotlib v" not in data
        if path.suffix == ".png":
            assert (data[:8], data[-8:-4]) == (b"\x89PNG\r\n\x1a\n", b"IEND")
            assert struct.unpack(">I", data[16:20])[0] == (7 * DPI if path.stem == "intervals" else 1400)
        if path.suffix == ".svg":
            ElementTree.fromstring(data)
        if path.suffix == ".pdf":
            assert (data[:5], data[-6:]) == (b"%PDF-", b"%%EOF\n")
    drawn = (tmp_path / "first" / "intervals.svg").read_text()
    assert "a\\x1b[31m &lt;b&gt;&amp;\\udc80 \\u202e $x" in drawn
    (tmp_path / "of others.pdf").write_bytes(b"%PDF-1.4")
    assert not is_own(tmp_path / "of others.pdf")


def test_a_png_of_few_colours_has_a_palette(tmp_path: Path) -> None:
    plot_some(tmp_path, ("png",))
    colour_types = {path.stem: path.read_bytes()[25] for path in tmp_path.iterdir()}
    assert colour_types == {"intervals": 3, "w": 6}


def test_pyplot_and_pandas_stay_unloaded() -> None:
    package = Path(matplotlib.__file__).parent  # the path of tests holds the package
    assert package.is_dir()
    import kls.plots

    names = [path.stem for path in Path(kls.plots.__file__).parent.glob("[!_]*.py")]
    assert {"style", "learning_curves", "intervals"} <= set(names)
    modules = ", ".join(f"kls.plots.{name}" for name in names)
    check = f"import sys, {modules}; sys.exit({{'matplotlib.pyplot', 'pandas'}} & set(sys.modules) != set())"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


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


@pytest.mark.parametrize(("units", "columns"), [(1, 1), (10, 4), (70, 8)])
def test_weights_file_holds_every_tile_enlarged(tmp_path: Path, units: int, columns: int) -> None:
    w = np.random.default_rng(units).normal(size=(3072, units))
    plot_weights(w, IMAGE_SHAPE, tmp_path / "weights.png", "Weights")
    pixels = np.rint(255 * imread(tmp_path / "weights.png")[..., :3]).astype(int)
    (image,) = figure_of(plot_weights, w, IMAGE_SHAPE).images
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
    title = title_of(figure_of(plot_weights, w, IMAGE_SHAPE))
    assert title == "t first 64 of 70 units, 2 with weights that are not finite; grey is 0, each on its own scale"
    assert title_of(figure_of(plot_weights, w[:, :1], IMAGE_SHAPE)).startswith("t 1 of 1 units; grey")


def test_confusion_cells_are_row_percentages() -> None:
    matrix = np.array([[30, 10, 0], [1, 2, 0], [0, 0, 0]])
    figure = figure_of(plot_confusion, matrix, ["cat", "$dog", "frog_"])
    axes = figure.axes[0]
    cells = [text.get_text() for text in axes.texts]
    assert cells == ["75.00", "25.00", "0.00", "33.33", "66.67", "0.00", "", "", ""]
    assert [patch.get_xy() for patch in axes.patches] == [(i - 0.48, i - 0.48) for i in range(3)]
    assert labels_of(axes, "x") == ["cat", "$dog", "frog_"]
    assert labels_of(axes) == ["cat (40)", "$dog (3)", "frog_ (0)"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Predicted class", "True class\n(number of\nimages)")
    assert title_of(figure) == "t accuracy 74.42 % of 43 images"
    assert title_of(figure_of(plot_confusion, 0 * matrix, CLASSES[:3])) == "t no images"
    figure_of(plot_confusion, np.eye(10, dtype=int), CLASSES, title=LONG)


def test_gradient_boxes_are_percentiles_and_maxima() -> None:
    rng = np.random.default_rng(1)
    errors = {f"layer{i}.W": 10.0 ** rng.normal(-8.0, 0.5, (20, 10)) for i in range(40)}
    figure = figure_of(plot_gradient_errors, errors, tolerance=3e-7)
    axes = figure.axes[0]
    assert (axes.get_xscale(), axes.yaxis_inverted(), labels_of(axes)) == ("log", True, list(errors))
    maxima = {y: x for marker in "oX" for x, y in points_of(axes, marker)}
    points = {(y, x) for line in axes.get_lines() for x, y in np.asarray(line.get_xydata()).tolist()}
    values = axes.child_axes[0].get_yticklabels()
    for row, array in enumerate(errors.values()):
        assert maxima[row] == array.max()
        assert {(row, np.percentile(array, 5)), (row, np.percentile(array, 95))} <= points
        assert values[row].get_text() == f"{array.max():.1e}"
        assert to_hex(values[row].get_color()).upper() == (VERMILLION if array.max() > 3e-7 else BLACK)
        box = axes.patches[row].get_path().get_extents()
        assert (box.x0, box.x1) == pytest.approx(np.percentile(array, [25, 75]), rel=1e-12)
    assert len(points_of(axes, "X")) == sum(array.max() > 3e-7 for array in errors.values()) > 0
    assert legend_of(figure) == ["maximum", "maximum above the tolerance or not finite", "tolerance 3e-07"]


def test_gradient_zeros_and_broken_values_have_a_place() -> None:
    errors = {"zero": np.zeros(5), "half": np.array([0.0, 0.0, 0.0, 1e-9]), "nan": np.array([1e-9, np.nan])}
    errors |= {"inf": np.array([np.inf]), "good": np.array([2e-8])}
    axes = figure_of(plot_gradient_errors, errors).axes[0]
    left, right = axes.get_xlim()
    assert labels_of(axes, "x")[:2] == ["0", "1e-10"]
    assert left < 0.0 < 1e-9 < right
    assert points_of(axes, "o") == [[0.0, 0.0], [1e-9, 1.0], [2e-8, 4.0]]
    broken = points_of(axes, "X")
    assert [y for _, y in broken] == [2.0, 3.0]
    assert 2e-8 < broken[0][0] == broken[1][0] <= right
    assert labels_of(axes.child_axes[0]) == ["0", "1.0e-09", "nan", "inf", "2.0e-08"]
    (zero,) = points_of(figure_of(plot_gradient_errors, {"zero": np.zeros(3)}).axes[0], "o")
    assert zero == [0.0, 0.0]


def test_grey_pictures_and_large_ones_are_shown(tmp_path: Path) -> None:
    w = np.random.default_rng(3).normal(size=(20, 3))
    tiles = weight_tiles(w, (1, 4, 5))
    assert tiles.shape == (3, 4, 5, 3)
    assert (tiles == tiles[..., :1]).all()
    assert tiles[1, 2, 3, 0] == weight_tiles(w[:, 1:2], (1, 4, 5))[0, 2, 3, 0]
    for shape, units in (((1, 300, 200), 20), ((3, 2, 3000), 2), ((1, 900, 3), 5)):
        (image,) = figure_of(plot_weights, np.ones((math.prod(shape), units)), shape).images
        height, width = np.shape(image.get_array())[:2]
        assert width <= WIDTH * DPI
        assert height < 2**15
