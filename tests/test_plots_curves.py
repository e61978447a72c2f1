"""Learning curves show exactly what they were given, also when a run diverges, and say what they do not show."""


import numpy as np
import pytest
from figures import figure_of, legend_of, points_of

from kls.plots.learning_curves import MOST_CURVES, GroupCurve, plot_learning_curves, plot_run_curves
from kls.records.names import HISTORY_COLUMNS

SCORES = tuple(f"{split}_{quantity}" for split in ("train", "val") for quantity in ("cost", "loss", "accuracy"))


def make_history(evaluations: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(evaluations)
    epoch = np.linspace(0.0, 20.0, evaluations)
    history = {"step": np.round(450 * epoch), "epoch": epoch}
    history["eta"] = 1e-5 + (1e-1 - 1e-5) * (1.0 - np.abs(1.0 - (epoch % 10.0) / 5.0))
    for split in ("train", "val"):
        history[f"{split}_loss"] = 1.3 + np.exp(-epoch / 4.0) + rng.normal(0.0, 0.02, evaluations)
        history[f"{split}_cost"] = history[f"{split}_loss"] + 0.4
        history[f"{split}_accuracy"] = 50.0 - 40.0 * np.exp(-epoch / 4.0) + rng.normal(0.0, 1.0, evaluations)
    return history


@pytest.mark.parametrize("evaluations", [1, 2, 20, 400])
def test_run_curves_draw_the_history(evaluations: int) -> None:
    history = make_history(evaluations)
    figure = figure_of(plot_run_curves, history)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["Cost", "Loss", "Accuracy (%)", "Learning rate"]
    for panel, quantity in zip(figure.axes, ("cost", "loss", "accuracy"), strict=False):
        train, val = panel.get_lines()[:2]
        for line, split in ((train, "train"), (val, "val")):
            np.testing.assert_array_equal(line.get_xdata(), history["epoch"])
            np.testing.assert_array_equal(line.get_ydata(), history[f"{split}_{quantity}"])
            assert panel.get_ylim()[0] < np.min(line.get_ydata())
            assert np.max(line.get_ydata()) < panel.get_ylim()[1]
        assert train.get_linestyle() != val.get_linestyle()
        assert train.get_color() != val.get_color()
        assert (train.get_marker() == "None") == (evaluations == 400)
        assert panel.get_xlim()[0] < history["epoch"][0]
        assert panel.get_xlim()[1] > history["epoch"][-1]
    np.testing.assert_array_equal(figure.axes[3].get_lines()[0].get_ydata(), history["eta"])
    assert legend_of(figure)[:2] == ["training", "validation"]
    if evaluations > 1:
        ticks = [tick for tick in figure.axes[2].get_xticks() if 0 <= tick <= 20]
        assert ticks == [0.0, 5.0, 10.0, 15.0, 20.0]


def test_run_curves_mark_the_first_best_validation_accuracy() -> None:
    history = make_history(6)
    history["val_accuracy"] = np.array([10.0, 30.0, 52.34, 52.34, np.nan, 20.0])
    figure = figure_of(plot_run_curves, history)
    assert points_of(figure.axes[2], "*") == [[history["epoch"][2], 52.34]]
    assert "best validation: 52.34 % at epoch 8" in legend_of(figure)


def test_run_curves_of_a_diverged_run_show_its_sound_part_and_say_so() -> None:
    history = make_history(40)
    for name in ("train_cost", "val_cost", "val_loss"):
        history[name][20:] = [30.0, 1e30, 1.7e308, *[np.inf] * 7, *[np.nan] * 10]
    figure = figure_of(plot_run_curves, history)
    for panel, name in zip(figure.axes[:2], ("val_cost", "val_loss"), strict=True):
        sound = history[name][:20]
        low, high = panel.get_ylim()
        assert low < sound.min()
        assert sound.max() < high < 1.5 * sound.max()
        assert [history["epoch"][20], high] in points_of(panel, "^")
    assert legend_of(figure)[-1] == "20 of 40 evaluations are off the scale or not finite"


def test_run_curves_keep_moderate_growth_and_any_accuracy_on_the_axis() -> None:
    history = make_history(40)
    history["val_loss"][-1] = 2.9 * min(history["train_loss"][0], history["val_loss"][0])
    history["val_accuracy"][:] = np.linspace(2.0, 100.0, 40)
    figure = figure_of(plot_run_curves, history)
    assert figure.axes[1].get_ylim()[1] > history["val_loss"][-1]
    assert figure.axes[2].get_ylim()[1] > 100.0
    assert len(legend_of(figure)) == 3


def test_run_curves_of_a_run_that_was_hardly_ever_finite() -> None:
    history = make_history(100)
    for name in HISTORY_COLUMNS[3:]:
        history[name][1:] = np.nan
    assert [axes.get_lines()[0].get_marker() for axes in figure_of(plot_run_curves, history).axes[:3]] == ["o"] * 3
    for name in HISTORY_COLUMNS[3:]:
        history[name][:] = np.nan
    texts = legend_of(figure_of(plot_run_curves, history))
    assert texts[2:] == ["100 of 100 evaluations are off the scale or not finite"]


def curve(label: str, accuracy: np.ndarray, loss: np.ndarray | None = None) -> GroupCurve:
    loss = np.linspace(2.0, 1.0, accuracy.size).reshape(accuracy.shape) if loss is None else loss
    scores = {score: accuracy if score.endswith("accuracy") else loss for score in SCORES}
    return GroupCurve(label, np.arange(float(accuracy.shape[1])), scores)


def test_learning_curves_are_means_with_bands_of_one_standard_deviation() -> None:
    values = np.array([[10.0, 40.0, 50.0], [30.0, 60.0, np.nan]])
    figure = figure_of(plot_learning_curves, [curve("a $b$", values), curve("one run", values[:1])])
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "Training accuracy (%)", "Validation accuracy (%)", "Training loss", "Validation loss",
        "Training cost", "Validation cost",
    ]  # fmt: skip
    mean, single = figure.axes[1].lines[:2]
    assert mean.get_ydata() == pytest.approx([20.0, 50.0, 50.0])
    assert single.get_ydata() == pytest.approx([10.0, 40.0, 50.0])
    edges = figure.axes[1].collections[0].get_paths()[0].vertices
    sd = np.sqrt(200.0)
    assert (edges[:, 1].min(), edges[:, 1].max()) == (pytest.approx(20.0 - sd), pytest.approx(50.0 + sd))
    assert edges[:, 0].max() == 1.0  # the last evaluation is of one run alone
    assert not figure.axes[1].collections[1].get_paths()  # that of a single run is none
    assert legend_of(figure) == ["a $b$ (1 of 2 runs without a value at the end)", "one run"]


def test_a_diverging_run_does_not_flatten_the_losses_and_is_announced() -> None:
    figure = figure_of(plot_learning_curves, [curve("a", np.array([[10.0, 20.0, 10.0]]), np.array([[2.0, 1.0, 1e9]]))])
    assert figure.axes[2].get_ylim() == (pytest.approx(0.94), pytest.approx(2.06))
    assert points_of(figure.axes[2], "^") == [[2.0, figure.axes[2].get_ylim()[1]]]
    assert legend_of(figure) == ["a (leaves the scale at the arrow)"]


def test_networks_at_chance_are_not_blown_up() -> None:
    low, high = figure_of(plot_learning_curves, [curve("a", np.array([[10.0, 10.01]]))]).axes[0].get_ylim()
    assert high - low == pytest.approx(5.0)


def test_equal_curves_do_not_hide_each_other() -> None:
    values = np.linspace(10.0, 50.0, 12)[None]
    first, second = figure_of(plot_learning_curves, [curve("a", values), curve("b", values)]).axes[0].lines
    assert first.get_linewidth() > 1.5 * second.get_linewidth()
    assert first.get_linestyle() == "-"
    assert second.get_linestyle() == "--"
    assert (first.get_markevery(), second.get_markevery()) == ([0, 2, 4, 6, 8, 10], [1, 3, 5, 7, 9, 11])


def test_many_curves_all_look_different() -> None:
    label = "4-layer [2048, 1024, 512] with BN, $eta_max$ 0.1, lam " * 2
    curves = [curve(f"{label}{i}", np.ones((1, 60))) for i in range(28)]
    figure = figure_of(plot_learning_curves, curves, title="A long title " * 20)
    looks = {(line.get_color(), str(line._unscaled_dash_pattern)) for line in figure.axes[0].lines}
    assert len(looks) == len(legend_of(figure)) == MOST_CURVES == 28
