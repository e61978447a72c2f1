"""Which pictures the runs allow, and what of the runs they show."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_runs import make_run, make_sweep

import kls.report.pictures
from kls.analysis.groups import group_runs, sections
from kls.analysis.runs import read_runs
from kls.report.pictures import search_pictures, section_pictures


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The arguments that the last picture of each kind was drawn with."""
    found: dict[str, Any] = {}

    def keep(kind: str, *given: Any, **options: Any) -> None:
        found[kind] = (*given, options)

    for kind in ("search", "intervals", "learning_curves"):
        monkeypatch.setattr(kls.report.pictures, f"plot_{kind}", partial(keep, kind))
    return found


def draw(folder: Path, curves: int = 5, warnings: list[str] | None = None, *by: str) -> list[str]:
    runs = read_runs([folder])
    (section,) = sections(runs)
    pictures = section_pictures(group_runs(section.runs, by=by), folder, "", section.name, curves)
    assert runs.warnings == section.runs.warnings
    if warnings is None:
        assert runs.warnings == []
    else:
        warnings += runs.warnings
    return [picture.file_name for picture in pictures]


def searched(low: float | None, high: float | None, scale: str, values: list[Any] | None = None) -> dict[str, Any]:
    return {"low": low, "high": high, "scale": scale, "values": values, "source": "given"}


def make_search(folder: Path) -> Path:
    params = {
        "b_coarse": {"lam": searched(1e-5, 0.1, "log"), "model.dropout": searched(0.0, 0.5, "linear")},
        "a_fine": {"lam": searched(None, None, "linear", [0.001, 0.01])},
        "confirm": {"lam": searched(None, None, "linear", [0.01]), "seed": searched(None, None, "linear", [0, 1])},
        "later": {},
    }
    make_sweep(folder, [{"name": name, "params": part, "confirm": name == "confirm"} for name, part in params.items()])
    make_run(folder / "b_coarse" / "0", 0.40, lam=0.001, model__dropout=0.1)
    make_run(folder / "b_coarse" / "1", 0.60, lam=0.01, model__dropout=0.2)
    make_run(folder / "b_coarse" / "2", 0.10, lam=0.1, model__dropout=0.3, status="diverged")
    make_run(folder / "b_coarse" / "3", status="failed", lam=0.05)
    make_run(folder / "a_fine" / "0", 0.45, lam=0.001, model__dropout=0.2)
    make_run(folder / "a_fine" / "1", 0.50, lam=0.01, model__dropout=0.2)
    make_run(folder / "confirm" / "0", 0.48, lam=0.01, seed=1, model__dropout=0.2, optimizer__schedule__cycles=4)
    make_run(folder / "confirm" / "1", 0.50, lam=0.01, seed=2, model__dropout=0.2, optimizer__schedule__cycles=4)
    return folder


def test_a_search_shows_its_stages_the_best_and_the_confirmed(tmp_path: Path, drawn: dict[str, Any]) -> None:
    (picture,) = search_pictures(read_runs([make_search(tmp_path)]), tmp_path, "", "val_accuracy", 20)
    panels, label, path, title, *_ = drawn["search"]
    assert (label, path.name, title) == ("Validation accuracy (%)", "search.png", "Search of lam and dropout")
    lam, dropout = panels
    assert (lam.setting, lam.log, dropout.setting, dropout.log) == ("L2 factor lam", True, "Dropout rate", False)
    assert lam.budget == dropout.budget == "CIFAR-10, 20 epochs"
    coarse = lam.stage == "b_coarse"
    assert lam.x[coarse].tolist() == [0.001, 0.01, 0.1]
    assert lam.y[lam.stage == "a_fine"].tolist() == pytest.approx([45.0, 50.0])
    assert lam.diverged[coarse].tolist() == [False, False, True]
    assert lam.intervals == {"b_coarse": (1e-5, 0.1), "a_fine": (0.001, 0.01)}
    assert (lam.best.x, lam.best.y, lam.best.text) == (0.01, pytest.approx(55.0), "best trial: lam 0.01")
    confirmed = lam.confirmed
    assert (confirmed.x, confirmed.y) == (0.01, pytest.approx(49.0))
    assert confirmed.text == "confirmed, 40 epochs: 49.00 ± 1.41 % (n = 2)"
    assert confirmed.high - confirmed.y == pytest.approx(12.706204736432095, rel=1e-9)
    assert picture.caption.startswith("Validation accuracy of every trial")


def test_the_smooth_curve_of_a_search_for_one_setting(tmp_path: Path, drawn: dict[str, Any]) -> None:
    for i in range(9):
        make_run(tmp_path / str(i), 0.5 - 0.01 * (i - 4) ** 2, lam=10.0 ** (i / 2 - 6), seed=i)
    (picture,) = search_pictures(read_runs([tmp_path]), tmp_path, "", "val_accuracy", 20)
    (panel,) = drawn["search"][0]
    at = panel.curve.x[panel.curve.mean.argmax()]
    assert at == pytest.approx(1e-4, rel=0.05)
    assert panel.curve.mean.max() == pytest.approx(50.0, abs=0.3)
    assert f"highest at lam {at:.2g} (95 % interval " in picture.caption


def test_a_grid_of_two_settings_and_runs_of_few_values_are_no_search(tmp_path: Path, drawn: dict[str, Any]) -> None:
    for i in range(3):
        make_run(tmp_path / "plain" / str(i), 0.5, lam=0.1 * i, model="3layer", model__hidden=[i + 1])
    assert search_pictures(read_runs([tmp_path]), tmp_path, "", "val_accuracy", 20) == []
    values = {key: searched(None, None, "log", [0.1, 0.2, 0.3, 0.4]) for key in ("lam", "model.dropout")}
    grid = make_sweep(tmp_path / "grid", [{"name": "grid", "sampler": "grid", "params": values}])
    for i in range(16):
        make_run(grid / "grid" / str(i), 0.5, lam=0.1 * (i % 4 + 1), model__dropout=0.1 * (i // 4 + 1))
    assert search_pictures(read_runs([grid]), tmp_path, "", "val_accuracy", 20) == []
    for i in range(8):
        make_run(tmp_path / "models" / str(i), 0.5, lam=0.1 * (i % 4 + 1), model=("3layer", "9layer")[i // 4])
    assert search_pictures(read_runs([tmp_path / "models"]), tmp_path, "", "val_accuracy", 20) == []


def test_losses_are_searched_for_the_smallest(tmp_path: Path, drawn: dict[str, Any]) -> None:
    search_pictures(read_runs([make_search(tmp_path)]), tmp_path, "", "val_loss", 20)
    panels, *_, options = drawn["search"]
    assert panels[0].y[panels[0].stage == "b_coarse"].tolist() == pytest.approx([1.5, 1.1, np.log(10)])
    assert (panels[0].best.y, options["lower_is_better"]) == (pytest.approx(1.2), True)


def test_curves_are_means_over_seeds_of_the_best_groups_and_the_worst(tmp_path: Path, drawn: dict[str, Any]) -> None:
    for seed, score in enumerate((0.50, 0.56, 0.59)):
        make_run(tmp_path / f"a{seed}", score, lam=0.1, seed=seed, history=4 + seed)
    for name, lam, score in (("b", 0.2, 0.3), ("c", 0.3, 0.2), ("d", 0.4, 0.1)):
        make_run(tmp_path / name, score, lam=lam, history=2)
    assert draw(tmp_path, 2) == ["curves.png", "means.png"]
    curves, path, title, *_ = drawn["learning_curves"]
    assert [curve.label for curve in curves] == ["lam 0.1 (n = 3)", "lam 0.4"]
    assert curves[0].epoch.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    accuracy = curves[0].scores["val_accuracy"]
    assert accuracy.shape == (3, 7)
    assert accuracy[:, 4].tolist() == pytest.approx([50.0, 10 + 46 * 4 / 5, 10 + 49 * 4 / 6])
    assert np.isnan(accuracy[:, 6]).tolist() == [True, True, False]
    assert curves[1].scores["val_loss"].tolist() == [pytest.approx([2.3, 1.8, 1.3])]
    assert (path, title) == (tmp_path / "curves.png", "Learning curves: CIFAR-10, 20 epochs")


def test_many_groups_have_a_picture_of_curves_for_each_model(tmp_path: Path, drawn: dict[str, Any]) -> None:
    for i in range(8):
        model, lam = ("3layer", "9layer")[i % 2], 0.1 * (i // 2 + 1)
        make_run(tmp_path / str(i), 0.5 + 0.01 * i, model=model, lam=lam, history=2)
    assert draw(tmp_path, 4) == ["curves.png", "curves-2.png"]
    assert [curve.label.split(",")[0] for curve in drawn["learning_curves"][0]] == ["9layer"] * 4
    assert drawn["learning_curves"][2] == "Learning curves: CIFAR-10, 20 epochs, 9layer"


def test_a_run_without_history_is_named_and_left_out(tmp_path: Path, drawn: dict[str, Any]) -> None:
    make_run(tmp_path / "0", 0.5, lam=0.1)
    make_run(tmp_path / "1", 0.4, lam=0.2, history=1)
    make_run(tmp_path / "2", 0.3, lam=0.3)
    (tmp_path / "2" / "history.csv").write_text((tmp_path / "1" / "history.csv").read_text().splitlines()[0] + "\n")
    warnings: list[str] = []
    assert draw(tmp_path, 3, warnings) == ["curves.png"]
    assert [curve.label for curve in drawn["learning_curves"][0]] == ["lam 0.2"]
    assert [warning.split(":")[0] for warning in warnings] == ["no curve", "no curve"]
    assert warnings[1].endswith("its history is empty")


def test_means_stand_against_the_number_with_the_most_values(tmp_path: Path, drawn: dict[str, Any]) -> None:
    for model, base in (("3layer", 0.4), ("9layer", 0.3)):
        for lam, gain in ((0.001, 0.0), (0.01, 0.1), (0.1, 0.05)):
            for seed in (0, 1):
                score = base + gain + 0.02 * seed
                make_run(tmp_path / f"{model}-{lam}-{seed}", score, model=model, lam=lam, seed=seed)
    make_run(tmp_path / "failed", status="failed", model="3layer", lam=5.0)
    assert draw(tmp_path, 0) == ["means.png"]
    series, x, y, _, title, *_, options = drawn["intervals"]
    assert (x, y) == ("L2 factor lam", "Validation accuracy (%)")
    assert title == "Validation accuracy by lam: CIFAR-10, 20 epochs"
    assert options["log_x"] is True
    assert [one.label for one in series] == ["3layer", "9layer"]
    assert [point.x for point in series[0].points] == [0.001, 0.01, 0.1]
    assert [point.mean for point in series[1].points] == pytest.approx([31.0, 41.0, 36.0])
    assert series[0].points[1].values.tolist() == pytest.approx([50.0, 52.0])
    assert series[0].points[0].high - 41.0 == pytest.approx(12.706204736432095, rel=1e-9)


def test_categories_and_single_runs(tmp_path: Path, drawn: dict[str, Any]) -> None:
    for i, (sigma, model) in enumerate([(0.1, "3layer"), (None, "3layer"), (0.1, "9layer"), (None, "9layer")]):
        make_run(tmp_path / str(i), 0.5, model__init__sigma=sigma, model=model)
    assert draw(tmp_path, 0) == []
    make_run(tmp_path / "4", 0.6, model__init__sigma=0.1, model="3layer", seed=1)
    assert draw(tmp_path, 0) == ["means.png"]
    series, *_, options = drawn["intervals"]
    assert sum(len(one.points) for one in series) == 4
    assert options["rows"] == [("3layer", ""), ("9layer", "")]


def test_means_of_two_modes_have_no_interval(tmp_path: Path, drawn: dict[str, Any]) -> None:
    """A seed learns above 10 % + 5 sqrt(0.1 0.9 / 5000) = 12.1 %."""
    for lam, scores in ((0.1, (0.1, 0.12, 0.5)), (0.2, (0.1, 0.11, 0.12)), (0.3, (0.13, 0.4, 0.5)), (0.4, (0.5,))):
        for seed, score in enumerate(scores):
            make_run(tmp_path / f"{lam}-{seed}", score, lam=lam, seed=seed)
    runs = read_runs([tmp_path])
    (picture,) = section_pictures(group_runs(runs), tmp_path, "", "all", 0)
    ((one,), *_) = drawn["intervals"]
    assert [len(point.values) for point in one.points] == [3, 3, 3, 1]
    assert [bool(point.low < point.high) for point in one.points] == [False, True, True, False]
    assert picture.caption.endswith("a bar is the 95 % interval of the mean, left out where only some seeds learn.")
    for run in tmp_path.glob("0.[14]-*"):
        (run / "metrics.json").unlink()
    (picture,) = section_pictures(group_runs(read_runs([tmp_path])), tmp_path, "", "all", 0)
    assert picture.caption.endswith("a bar is the 95 % interval of the mean.")
