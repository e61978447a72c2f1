"""What the figures of reports draw."""

import numpy as np
import pytest

from kls.plots.group_curves import GroupCurve, group_curves_figure
from kls.plots.published import Beside, published_figure
from kls.plots.trend import TrendAxes, TrendPoint, trend_figure

SCORES = tuple(f"{split}_{quantity}" for split in ("train", "val") for quantity in ("cost", "loss", "accuracy"))


def curve(label: str, values: np.ndarray) -> GroupCurve:
    return GroupCurve(label, np.arange(float(values.shape[1])), dict.fromkeys(SCORES, values))


def test_group_curves_are_means_with_bands_of_one_standard_deviation() -> None:
    values = np.array([[0.1, 0.4, 0.5], [0.3, 0.6, np.nan]])
    figure = group_curves_figure([curve("a $b$", values), curve("one run", values[:1])], "t")
    axes = figure.axes
    assert [a.get_title(loc="left") for a in axes] == [
        "Training cost", "Training loss", "Training accuracy (%)",
        "Validation cost", "Validation loss", "Validation accuracy (%)",
    ]  # fmt: skip
    mean, single = axes[4].lines
    assert mean.get_ydata() == pytest.approx([0.2, 0.5, 0.5])
    assert single.get_ydata() == pytest.approx([0.1, 0.4, 0.5])
    (band,) = axes[5].collections  # that of a single run is none
    edges = band.get_paths()[0].vertices
    sd = 100.0 * np.sqrt(0.02)
    assert edges[:, 1].min() == pytest.approx(20.0 - sd)
    assert edges[:, 1].max() == pytest.approx(50.0 + sd)
    assert edges[:, 0].max() == 1.0  # the last evaluation is of one run alone


def test_a_diverging_run_does_not_flatten_the_losses_and_chance_is_not_blown_up() -> None:
    figure = group_curves_figure([curve("a", np.array([[2.0, 1.0, 1e9]]))], "t")
    low, high = figure.axes[1].get_ylim()
    assert (low, high) == (pytest.approx(0.95), pytest.approx(2.05))
    flat = group_curves_figure([curve("a", np.array([[0.1, 0.1001]]))], "t")
    low, high = flat.axes[2].get_ylim()
    assert high - low >= 10.0


@pytest.mark.parametrize("n", [0, 29])
def test_group_curves_refuse_none_or_too_many(n: int) -> None:
    with pytest.raises(ValueError, match=f"{n} groups; there must be 1 to 28"):
        group_curves_figure([curve("a", np.ones((1, 2)))] * n, "t")


def test_a_trend_on_a_logarithmic_axis() -> None:
    points = [
        TrendPoint("1", np.array([1.0, 3.0]), 2.0, 1.5, 2.5),
        TrendPoint("100", np.array([4.0]), 4.0, np.nan, np.nan),
    ]
    figure = trend_figure(points, TrendAxes(np.array([1.0, 100.0]), "n_s", "Score"), "t")
    (axes,) = figure.axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "linear")
    runs, means = axes.lines[:2]
    assert runs.get_xydata().tolist() == [[1.0, 1.0], [1.0, 3.0], [100.0, 4.0]]
    assert means.get_xydata().tolist() == [[1.0, 2.0], [100.0, 4.0]]
    (bars,) = axes.collections
    assert [segment.tolist() for segment in bars.get_segments()] == [[[1.0, 1.5], [1.0, 2.5]]]


def test_a_trend_of_best_values_and_of_names() -> None:
    points = [TrendPoint(name, np.empty(0), 0.1, np.nan, np.nan) for name in ("a", "b")]
    (axes,) = trend_figure(points, TrendAxes(None, "model", "Best lam", best=True), "t").axes
    assert axes.get_yscale() == "log"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b"]
    with pytest.raises(ValueError, match="0 points"):
        trend_figure([], TrendAxes(None, "", ""), "t")


def test_published_figures_beside_ours() -> None:
    rows = [
        Beside("inside", 53.0, None, np.array([52.0, 54.0]), (50.0, 56.0), False),
        Beside("outside", 60.0, 0.5, np.array([2.0, 4.0]), (-5.0, 11.0), True),
        Beside("one run", 61.0, None, np.array([52.0]), None, False),
    ]
    (axes,) = published_figure(rows, "t").axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "inside (n=2)", "outside (n=2)", "one run (n=1)",
    ]  # fmt: skip
    assert [(bar.get_x(), bar.get_width()) for bar in axes.patches] == [(50.0, 6.0), (0.0, 11.0)]
    diamonds = [line for line in axes.lines if line.get_marker() == "D"]
    assert [(line.get_xdata()[0], line.get_markerfacecolor()) for line in diamonds] == [
        (53.0, "white"),
        (60.0, "#D55E00"),
        (61.0, "#DDDDDD"),
    ]
    with pytest.raises(ValueError, match="there are no figures"):
        published_figure([], "t")
