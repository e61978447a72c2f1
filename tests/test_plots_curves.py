"""Learning curves show exactly the history they were given, also when a run diverges."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from kls.plots.curves import curves_figure
from kls.records.names import HISTORY_COLUMNS

pytestmark = pytest.mark.filterwarnings("error")


def make_history(evaluations: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(evaluations)
    epoch = np.linspace(0.0, 20.0, evaluations)
    history = {"step": np.round(450 * epoch), "epoch": epoch}
    history["eta"] = 1e-5 + (1e-1 - 1e-5) * (1.0 - np.abs(1.0 - (epoch % 10.0) / 5.0))
    for split in ("train", "val"):
        history[f"{split}_loss"] = 1.3 + np.exp(-epoch / 4.0) + rng.normal(0.0, 0.02, evaluations)
        history[f"{split}_cost"] = history[f"{split}_loss"] + 0.4
        history[f"{split}_accuracy"] = 0.5 - 0.4 * np.exp(-epoch / 4.0) + rng.normal(0.0, 0.01, evaluations)
    return history


def title_of(figure: Figure) -> str:
    return figure.get_suptitle().replace("\n", " ")


@pytest.mark.parametrize("evaluations", [1, 2, 20, 400])
def test_curves_draw_the_history(evaluations: int) -> None:
    history = make_history(evaluations)
    axes = curves_figure(history, "run").axes
    for panel, quantity, scale in zip(axes[:3], ("cost", "loss", "accuracy"), (1.0, 1.0, 100.0), strict=True):
        train, val = panel.get_lines()[:2]
        for line, split in ((train, "train"), (val, "val")):
            np.testing.assert_array_equal(line.get_xdata(), history["epoch"])
            np.testing.assert_array_equal(line.get_ydata(), scale * history[f"{split}_{quantity}"])
            low, high = panel.get_ylim()
            assert low < np.min(line.get_ydata())
            assert np.max(line.get_ydata()) < high
        assert (train.get_label(), val.get_label()) == ("training", "validation")
        assert train.get_linestyle() != val.get_linestyle()
        assert train.get_color() != val.get_color()
        assert (train.get_marker() == "") == (evaluations == 400)
    for panel in axes[3:]:
        np.testing.assert_array_equal(panel.get_lines()[0].get_ydata(), history["eta"])
        assert panel.get_xlim() == axes[0].get_xlim()
        assert panel.get_xlim()[0] < history["epoch"][0]
        assert panel.get_xlim()[1] > history["epoch"][-1]


def test_curves_mark_the_first_best_validation_accuracy() -> None:
    history = make_history(6)
    history["val_accuracy"] = np.array([0.1, 0.3, 0.5234, 0.5234, np.nan, 0.2])
    axes = curves_figure(history, "run").axes[2]
    (star,) = [line for line in axes.get_lines() if line.get_marker() == "*"]
    np.testing.assert_array_equal(star.get_xydata(), [[history["epoch"][2], 100.0 * 0.5234]])
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["best 52.34 %\nepoch 8"]


def test_curves_of_a_diverged_run_show_its_sound_part() -> None:
    history = make_history(40)
    for name in ("train_cost", "val_cost", "val_loss"):
        history[name][20:] = [30.0, 1e30, 1.7e308, *[np.inf] * 7, *[np.nan] * 10]
    figure = curves_figure(history, "run")
    for panel, name in zip(figure.axes[:2], ("val_cost", "val_loss"), strict=True):
        sound = history[name][:20]
        low, high = panel.get_ylim()
        assert low < sound.min()
        assert sound.max() < high < 1.5 * sound.max()
        np.testing.assert_array_equal(panel.get_lines()[1].get_ydata(), history[name])
    assert title_of(figure) == "run 20 of 40 evaluations are off the scale or not finite"


def test_curves_keep_moderate_growth_and_any_accuracy_on_the_axis() -> None:
    history = make_history(40)
    history["val_loss"][-1] = 9.9 * max(history["train_loss"][0], history["val_loss"][0])
    history["val_accuracy"][:] = np.linspace(0.02, 1.0, 40)
    history["train_accuracy"][:] = np.linspace(0.01, 1.0, 40)
    figure = curves_figure(history, "run")
    assert figure.axes[1].get_ylim()[1] > history["val_loss"][-1]
    assert figure.axes[2].get_ylim()[1] > 100.0
    assert title_of(figure) == "run"


def test_curves_of_a_run_that_was_never_finite() -> None:
    history = make_history(5)
    for name in HISTORY_COLUMNS[3:]:
        history[name][:] = np.nan
    figure = curves_figure(history, "run")
    assert [line.get_label() for line in figure.axes[2].get_lines()] == ["training", "validation"]
    assert title_of(figure) == "run 5 of 5 evaluations are off the scale or not finite"


def test_curves_show_a_lone_finite_evaluation() -> None:
    history = make_history(100)
    for name in HISTORY_COLUMNS[3:]:
        history[name][1:] = np.nan
    assert all(axes.get_lines()[0].get_marker() == "o" for axes in curves_figure(history, "run").axes[:3])


def test_curves_reject_incomplete_histories() -> None:
    history = make_history(3)
    with pytest.raises(ValueError, match="no column eta, val_loss"):
        curves_figure({name: history[name] for name in HISTORY_COLUMNS if name not in ("eta", "val_loss")}, "run")
    with pytest.raises(ValueError, match="one shape"):
        curves_figure({**history, "eta": history["eta"][:2]}, "run")
    with pytest.raises(ValueError, match="one shape"):
        curves_figure({name: history[name][:0] for name in HISTORY_COLUMNS}, "run")
