"""Figures of many runs: what they show equals what they were given, and no text leaves its place."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from kls.plots.comparison import MOST_CURVES, Curve, comparison_figure, plot_comparison
from kls.plots.heatmap import HeatPanel, heatmap_figure, plot_heatmap
from kls.plots.search import SearchPanel, SearchStage, plot_search, score_limits, search_figure
from kls.plots.seeds import plot_seeds, seeds_figure
from kls.plots.style import BLUE, VERMILLION, figure_style

pytestmark = pytest.mark.filterwarnings("error")

LONG = "3layer_bn, lam 0.002236, $eta_max$ 0.1, sigma 0.0001"


def drawn(figure: Figure) -> Figure:
    with figure_style():
        figure.draw_without_rendering()
    return figure


def title_lines(figure: Figure) -> list[str]:
    return figure.get_suptitle().splitlines()


def legend_of(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def points_of(axes: Axes, label: str, marker: str) -> list[list[float]]:
    lines = [line for line in axes.get_lines() if line.get_label() == label and line.get_marker() == marker]
    return np.concatenate([np.asarray(line.get_xydata()) for line in lines]).tolist() if lines else []


def shades_of(axes: Axes) -> list[tuple[float, float]]:
    boxes = [patch.get_extents().transformed(axes.transData.inverted()) for patch in axes.patches]
    return [(box.x0, box.x1) for box in boxes]


def stage(name: str, x: list[float], y: list[float], diverged: int = 0, **interval: tuple[float, float]) -> SearchStage:
    """The first ``diverged`` trials have diverged."""
    return SearchStage(name, np.array(x), np.array(y), np.arange(len(x)) < diverged, **interval)


def two_stages() -> list[SearchStage]:
    coarse = stage("coarse", [1e-4, 1e-3, 1e-2], [40.0, 45.0, 44.0], interval=(1e-5, 1e-1))
    return [coarse, stage("fine", [2e-3, 5e-3], [46.0, 50.0], diverged=1, interval=(1e-3, 1e-2))]


def test_search_draws_trials_intervals_and_winner() -> None:
    panel = SearchPanel("lam", True, two_stages(), (5e-3, 50.0))
    figure = drawn(search_figure([panel], "Validation accuracy (%)", "best: lam 0.005", "Search, n=5"))
    (axes,) = figure.axes
    assert (axes.get_xscale(), axes.get_xlabel(), axes.get_ylabel()) == ("log", "lam", "Validation accuracy (%)")
    assert points_of(axes, "coarse", "o") == [[1e-4, 40.0], [1e-3, 45.0], [1e-2, 44.0]]
    assert points_of(axes, "fine", "s") == [[5e-3, 50.0]]
    assert points_of(axes, "fine", "x") == [[2e-3, 46.0]]
    assert points_of(axes, "best", "*") == [[5e-3, 50.0]]
    colours = {str(line.get_label()): to_hex(line.get_color()).upper() for line in axes.get_lines()[:-1]}
    assert colours == {"coarse": BLUE, "fine": VERMILLION}
    assert shades_of(axes) == [pytest.approx((1e-5, 1e-1)), pytest.approx((1e-3, 1e-2))]
    assert legend_of(figure) == ["coarse", "fine", "diverged", "best"]
    assert title_lines(figure) == ["Search, n=5", "best: lam 0.005"]
    left, right = axes.get_xlim()
    assert left < 1e-5
    assert right > 1e-1


def test_search_of_one_stage_without_winner_needs_no_legend() -> None:
    figure = search_figure(
        [SearchPanel("n_s", False, [stage("trials", [100.0, 200.0], [1.0, 2.0])])], "Loss", "", "Search"
    )
    assert figure.axes[0].get_xscale() == "linear"
    assert figure.axes[0].get_xlim() == pytest.approx((96.0, 204.0))
    assert legend_of(figure) == []
    assert title_lines(figure) == ["Search"]


def test_search_gives_zero_a_place_on_a_log_axis() -> None:
    panel = SearchPanel(
        "lam", True, [stage("trials", [0.0, 1e-4, 1e-2], [1.0, 2.0, 3.0], interval=(0.0, 1e-2))], (0.0, 1.0)
    )
    axes = drawn(search_figure([panel], "Score", "best", "Search")).axes[0]
    place = axes.get_xticks()[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["0", "$10^{-4}$", "$10^{-3}$", "$10^{-2}$"]
    assert axes.get_xlim()[0] < place < 1e-4
    assert points_of(axes, "trials", "o")[0] == [place, 1.0]
    assert points_of(axes, "best", "*") == [[place, 1.0]]
    assert shades_of(axes) == [pytest.approx((place, 1e-2))]


def test_search_draws_hopeless_scores_on_the_edge_and_counts_them() -> None:
    y = [10.0, np.inf, 50.0, 51.0, 52.0, 53.0, 54.0, 55.0]
    panel = SearchPanel("lam", False, [stage("trials", list(range(8)), y)])
    figure = search_figure([panel], "Score", "", "Search")
    low, high = figure.axes[0].get_ylim()
    assert (low, high) == pytest.approx((50.0 - 0.3, 55.0 + 0.3))
    assert points_of(figure.axes[0], "trials", "o")[:3] == [[0.0, low], [1.0, low], [2.0, 50.0]]
    assert title_lines(figure)[-1] == "2 trials are off the scale, drawn on its edge"
    one = SearchPanel("lam", False, [stage("trials", list(range(7)), y[1:])])
    figure = search_figure([one], "Score", "", "Search")
    assert title_lines(figure)[-1] == "1 trial is off the scale, drawn on its edge"
    losses = [SearchPanel("lam", False, [stage("trials", list(range(8)), [90.0, np.inf, *y[2:]])])]
    figure = search_figure(losses, "Loss", "", "Search", lower_is_better=True)
    high = figure.axes[0].get_ylim()[1]
    assert high == pytest.approx(55.3)
    assert points_of(figure.axes[0], "trials", "o")[:2] == [[0.0, high], [1.0, high]]


def test_limits_keep_what_is_not_far_and_survive_having_nothing() -> None:
    assert score_limits(np.array([40.0, 50.0, 51.0, 60.0]), False) == pytest.approx((38.8, 61.2))
    assert score_limits(np.array([0.0, 50.0, 50.0, 50.0, 50.0]), False) == pytest.approx((-3.0, 53.0))
    assert score_limits(np.array([50.0]), False) == (47.5, 52.5)
    assert score_limits(np.array([0.0]), True) == (-1.0, 1.0)
    assert score_limits(np.array([np.nan, np.inf]), False) == (0.0, 1.0)


@pytest.mark.parametrize(("n", "grid"), [(1, (1, 1)), (2, (1, 2)), (3, (1, 3)), (4, (2, 2)), (5, (2, 3)), (6, (2, 3))])
def test_search_has_a_panel_for_each_setting(n: int, grid: tuple[int, int]) -> None:
    panels = [SearchPanel(f"setting {i}", False, two_stages()) for i in range(n)]
    figure = drawn(search_figure(panels, "Score", "", "Search"))
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_xlabel() for axes in shown] == [f"setting {i}" for i in range(n)]
    spec = shown[0].get_subplotspec()
    assert spec is not None
    assert spec.get_gridspec().get_geometry() == grid
    assert len({axes.get_ylim() for axes in shown}) == 1


def test_search_rejects_no_and_too_many_panels() -> None:
    for n in (0, 7):
        with pytest.raises(ValueError, match="1 to 6"):
            search_figure([SearchPanel("lam", True, two_stages())] * n, "Score", "", "Search")


def heat_panel(title: str = "3 layers") -> HeatPanel:
    means = np.array([[52.214, np.nan, 10.0], [50.0, 51.005, 49.999]])
    return HeatPanel(title, means, np.array([[3, 0, 3], [3, 2, 1]]))


ROWS, COLUMNS = ("bn.enabled", ["false", "true"]), ("sigma", ["0.0001", "$0.01", "0.1"])


def test_heatmap_cells_show_mean_and_n() -> None:
    figure = drawn(
        heatmap_figure([heat_panel("3 layers"), heat_panel("9_layers$")], ROWS, COLUMNS, "Accuracy (%)", "t")
    )
    for axes, title in zip(figure.axes, ("3 layers", "9_layers$"), strict=False):
        cells = [(text.get_text(), text.xy) for text in axes.texts]  # type: ignore[attr-defined]
        assert cells == [
            ("52.21", (0, 0)), ("n=3", (0, 0)), ("10.00", (2, 0)), ("n=3", (2, 0)), ("50.00", (0, 1)), ("n=3", (0, 1)),
            ("51.01", (1, 1)), ("n=2", (1, 1)), ("50.00", (2, 1)), ("n=1", (2, 1)),
        ]  # fmt: skip
        assert axes.get_title(loc="left") == title
        np.testing.assert_array_equal(np.asarray(axes.images[0].get_array()), heat_panel().means)
        assert axes.images[0].get_clim() == (10.0, 52.214)
        assert [text.get_text() for text in axes.get_xticklabels()] == COLUMNS[1]
        assert axes.get_xlabel() == "sigma"
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ROWS[1]
    assert figure.axes[0].get_ylabel() == "bn.enabled"
    assert figure.axes[-1].get_ylabel() == "Accuracy (%)"


def test_heatmap_shades_leave_black_readable() -> None:
    image = heatmap_figure([heat_panel()], ROWS, COLUMNS, "Accuracy (%)", "t").axes[0].images[0]
    colours = image.to_rgba(np.linspace(10.0, 52.214, 20))[:, :3]
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    luminance = linear @ (0.2126, 0.7152, 0.0722)
    assert ((luminance + 0.05) / 0.05 >= 7.0).all()
    assert (np.diff(luminance) < 0.0).all()


def test_heatmap_of_equal_or_no_means_is_drawn() -> None:
    for means in (np.full((2, 3), 50.0), np.full((2, 3), np.nan)):
        panel = HeatPanel("", means, np.ones((2, 3), dtype=int))
        figure = drawn(heatmap_figure([panel], ROWS, COLUMNS, "Accuracy (%)", "t"))
        assert len(figure.axes[0].texts) == (12 if np.isfinite(means).all() else 0)


def test_heatmap_rejects_other_shapes_and_numbers_of_panels() -> None:
    with pytest.raises(ValueError, match="each with \\(2, 3\\) cells"):
        heatmap_figure([HeatPanel("", np.ones((3, 2)), np.ones((3, 2), dtype=int))], ROWS, COLUMNS, "", "t")
    for n in (0, 7):
        with pytest.raises(ValueError, match="1 to 6"):
            heatmap_figure([heat_panel()] * n, ROWS, COLUMNS, "", "t")


def curve(label: str, n: int = 5, top: float = 0.5) -> Curve:
    epoch = np.linspace(0.0, 20.0, n)
    return Curve(label, epoch, 0.1 + (top - 0.1) * epoch / 20.0, 2.3 - epoch / 20.0)


@pytest.mark.parametrize("n", [1, 5, MOST_CURVES])
def test_comparison_draws_every_curve_in_its_own_way(n: int) -> None:
    curves = [curve(f"run {i}", top=0.3 + 0.01 * i) for i in range(n)]
    figure = drawn(comparison_figure(curves, "Curves"))
    accuracy, loss = figure.axes
    for axes, values in ((accuracy, [100.0 * c.accuracy for c in curves]), (loss, [c.loss for c in curves])):
        for line, c, y in zip(axes.get_lines(), curves, values, strict=True):
            np.testing.assert_array_equal(line.get_xdata(), c.epoch)
            np.testing.assert_array_equal(line.get_ydata(), y)
    looks = {(str(line.get_color()), str(line.get_linestyle())) for line in accuracy.get_lines()}
    assert len(looks) == n
    assert legend_of(figure) == [c.label for c in curves]


def test_comparison_marks_evaluations_only_where_they_are_few() -> None:
    figure = comparison_figure([curve("few", 30), curve("many", 31)], "Curves")
    assert [line.get_marker() for line in figure.axes[0].get_lines()] == ["o", ""]


def test_comparison_cuts_off_the_losses_of_a_diverging_run() -> None:
    lost = Curve("lost", np.arange(4.0), np.full(4, 0.1), np.array([2.4, 1e9, np.inf, np.nan]))
    low, high = comparison_figure([curve("sound"), lost], "Curves").axes[1].get_ylim()
    assert (low, high) == pytest.approx((1.3 - 0.055, 2.4 + 0.055))
    drawn(comparison_figure([Curve("lost", np.arange(1.0), np.full(1, 0.1), np.array([np.nan]))], "Curves"))


def test_comparison_rejects_no_and_too_many_curves() -> None:
    for n in (0, MOST_CURVES + 1):
        with pytest.raises(ValueError, match=f"1 to {MOST_CURVES}"):
            comparison_figure([curve("run")] * n, "Curves")


def test_seeds_draw_quartiles_points_and_mean() -> None:
    values = np.array([53.0, 50.0, 51.0, 54.0, 72.0])
    figure = drawn(seeds_figure([("lam 0.1", values), ("$lam 0.2", np.array([40.0]))], "Accuracy (%)", "Seeds"))
    (axes,) = figure.axes
    box = axes.patches[0].get_path().get_extents()
    assert (box.x0, box.x1) == (51.0, 54.0)
    points = [line for line in axes.get_lines() if line.get_marker() == "o"]
    assert [sorted(np.asarray(line.get_xdata()).tolist()) for line in points] == [sorted(values.tolist()), [40.0]]
    assert np.abs(np.asarray(points[0].get_ydata())).max() < 0.3
    (means,) = [line for line in axes.get_lines() if line.get_marker() == "D"]
    assert np.asarray(means.get_xydata()).tolist() == [[56.0, 0.0], [40.0, 1.0]]
    whiskers = {
        tuple(np.asarray(line.get_xdata()).tolist()) for line in axes.get_lines() if line.get_marker() in ("", "None")
    }
    assert {(51.0, 50.0), (54.0, 72.0), (53.0, 53.0)} <= whiskers
    assert [text.get_text() for text in axes.get_yticklabels()] == ["lam 0.1 (n=5)", "$lam 0.2 (n=1)"]
    assert axes.yaxis_inverted()
    assert axes.get_xlabel() == "Accuracy (%)"
    assert legend_of(figure) == ["quartiles and median; whiskers: smallest and largest", "one run", "mean"]


def test_seeds_reject_nothing_and_too_much() -> None:
    for groups in ([], [("a", np.zeros(0))], [("a", np.ones(3))] * 21):
        with pytest.raises(ValueError, match="1 to 20"):
            seeds_figure(groups, "Accuracy (%)", "Seeds")


def test_texts_lie_inside_the_figures_and_apart() -> None:
    stages = [stage(name, [1e-4, 1e-3], [1.0, 2.0], 1) for name in ("coarse", "medium", "fine", "confirm")]
    panels = [SearchPanel(LONG, True, stages, (1e-3, 2.0))] * 4
    figures = [
        search_figure(panels, "Validation accuracy (%)", f"best: {LONG}: val accuracy 53.41 ± 0.21 % (n=5)", LONG * 3),
        heatmap_figure([heat_panel(LONG)] * 6, ROWS, COLUMNS, "Validation accuracy (%)", LONG * 3),
        comparison_figure(
            [curve(f"{LONG}, cycles 2, {i}: val accuracy 53.41 %") for i in range(MOST_CURVES)], LONG * 4
        ),
        seeds_figure(
            [(f"{LONG} {i}", np.array([50.0, 51.0, 52.0])) for i in range(20)], "Validation accuracy (%)", LONG
        ),
    ]
    for figure in figures:
        occupied = drawn(figure).get_tightbbox()
        assert occupied.x0 >= 0.0
        assert occupied.x1 <= figure.get_figwidth()
        assert occupied.y0 >= 0.0
        assert occupied.y1 <= figure.get_figheight()
        for legend in figure.legends:
            assert isinstance(legend, Legend)
            top = legend.get_window_extent().y1
            assert all(axes.get_tightbbox().y0 >= top for axes in figure.axes if axes.get_visible())


def test_files_are_whole_pngs(tmp_path: Path) -> None:
    plot_search([SearchPanel("lam", True, two_stages())], "Score", "", tmp_path / "a.png", "Search")
    plot_heatmap([heat_panel()], ROWS, COLUMNS, "Score", tmp_path / "b.png", "Heat")
    plot_comparison([curve("run")], tmp_path / "c.png", "Curves")
    plot_seeds([("a", np.array([1.0, 2.0]))], "Score", tmp_path / "d.png", "Seeds")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png", "c.png", "d.png"]
    for path in tmp_path.iterdir():
        data = path.read_bytes()
        assert data.startswith(b"\x89PNG\r\n\x1a\n")
        assert data[-8:-4] == b"IEND"


def test_large_searches_have_small_points() -> None:
    rng = np.random.default_rng(0)
    sizes = []
    for n in (500, 501):
        trials = SearchStage("", rng.uniform(size=n), rng.uniform(size=n), np.zeros(n, dtype=bool))
        (line,) = (a for a in search_figure([SearchPanel("x", False, [trials])], "Score", "", "t").axes[0].get_lines())
        assert isinstance(line, Line2D)
        sizes.append(line.get_markersize())
    assert sizes == [5.0, 2.0]
