"""Sweeps whose populations are pruned: what becomes of the trials, and of the stages that follow."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from entry_points import config_of, metrics_of, mistake, train_in
from interrupted_training import at_step, terminate
from optuna.trial import TrialState
from small_sweeps import (
    ALONE,
    FOLDER,
    TINY,
    assert_same_sweep,
    job_folders,
    record_of,
    refused,
    stages_argument,
    sweep_in,
    swept,
    trials_of,
)

from kls.records import names
from kls.report.summary import aggregate

STAGES = stages_argument(
    "name:coarse,sampler:random,trials:8,params:{lam:{low:1e-3,high:10,scale:log}}",
    "name:fine,sampler:tpe,trials:4,seed:0,params:{lam:{narrow:{from:coarse,rule:range_of_best,k:2},scale:log}}",
    "name:confirm,confirm:{from:fine,seeds:2}",
)
# Three cycles of an epoch; half of the networks go on after the first and, of those, after the second one.
SEARCH = ("optimizer.schedule.cycles=3", "dtype=float64", "pruning.rule=halving", STAGES)


@pytest.fixture(scope="module")
def search(cifar_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return swept(tmp_path_factory.mktemp("search"), *SEARCH)


def statuses(folder: Path, stage: str) -> list[str]:
    return [metrics_of(job)[names.STATUS] for job in job_folders(folder, stage)]


def test_the_share_of_the_rule_is_left(search: Path) -> None:
    for stage, left in (("coarse", 2), ("fine", 1), ("confirm", 2)):
        found = statuses(search, stage)
        assert found.count(names.FINISHED) == left
        assert set(found) <= {names.FINISHED, names.PRUNED}
    assert sorted(metrics_of(job)["steps"] for job in job_folders(search, "coarse")) == [12] * 4 + [24] * 2 + [36] * 2


def test_the_value_of_a_pruned_trial_is_its_last_one(search: Path) -> None:
    for stage in ("coarse", "fine"):
        for trial, job in zip(trials_of(search, stage), job_folders(search, stage), strict=True):
            pruned = metrics_of(job)[names.STATUS] == names.PRUNED
            assert trial.state is (TrialState.PRUNED if pruned else TrialState.COMPLETE)
            assert trial.values == [metrics_of(job)["val_accuracy"]]
            assert trial.intermediate_values[max(trial.intermediate_values)] == trial.values[0]


def test_the_record_counts_and_the_best_has_finished(search: Path) -> None:
    coarse, fine, confirm = record_of(search)["stages"]
    assert [s["runs"] for s in (coarse, fine, confirm)] == [
        {"finished": 2, "pruned": 6}, {"finished": 1, "pruned": 3}, {"finished": 2},
    ]  # fmt: skip
    for entry in (coarse, fine, confirm):
        whole = [trial for trial in trials_of(search, entry["name"]) if trial.state is TrialState.COMPLETE]
        best, value = max(((trial, trial.values[0]) for trial in whole), key=lambda pair: pair[1])
        assert entry["best"] == {"trial": best.number, "params": {"lam": best.params["lam"]}, "val_accuracy": value}
    assert confirm["params"]["lam"]["values"] == [fine["best"]["params"]["lam"]]


def test_a_confirmation_is_not_pruned(search: Path) -> None:
    rules = {stage: config_of(job_folders(search, stage)[0])["pruning"]["rule"] for stage in ("fine", "confirm")}
    assert rules == {"fine": "halving", "confirm": None}


@pytest.mark.slow
def test_tables_count_pruned_runs_and_do_not_average_them(search: Path, tmp_path: Path) -> None:
    aggregate([search], tmp_path)
    groups = pd.read_csv(tmp_path / names.GROUPS_TABLE)
    assert groups.groupby("stage")["n_pruned"].sum().to_dict() == {"coarse": 6, "fine": 3, "confirm": 0}
    assert groups.groupby("stage")["val_accuracy_n"].sum().to_dict() == {"coarse": 2, "fine": 1, "confirm": 2}
    assert sorted(pd.read_csv(tmp_path / names.RUNS_TABLE)["status"].value_counts().to_dict().items()) == [
        ("finished", 5), ("pruned", 9),
    ]  # fmt: skip


@pytest.mark.parametrize("step", [12, 20])
@pytest.mark.slow
def test_a_sweep_that_is_stopped_and_goes_on_prunes_the_same(search: Path, tmp_path: Path, step: int) -> None:
    with at_step(step, terminate):
        assert sweep_in(tmp_path, *TINY, ALONE, FOLDER, *SEARCH).status == 143
    assert record_of(tmp_path / "sweep")["status"] == "interrupted"
    outcome = sweep_in(tmp_path, *TINY, ALONE, *SEARCH, "resume=sweep")
    assert (outcome.err, outcome.status) == ("", 0)
    assert_same_sweep(tmp_path / "sweep", search, ["coarse", "fine", "confirm"])


def test_what_is_said_of_a_pruned_run(cifar_root: Path, tmp_path: Path) -> None:
    grid = stages_argument("name:grid,params:{lam:{values:[0.01,5,9]}}")
    outcome = sweep_in(tmp_path, *TINY, ALONE, FOLDER, *SEARCH[:-1], grid)
    assert "stage grid: 1 finished, 2 pruned" in outcome.out.splitlines()
    job = next(j for j in job_folders(tmp_path / "sweep", "grid") if metrics_of(j)[names.STATUS] == names.PRUNED)
    told = (
        f"fell behind the others by the rule halving at step 12; validation {metrics_of(job)['val_accuracy']:.2%} then"
    )
    assert f"pruned     {told}\n" in (job / "train.log").read_text()
    again = train_in(tmp_path, f"resume={job}")
    assert (again.status, again.err) == (0, "")
    assert "has ended already" in again.out
    assert metrics_of(job)["steps"] == 12


def test_refusals(tmp_path: Path) -> None:
    assert refused(tmp_path, *TINY, "pruning.rule=median", "lam=1,2", "evaluation.test=true") == (
        "pruning.rule=median: all stages score the test set, and those that do are never pruned"
    )
    assert mistake(train_in(tmp_path, "optimizer=sgd_step", "pruning.rule=median")) == (
        "pruning.at=cycle needs a cyclic schedule, not step: set pruning.at=epoch"
    )
