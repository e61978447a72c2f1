"""A sweep that is stopped anywhere goes on as if nothing had happened."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
from entry_points import config_of, metrics_of, mistake
from small_sweeps import (
    ALONE,
    FOLDER,
    TINY,
    assert_same_sweep,
    file_times,
    job_folders,
    record_of,
    stages_argument,
    sweep_in,
    trials_of,
)

from kls.core.population import Population
from kls.records import names
from kls.records.lock import only_process
from kls.records.run_folder import RunFolder
from kls.records.sweep_record import SweepRecord
from kls.sweep import job_keeper, population_batch, trial_storage

SEARCH = (
    *TINY,
    ALONE,
    FOLDER,
    stages_argument(
        "name:coarse,sampler:random,trials:3,params:{lam:{low:1e-4,high:10,scale:log}}",
        "name:fine,sampler:{_target_:optuna.samplers.TPESampler,n_startup_trials:1},trials:3,batch:2,"
        "params:{lam:{narrow:{from:coarse,rule:range_of_best,k:2,widen:3},scale:log},model:{values:[3layer,3layer_bn]}}",
        "name:confirm,confirm:{from:fine,seeds:1}",
    ),
)
STAGES = ("coarse", "fine", "confirm")


class Killed(BaseException):
    """Stands for a kill -9 that comes at a certain call."""


@contextmanager
def at_call(owner: Any, name: str, number: int, action: Callable[[], None]) -> Iterator[None]:
    """Within this context the call of that number of ``owner.name``, counted from 1, begins with ``action``."""
    original = getattr(owner, name)
    calls = 0

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            action()
        return original(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, counted)
        yield


def kill() -> None:
    raise Killed


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(scope="module")
def finished(cifar_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the search when nothing stops it."""
    cwd = tmp_path_factory.mktemp("finished_sweep")
    outcome = sweep_in(cwd, *SEARCH)
    assert (outcome.err, outcome.status) == ("", 0)
    return cwd / "sweep"


# Calls that are not made: (owner, name, which call of the run that goes on from the kill before).
KILLS: list[tuple[Any, str, int]] = [
    (optuna.trial.Trial, "_suggest", 2),  # three trials are asked for, one has its parameter
    (RunFolder, "write_history", 2),  # one of three jobs is finished
    (optuna.study.Study, "tell", 2),  # one of three results is told
    (SweepRecord, "put_stage", 2),  # the stage has ended, its record has not
    (optuna.trial.Trial, "_suggest", 2),  # in the second stage: one of two parameters
    (population_batch, "_told", 2),  # all are trained, none is told
    (optuna.study.Study, "tell", 2),  # one of the first batch is told
    (optuna.study.Study, "ask", 2),  # the first batch is told, the last is not asked for
    (trial_storage.TrialRecord, "write", 2),  # all is told, nothing of the last batch is recorded
    (SweepRecord, "set_status", 1),  # all stages have ended
]


@pytest.mark.slow
def test_kills_between_all_steps_of_a_search(finished: Path, tmp_path: Path) -> None:
    arguments = SEARCH
    for kill_at in KILLS:
        with at_call(*kill_at, kill), pytest.raises(Killed):
            sweep_in(tmp_path, *arguments)
        arguments = (*SEARCH, "resume=sweep")
    outcome = sweep_in(tmp_path, *arguments)
    assert (outcome.err, outcome.status) == ("", 0)
    assert_same_sweep(tmp_path / "sweep", finished, STAGES)


def test_batches_end_where_they_would_have(cifar_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, sizes = job_keeper.JobKeeper.run, list[int]()

    def counted(keeper: Any, jobs: Any) -> Any:
        sizes.append(len(jobs))
        return run(keeper, jobs)

    monkeypatch.setattr(job_keeper.JobKeeper, "run", counted)
    stage = stages_argument("name:tpe,sampler:tpe,trials:5,batch:2,params:{lam:{low:0.1,high:0.2}}")
    with at_call(optuna.study.Study, "tell", 2, kill), pytest.raises(Killed):
        sweep_in(tmp_path, *TINY, ALONE, FOLDER, stage)
    assert sizes == [2]
    assert sweep_in(tmp_path, "resume=sweep", ALONE, stage).status == 0
    assert sizes == [2, 2, 2, 1]


@pytest.mark.slow
def test_ctrl_c_stops_with_status_130_and_the_sweep_goes_on_from_there(finished: Path, tmp_path: Path) -> None:
    with at_call(Population, "advance", 4, interrupt):  # the first three jobs together took two
        outcome = sweep_in(tmp_path, *SEARCH)
    assert (outcome.err, outcome.status) == ("", 130)
    folder = tmp_path / "sweep"
    assert record_of(folder)["status"] == "interrupted"
    assert outcome.out.splitlines()[-1] == f"stopped; go on with the same command and resume={folder}"
    stopped = [metrics_of(job) for job in job_folders(folder, "fine")]
    assert ("interrupted", 6) in [(metrics.get("status"), metrics.get("steps")) for metrics in stopped if metrics]
    assert not (folder / "confirm").exists()
    resumed = sweep_in(tmp_path, *SEARCH, "resume=sweep")
    assert (resumed.err, resumed.status) == ("", 0)
    assert_same_sweep(folder, finished, STAGES)


def test_a_population_goes_on_together(cifar_root: Path, tmp_path: Path) -> None:
    grid = (*TINY, ALONE, "lam=0.1,0.2,0.3")
    assert sweep_in(tmp_path, *grid, "hydra.sweep.dir=expected").status == 0
    with at_call(Population, "advance", 2, interrupt):
        assert sweep_in(tmp_path, *grid, FOLDER).status == 130
    jobs = job_folders(tmp_path / "sweep", "grid")
    assert [(metrics_of(job)["status"], metrics_of(job)["steps"]) for job in jobs] == [("interrupted", 6)] * 3
    assert sweep_in(tmp_path, "resume=sweep", ALONE).status == 0
    assert_same_sweep(tmp_path / "sweep", tmp_path / "expected", ["grid"])


def test_the_folder_alone_says_how_to_go_on(finished: Path, tmp_path: Path) -> None:
    grid = (*TINY, ALONE, FOLDER, "model=3layer,3layer_bn", "lam=0.1", "seed=1,2", "model.hidden=[10]")
    with at_call(Population, "advance", 2, interrupt):
        assert sweep_in(tmp_path, *grid).status == 130
    outcome = sweep_in(tmp_path, "resume=sweep", ALONE)
    assert (outcome.err, outcome.status) == ("", 0)
    jobs = job_folders(tmp_path / "sweep", "grid")
    assert [(config_of(job)["model"]["bn"]["enabled"], config_of(job)["seed"]) for job in jobs] == [
        (bn, seed) for bn in (False, True) for seed in (1, 2)
    ]
    assert [trial.params["seed"] for trial in trials_of(tmp_path / "sweep", "grid")] == [1, 2, 1, 2]


def test_a_finished_sweep_is_not_run_again(finished: Path, tmp_path: Path) -> None:
    before = file_times(finished)
    outcome = sweep_in(finished.parent, "resume=sweep", ALONE, SEARCH[-1])
    assert (outcome.err, outcome.status) == ("", 0)
    after = file_times(finished)
    changed = {path.name for path in before if before[path] != after.get(path)}
    assert changed == {names.SWEEP, f".{names.SWEEP}.copy", names.STUDY}  # the database is made anew
    assert record_of(finished)["status"] == "finished"
    assert [entry["name"] for entry in record_of(finished)["stages"]] == list(STAGES)
    assert "best validation accuracy" in outcome.out


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ("batch_size=60", "settings.batch_size: 50 -> 60"),
        ("model.dropout=[0.1,0.2]", "settings.model.dropout: 0.0 -> [0.1, 0.2]"),
        (
            SEARCH[-1].replace("trials:3,batch:2", "trials:6,batch:2").replace("low:1e-4", "low:1e-3"),
            "stages[coarse].params.lam.low: 0.0001 -> 0.001; stages[fine].trials: 3 -> 6",
        ),
    ],
)
def test_another_search_is_refused_with_the_difference(change: str, difference: str, finished: Path) -> None:
    before = file_times(finished)
    stages = [] if change.startswith("hydra.sweeper") else [SEARCH[-1]]
    outcome = sweep_in(finished.parent, "resume=sweep", ALONE, *stages, change)
    assert mistake(outcome) == f"{finished}: a sweep goes on as it began; changed: {difference}"
    assert outcome.out == ""
    assert file_times(finished) == before


def test_what_does_not_change_a_result_may_change(cifar_root: Path, tmp_path: Path) -> None:
    grid = (*TINY, FOLDER, "lam=0.1,0.2")
    with at_call(Population, "advance", 2, interrupt):
        assert sweep_in(tmp_path, *grid, ALONE).status == 130
    changes = ("threads=2", "max_failures=3", "checkpoint_seconds=0", "name=other", "hydra/launcher=basic")
    outcome = sweep_in(tmp_path, *grid, "resume=sweep", *changes)
    assert (outcome.err, outcome.status) == ("", 0)
    assert [metrics_of(job)["status"] for job in job_folders(tmp_path / "sweep", "grid")] == ["finished"] * 2


def test_two_controllers_do_not_share_a_folder(finished: Path) -> None:
    before = file_times(finished)
    with only_process(finished):
        outcome = sweep_in(finished.parent, "resume=sweep", SEARCH[-1])
    assert mistake(outcome) == f"{finished}: another process is at work here; wait for it, or stop it first"
    assert file_times(finished) == before


def test_folders_without_a_sweep(finished: Path, tmp_path: Path) -> None:
    assert mistake(sweep_in(tmp_path, "resume=nothing")) == (
        f"{tmp_path}/nothing: not a sweep's folder, it has no sweep.json"
    )
    job = finished / "coarse" / "0"
    assert mistake(sweep_in(tmp_path, f"resume={job}")) == (
        f"{job}: is a run's folder; go on with it by resume={job}, without --multirun"
    )
    assert list(tmp_path.iterdir()) == []
