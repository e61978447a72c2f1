"""Figures of many runs: what they show equals what they were given; nothing hides and nothing leaves unsaid."""

from typing import Any

import numpy as np
import pytest
from figures import figure_of, labels_of, legend_of, points_of
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from kls.plots.colours import BLUE, PALETTE, VERMILLION
from kls.plots.heatmap import plot_heatmap
from kls.plots.intervals import MOST_SERIES, Point, Series, plot_intervals
from kls.plots.search import Mark, Peak, SearchPanel, plot_search
from kls.plots.style import Band

LONG = "3layer_bn, lam 0.002236, $eta_max$ 0.1, sigma 0.0001"


def one_stage(setting: str, log: bool, budget: str, x: Any, y: Any, diverged: int = 0, **rest: Any) -> SearchPanel:
    """Trials of one stage, "trials", of which the first have diverged."""
    intervals = {"trials": rest.pop("interval")} if "interval" in rest else {}
    trials = np.asarray(x, dtype=float), np.asarray(y), np.full(len(x), "trials"), np.arange(len(x)) < diverged
    return SearchPanel(setting, log, budget, *trials, intervals, **rest)


def bars_of(axes: Axes) -> list[tuple[float, ...]]:
    lines = [line for line in axes.get_lines() if line.get_label() == "interval searched"]
    return [tuple(np.asarray(line.get_xdata())) for line in lines]


def test_search_draws_trials_intervals_curve_and_marks() -> None:
    x = np.array([1e-4, 1e-3, 1e-2])
    curve = Band(x, np.array([41.0, 45.0, 44.0]), np.array([40.0, 44.0, 43.0]), np.array([42.0, 46.0, 45.0]))
    confirmed = Mark(5e-3, 49.0, "confirmed, 20 epochs: 49 %", 48.0, 49.5)
    panel = SearchPanel(
        "lam $", True, "10 epochs", np.array([1e-4, 1e-3, 1e-2, 2e-3, 5e-3]), np.array([40.0, 45.0, 44.0, 46.0, 50.0]),
        np.array(["coarse"] * 3 + ["fine"] * 2), np.array([False, False, False, True, False]),
        {"coarse": (1e-5, 1e-1), "fine": (1e-3, 1e-2)}, Mark(5e-3, 50.0, "best trial"), confirmed, curve,
    )  # fmt: skip
    figure = figure_of(plot_search, [panel], "Validation accuracy (%)")
    (axes,) = figure.axes
    assert (axes.get_xscale(), axes.get_xlabel(), axes.get_ylabel()) == ("log", "lam $", "Validation accuracy (%)")
    assert axes.get_title(loc="left") == "10 epochs"
    assert points_of(axes, "o") == [[1e-4, 40.0], [1e-3, 45.0], [1e-2, 44.0]]
    assert points_of(axes, "s") == [[5e-3, 50.0]]
    assert points_of(axes, "x") == [[2e-3, 46.0]]
    assert points_of(axes, "*") == [[5e-3, 50.0]]
    assert points_of(axes, "D") == [[5e-3, 49.0]]
    assert [5e-3, 48.0] in points_of(axes, "_")
    assert bars_of(axes) == [(1e-5, 1e-1), (1e-3, 1e-2)]
    heights = [line.get_ydata()[0] for line in axes.get_lines() if line.get_label() == "interval searched"]
    assert axes.get_ylim()[0] < heights[0] < heights[1] < 40.0  # side by side, below all trials
    smooth = next(line for line in axes.get_lines() if "smooth" in str(line.get_label()))
    np.testing.assert_array_equal(smooth.get_ydata(), curve.mean)
    colours = {str(line.get_label()): to_hex(line.get_color()).upper() for line in axes.get_lines()}
    assert (colours["coarse"], colours["fine"]) == (BLUE, VERMILLION)
    assert legend_of(figure) == [
        "smooth curve, 95 % band", "coarse", "interval searched", "fine", "diverged", "best trial",
        "confirmed, 20 epochs: 49 %",
    ]  # fmt: skip
    assert axes.get_xlim()[0] < 1e-5
    assert axes.get_xlim()[1] > 1e-1


def test_search_draws_the_top_of_the_curve_its_interval_and_the_flat_region() -> None:
    x = np.array([1e-4, 1e-3, 1e-2])
    peak = Peak(2e-3, 45.5, 1e-3, 4e-3, 5e-4, 8e-3)
    panel = one_stage("lam", True, "", x, [41.0, 45.0, 44.0], curve=Band(x, x, x, x), peak=peak)
    figure = figure_of(plot_search, [panel], "Score")
    (axes,) = figure.axes
    assert [2e-3, 45.5] in points_of(axes, "o")
    assert points_of(axes, "|") == [[1e-3, 45.5], [4e-3, 45.5]]
    (flat,) = axes.patches
    assert (flat.get_x(), flat.get_x() + flat.get_width()) == (5e-4, pytest.approx(8e-3))  # type: ignore[attr-defined]
    shown = ["smooth curve, 95 % band", "not told from the optimum", "optimum, 95 % interval", "trials"]
    assert legend_of(figure) == shown


def test_each_budget_has_a_panel_with_its_own_scale() -> None:
    panels = [one_stage("n_s", False, f"{n} epochs", [1, 2], [n, n + 1.0]) for n in (10, 20, 30)]
    figure = figure_of(plot_search, panels, "Loss")
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in shown] == ["10 epochs", "20 epochs", "30 epochs"]
    assert [axes.get_ylim()[1] for axes in shown] == pytest.approx([11.06, 21.06, 31.06])
    assert legend_of(figure) == ["trials"]


def test_search_gives_zero_a_place_on_a_log_axis() -> None:
    x, y, best = [0.0, 1e-4, 1e-2], [1.0, 2.0, 3.0], Mark(0.0, 1.0, "best")
    panel = one_stage("lam", True, "", x, y, interval=(0.0, 1e-2), best=best)
    (axes,) = figure_of(plot_search, [panel], "Score").axes
    places = axes.transData.transform([[0.0, 1.0], [1e-4, 1.0], [1e-2, 1.0]])[:, 0]
    assert (places[1] - places[0]) / (places[2] - places[0]) == pytest.approx(1 / 3, abs=0.05)
    assert labels_of(axes, "x") == ["0", "0.0001", "0.01"]
    assert points_of(axes, "o")[0] == points_of(axes, "*")[0] == [0.0, 1.0]
    assert bars_of(axes) == [(0.0, 1e-2)]


def test_search_draws_hopeless_scores_on_the_edge_and_counts_them() -> None:
    y = [10.0, np.inf, 50.0, 51.0, 52.0, 53.0, 54.0, 55.0]
    panel = one_stage("lam", False, "", range(8), y, diverged=2)
    figure = figure_of(plot_search, [panel], "Score")
    (axes,) = figure.axes
    low, high = axes.get_ylim()
    assert (low, high) == pytest.approx((49.7 - 0.05 * 5.6, 55.3))
    assert points_of(axes, "v") == [[0.0, low], [1.0, low]]
    assert points_of(axes, "o")[0] == [2.0, 50.0]
    assert axes.get_title(loc="right") == "2 off the scale"
    assert legend_of(figure) == ["trials", "off the scale"]
    losses = [one_stage("lam", False, "", range(8), [90.0, np.nan, *y[2:]])]
    (axes,) = figure_of(plot_search, losses, "Loss", lower_is_better=True).axes
    assert points_of(axes, "^") == [[0.0, axes.get_ylim()[1]], [1.0, axes.get_ylim()[1]]]


def test_search_of_nothing_finite_and_of_very_many() -> None:
    (axes,) = figure_of(plot_search, [one_stage("lam", True, "", [1e-3], [np.nan])], "Score").axes
    assert points_of(axes, "v") == [[1e-3, axes.get_ylim()[0]]]
    rng = np.random.default_rng(0)
    sizes = []
    for n in (499, 500):
        panel = one_stage("x", False, "", rng.uniform(size=n), rng.uniform(size=n))
        sizes.append(figure_of(plot_search, [panel], "Score").axes[0].get_lines()[0].get_markersize())
    assert sizes == [5.0, 2.0]


MEANS = np.array([[52.214, np.nan, 10.0], [50.0, 51.005, 49.999]])
ROWS, COLUMNS = ("batch norm $", ["off", "on"]), ("Initial sigma", ["0.0001", "$0.01", "0.1"])


def test_heatmap_cells_show_means() -> None:
    figure = figure_of(plot_heatmap, MEANS, ROWS, COLUMNS, "Accuracy (%)")
    axes, bar = figure.axes
    cells = [text.get_text() for text in axes.texts]
    assert cells == ["52.21", "", "10.00", "50.00", "51.01", "50.00"]
    np.testing.assert_array_equal(np.asarray(axes.images[0].get_array()), MEANS)
    assert axes.images[0].get_clim() == (10.0, 52.214)
    assert (labels_of(axes, "x"), labels_of(axes)) == (COLUMNS[1], ROWS[1])
    assert (axes.get_xlabel(), axes.get_ylabel(), bar.get_ylabel()) == (COLUMNS[0], ROWS[0], "Accuracy (%)")
    assert not axes.patches


def test_heatmap_shades_leave_black_readable() -> None:
    image = figure_of(plot_heatmap, MEANS, ROWS, COLUMNS, "Accuracy (%)").axes[0].images[0]
    colours = image.to_rgba(np.linspace(10.0, 52.214, 20))[:, :3]
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    luminance = linear @ (0.2126, 0.7152, 0.0722)
    assert ((luminance + 0.05) / 0.05 >= 7.0).all()
    assert (np.diff(luminance) < 0.0).all()


def test_heatmap_of_equal_or_no_means_and_of_long_labels() -> None:
    for means in (np.full((2, 3), 50.0), np.full((2, 3), np.nan)):
        figure = figure_of(plot_heatmap, means, ROWS, COLUMNS, "Accuracy (%)")
        assert {text.get_text() for text in figure.axes[0].texts} == {"50.00" if np.isfinite(means).all() else ""}
    figure_of(plot_heatmap, np.ones((1, 9)), (LONG, [LONG]), (LONG, [LONG] * 9), LONG, title=LONG * 3)


def shown_dots(axes: Axes, flat: bool = False) -> np.ndarray:
    """Places and values of all dots of seeds, in this order."""
    lines = [line for line in axes.get_lines() if line.get_alpha() == 0.6]
    dots = np.concatenate([np.asarray(line.get_xydata()) for line in lines])
    return dots[:, ::-1] if flat else dots


def test_thirty_seeds_show_as_thirty_dots() -> None:
    grid = np.array([1e-3, 3e-3])  # most seeds share their best value
    points = [Point(float(width), grid[np.arange(6) % 2], 2e-3, 1e-3, 4e-3) for width in (30, 50, 100, 200, 400)]
    line = Band(np.array([30.0, 400.0]), np.array([2e-3, 1e-3]), np.array([1e-3, 5e-4]), np.array([3e-3, 2e-3]))
    series = [Series("", points, line)]
    options = {"log_x": True, "log_y": True, "dot": "best of one seed", "mean": "best", "line": "power law"}
    figure = figure_of(plot_intervals, series, "Hidden units", "Best lam", **options)
    (axes,) = figure.axes
    dots = shown_dots(axes)
    assert dots.shape == (30, 2)
    pixels = np.unique(dots[:, 0])
    assert pixels.size == 30
    assert np.diff(pixels).min() > 0.005  # of the width of the axes
    assert set(dots[:, 1]) == {1e-3, 3e-3}
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert labels_of(axes, "x") == ["30", "50", "100", "200", "400"]
    fitted = next(one for one in axes.get_lines() if one.get_label() == "power law")
    np.testing.assert_array_equal(fitted.get_ydata(), line.mean)
    assert legend_of(figure) == ["power law", "best of one seed", "best"]


def test_means_are_at_their_place_and_series_side_by_side() -> None:
    one = [Series("", [Point(1.0, np.array([1.0, 3.0]), 2.0, 1.5, 2.5), Point(100.0, np.array([4.0]), 4.0)])]
    (axes,) = figure_of(plot_intervals, one, "n_s", "Score", log_x=True).axes
    means = next(line for line in axes.get_lines() if line.get_markersize() == 7.0 and len(line.get_xdata()))
    shares = (axes.transScale + axes.transLimits).transform([[1.0, 2.0], [100.0, 4.0]])[:, 0]
    np.testing.assert_allclose(means.get_xdata(), shares)
    np.testing.assert_array_equal(means.get_ydata(), [2.0, 4.0])
    assert means.get_linestyle() == "-"
    bars = [line.get_ydata().tolist() for line in axes.get_lines() if line.get_linewidth() == 1.8]
    assert bars == [[1.5, 2.5]]
    two = [Series(name, one[0].points) for name in ("with BN", "without")]
    figure = figure_of(plot_intervals, two, "n_s", "Score", log_x=True)
    lines = [line for line in figure.axes[0].get_lines() if line.get_markersize() == 7.0 and len(line.get_xdata())]
    assert [line.get_color() for line in lines] == list(PALETTE[:2])
    assert (lines[0].get_xdata() < shares).all()
    assert (lines[1].get_xdata() > shares).all()
    assert legend_of(figure) == ["with BN", "without", "one seed", "mean and 95 % interval"]


def test_categories_are_rows_and_zero_is_a_line() -> None:
    points = [Point(row, np.array([-0.5, 1.5]), 0.5, -1.0, 2.0) for row in range(2)]
    rows = [(LONG * 2, "first $"), ("$b", "")]
    (axes,) = figure_of(plot_intervals, [Series("", points)], "Network", "Gain (points)", rows=rows).axes
    assert labels_of(axes) == [LONG * 2, "$b"]
    assert labels_of(axes.child_axes[0]) == ["first $", ""]
    assert axes.yaxis_inverted()
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Gain (points)", "Network")
    assert [0.0, 0.0] in [list(line.get_xdata()) for line in axes.get_lines()]
    dots = shown_dots(axes, flat=True)
    assert dots[:, 1].tolist() == [-0.5, 1.5, -0.5, 1.5]
    assert (dots[:2, 0] > 0.5).all()
    assert (dots[2:, 0] < 0.5).all()


def test_an_interval_that_would_squeeze_all_others_is_an_arrow() -> None:
    points = [Point(1.0, np.array([50.0, 50.1]), 50.05, 45.0, 55.1)]
    points += [Point(2.0, np.array([50.2, 49.9]), 50.05, 49.9, 50.2)]
    figure = figure_of(plot_intervals, [Series("", points)], "x", "Accuracy (%)")
    low, high = figure.axes[0].get_ylim()
    assert (low, high) == (pytest.approx(49.6 - 0.054), pytest.approx(50.5 + 0.054))
    assert [y for _, y in points_of(figure.axes[0], "v")] == [low]
    assert [y for _, y in points_of(figure.axes[0], "^")] == [high]
    assert "goes on off the scale" in legend_of(figure)


def test_intervals_of_one_equal_point_and_of_many_series() -> None:
    (axes,) = figure_of(plot_intervals, [Series("", [Point(0.0, np.full(3, 50.0), 50.0)])], "lam", "y", log_x=True).axes
    assert np.unique(shown_dots(axes)[:, 0]).size == 3
    many = [Series(f"{n}", [Point(1.0, np.ones(1), 1.0)]) for n in range(MOST_SERIES + 1)]
    assert np.unique(shown_dots(figure_of(plot_intervals, many, "x", "y").axes[0])[:, 0]).size == len(many)


def test_series_of_rows_do_not_hide_each_other() -> None:
    seconds = {"kls": [0.4, 0.07], "PyTorch": [0.6], "JAX": [0.6, 0.07], "floor": [0.3, 0.06]}
    series = [
        Series(name, [Point(row, np.empty(0), value) for row, value in enumerate(values)])
        for name, values in seconds.items()
    ]
    rows = ["3-layer BN, 3,072 inputs", "9-layer BN, 537 inputs, 10 together"]
    figure = figure_of(plot_intervals, series, "", "Seconds", log_y=True, rows=[(row, "") for row in rows])
    (axes,) = figure.axes
    drawn = [line for line in axes.get_lines() if line.get_markersize() == 7.0 and len(line.get_xdata())]
    assert [line.get_xdata().tolist() for line in drawn] == [[0.4, 0.07], [0.6], [0.6, 0.07], [0.3, 0.06]]
    heights = np.concatenate([line.get_ydata() for line in drawn])
    assert np.unique(heights).size == heights.size == 7
    assert (axes.get_xscale(), labels_of(axes)) == ("log", rows)
    assert legend_of(figure) == ["kls", "PyTorch", "JAX", "floor"]
