"""What tables say of a search: the optimum with its interval, importances, and sweeps for the validation loss."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_runs import make_run, make_sweep

from kls.analysis.curve import optimum
from kls.analysis.groups import group_runs
from kls.analysis.listing import Entry, found_below
from kls.analysis.optima import optima, search_optimum
from kls.analysis.runs import read_runs
from kls.analysis.search import searches
from kls.errors import UserError
from kls.records.sweep_stages import Sweep, read_stages
from kls.report.summary import aggregate

LAM = {"low": 1e-4, "high": 1.0, "scale": "log"}
LAMS = np.logspace(-4.0, 0.0, 9)


def score(lam: float, seed: int) -> float:
    """54 % at 0.01 and 2 points less a decade squared, with noise of 0.3 points and 1 point for the seed."""
    return 0.54 - 0.02 * (math.log10(lam) + 2.0) ** 2 + 0.003 * math.sin(7.0 * seed + 1e5 * lam) + 0.01 * seed


@pytest.fixture
def search(tmp_path: Path) -> Path:
    """Nine values with one seed, then four between them with two; the best with another budget."""
    stages: list[dict[str, Any]] = [
        {"name": "coarse", "status": "finished", "params": {"lam": LAM}},
        {"name": "fine", "status": "finished", "params": {"lam": LAM}},
        {"name": "confirm", "status": "finished", "confirm": True},
    ]
    make_sweep(tmp_path, stages, status="finished")
    for i, lam in enumerate(LAMS.tolist()):
        make_run(tmp_path / "coarse" / str(i), score(lam, 0), lam=lam)
    for i, lam in enumerate((0.002, 0.005, 0.02, 0.05)):
        for seed in range(2):
            make_run(tmp_path / "fine" / f"{2 * i + seed}", score(lam, seed), lam=lam, seed=seed)
    make_run(tmp_path / "confirm" / "0", 0.9, lam=0.01, seed=5)
    return tmp_path


def test_stages_with_one_seed_and_with_two_are_one_curve(search: Path) -> None:
    (found,) = optima(read_runs([search]), "val_accuracy")
    assert (found.runs, found.single, found.tried) == (17, False, "17 runs at 13 values")
    assert found.scores.shape == (2, 13)
    assert int(found.scores.isna().sum().sum()) == 9
    assert found.curve.place == optimum(found.scores.columns.to_numpy(), found.scores, log=True).place
    assert found.curve.place.holds(0.01)
    assert found.curve.place.low > 0.001
    best, mean = found.highest
    assert mean == pytest.approx(found.scores[best].mean())


def test_the_table_of_a_search(search: Path) -> None:
    (found,) = optima(read_runs([search]), "val_accuracy")
    text = aggregate([search])
    begin = text.index("\nOptimum\n")
    head, _, row = text[begin:].splitlines()[2:5]
    assert re.split(r"  +", head) == [
        "setting", "budget", "runs", "seeds", "best", "95 % interval", "flat region", "best mean tried",
    ]  # fmt: skip
    assert re.split(r"  +", row) == [
        "lam", "CIFAR-10, 20 epochs", "17", "2", found.place, found.interval, found.flat, found.highest_text,
    ]  # fmt: skip
    assert "values that cannot be told from it (5 %)" in re.sub(r"\s+", " ", text)


def test_several_settings_and_few_values_have_no_optimum(tmp_path: Path) -> None:
    for i in range(12):
        make_run(tmp_path / "two" / str(i), 0.5, lam=10.0 ** -(i % 6), model__dropout=0.1 * (i // 6))
        make_run(tmp_path / "few" / str(i), 0.5, lam=10.0 ** -(i % 4), seed=i // 4)
    assert "Optimum" not in aggregate([tmp_path / "two"]) + aggregate([tmp_path / "few"])
    (lam, *_) = searches(read_runs([tmp_path / "two"]))
    assert lam.others == ["dropout"]
    with pytest.raises(UserError, match="the runs of lam differ in other settings: dropout"):
        search_optimum(lam)


def test_importances_are_a_table(tmp_path: Path) -> None:
    shares = {"lam": 0.8, "model.dropout": 0.2}
    importances = {"PedAnovaImportanceEvaluator": shares, "FanovaImportanceEvaluator": {"lam": 0.75}}
    params = {"lam": LAM, "model.dropout": {"low": 0.0, "high": 0.5}}
    make_sweep(tmp_path, [{"name": "coarse", "params": params, "importances": importances}])
    for i in range(6):
        make_run(tmp_path / "coarse" / str(i), 0.5, lam=10.0**-i, model__dropout=0.1 * (i % 3))
    text = aggregate([tmp_path])
    lines = [re.split(r"  +", line) for line in text[text.index("\nImportances\n") :].splitlines()]
    assert ["setting", "stage", "PedAnova", "Fanova"] in lines
    assert ["lam", "coarse", "0.80", "0.75"] in lines
    assert ["model.dropout", "coarse", "0.20", "-"] in lines


PLACE = {"place": 0.004, "low": 0.002, "high": 0.01, "flat": [0.001, 0.02], "at_end": None}


def test_the_record_of_an_optimum_is_read(tmp_path: Path) -> None:
    stage = {"name": "coarse", "optimum": {"lam": PLACE}, "best": {"trial": 3, "val_loss": 1.25}}
    (read,) = read_stages(make_sweep(tmp_path, [stage], metric="val_loss"), warnings := list[str]()).stages
    assert warnings == []
    assert (read.optimum["lam"].place, read.optimum["lam"].flat) == (0.004, (0.001, 0.02))
    assert read.best is not None
    assert (read.best.val_loss, read.best.val_accuracy, read.best.merit) == (1.25, None, -1.25)


@pytest.mark.parametrize(
    ("damaged", "where"),
    [
        ({"optimum": {"lam": PLACE | {"place": "x"}}}, "stages.0.optimum.lam.place"),
        ({"optimum": {"lam": PLACE | {"flat": [0.1]}}}, "stages.0.optimum.lam.flat"),
        ({"optimum": {"lam": PLACE | {"at_end": "left"}}}, "stages.0.optimum.lam.at_end"),
        ({"importances": {"Fanova": {"lam": 2.0}}}, "stages.0.importances.Fanova.lam"),
        ({"best": {"trial": 0}}, "stages.0.best: Value error, has no val_accuracy and no val_loss"),
        ({"best": {"trial": 0, "val_loss": -1.0}}, "stages.0.best.val_loss"),
    ],
)
def test_damaged_records_of_optima_are_refused(tmp_path: Path, damaged: dict[str, Any], where: str) -> None:
    make_sweep(tmp_path, [{"name": "coarse", **damaged}])
    assert read_stages(tmp_path, warnings := list[str]()) == Sweep()
    assert where in warnings[0]


@pytest.fixture
def of_loss(tmp_path: Path) -> Path:
    """A sweep for the loss, which is smallest at 0.01; the accuracy is highest at 1."""
    stages = [{"name": "coarse", "status": "finished", "params": {"lam": LAM}, "best": {"trial": 4, "val_loss": 1.2}}]
    folder = make_sweep(tmp_path / "s", stages, status="finished", metric="val_loss")
    for i, lam in enumerate(LAMS.tolist()):
        loss = {"val_loss": 1.2 + 0.1 * (math.log10(lam) + 2.0) ** 2}
        make_run(folder / "coarse" / str(i), 0.3 + 0.02 * i, lam=lam, metrics=loss)
    return folder


def test_a_sweep_for_the_loss_leads_with_the_loss(of_loss: Path, tmp_path: Path) -> None:
    runs = read_runs([of_loss])
    groups = group_runs(runs)
    assert (runs.objective, groups.score, groups.scores) == ("val_loss", "val_loss", ["val_loss", "val_accuracy"])
    assert groups.table["lam"].tolist()[:3] == pytest.approx([0.01, 10**-2.5, 10**-1.5])
    (found,) = optima(runs, runs.objective)
    assert found.curve.place.centre == pytest.approx(0.01, rel=0.05)
    assert found.highest == (pytest.approx(0.01), pytest.approx(1.2))
    assert (found.curve.low <= found.curve.mean).all()
    assert (found.curve.mean <= found.curve.high).all()
    assert found.curve.mean.min() == pytest.approx(1.2, abs=0.01)
    text = aggregate([of_loss], tmp_path / "out")
    assert "best validation loss" in text
    assert "through the validation loss of all trials of a budget is lowest" in re.sub(r"\s+", " ", text)
    assert "is lowest at lam 0.01 (95 % interval" in re.sub(r"\s+", " ", text)
    assert "Best 5 of 9 groups, by validation loss:" in text
    rows = [re.split(r"  +", line) for line in text[text.index("Best 5 of") :].splitlines()]
    assert rows[1][:3] == ["lam", "validation loss", "validation accuracy %"]
    assert rows[3] == ["0.01", "1.200 (n=1)", "38.00 (n=1)"]
    assert runs.chosen(runs.frame["stage"] == "coarse").objective == "val_loss"


def test_a_list_shows_the_accuracy_of_the_run_with_the_smallest_loss(of_loss: Path) -> None:
    (place,) = found_below([of_loss])
    assert Entry(place).score == "38.00"
