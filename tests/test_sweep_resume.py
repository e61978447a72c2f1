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
from entry_points import assert_same_run, config_of, metrics_of, mistake
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
from kls.plugins import job_keeper, population_batch
from kls.records import names
from kls.records.run_folder import RunFolder
from kls.sweep.record import SweepRecord, only_controller

SEARCH = (
    *TINY,
    ALONE,
    FOLDER,
    stages_argument(
        "name:coarse,sampler:random,trials:4,params:{lam:{low:1e-4,high:10,scale:log}}",
        "name:fine,sampler:tpe,trials:4,batch:2,"
        "params:{lam:{narrow:{from:coarse,rule:range_of_best,k:2,widen:3},scale:log},model:{values:[3layer,3layer_bn]}}",
        "name:confirm,confirm:{from:fine,seeds:2}",
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


# Calls that are not made: (owner, name, number in the search that goes on from the kill before).
KILLS: list[tuple[Any, str, int]] = [
    (optuna.study.Study, "ask", 3),
    (optuna.trial.Trial, "_suggest", 2),
    (RunFolder, "write_config", 3),
    (RunFolder, "write_history", 2),
    (RunFolder, "write_metrics", 9),
    (population_batch, "_recording", 2),
    (optuna.study.Study, "tell", 3),
    (SweepRecord, "put_stage", 2),
    (optuna.trial.Trial, "_suggest", 2),
    (Population, "advance", 2),
    (optuna.study.Study, "tell", 2),
    (job_keeper, "_answer", 1),
    (optuna.study.Study, "ask", 2),
    (Population, "advance", 2),
    (SweepRecord, "set_status", 1),
]


def test_kills_between_all_steps_of_a_search(finished: Path, tmp_path: Path) -> None:
    arguments = SEARCH
    for kill_at in KILLS:
        with at_call(*kill_at, kill), pytest.raises(Killed):
            sweep_in(tmp_path, *arguments)
        arguments = (*SEARCH, "resume=sweep")
    outcome = sweep_in(tmp_path, *arguments)
    assert (outcome.err, outcome.status) == ("", 0)
    assert_same_sweep(tmp_path / "sweep", finished, STAGES)


@pytest.mark.parametrize("update", [1, 13, 25, 40])
def test_ctrl_c_stops_with_status_130_and_the_sweep_goes_on_from_there(
    update: int, finished: Path, tmp_path: Path
) -> None:
    with at_call(Population, "advance", update // 6 + 1, interrupt):
        outcome = sweep_in(tmp_path, *SEARCH)
    assert (outcome.err, outcome.status) == ("", 130)
    folder = tmp_path / "sweep"
    assert record_of(folder)["status"] == "interrupted"
    assert outcome.out.splitlines()[-1] == f"stopped; go on with the same command and resume={folder}"
    stopped = [job for stage in STAGES if (folder / stage).exists() for job in job_folders(folder, stage)]
    statuses = [metrics_of(job)["status"] for job in stopped]
    assert set(statuses) <= {"finished", "interrupted"}
    assert "interrupted" in statuses
    resumed = sweep_in(tmp_path, *SEARCH, "resume=sweep")
    assert (resumed.err, resumed.status) == ("", 0)
    assert_same_sweep(folder, finished, STAGES)


def test_the_folder_alone_says_how_to_go_on(finished: Path, tmp_path: Path) -> None:
    grid = (*TINY, ALONE, FOLDER, "model=3layer,3layer_bn", "lam=0.1", "seed=1,2")
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
    assert {path.name for path in before if before[path] != after.get(path)} == {names.SWEEP}
    assert record_of(finished)["status"] == "finished"
    assert [entry["name"] for entry in record_of(finished)["stages"]] == list(STAGES)
    assert "best validation accuracy" in outcome.out


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ("batch_size=60", "settings.batch_size: 50 -> 60"),
        ("model=3layer", 'settings.model.bn.enabled: true -> false; settings.model.init.scheme: "he" -> "xavier"'),
        (
            SEARCH[-1].replace("trials:4,batch:2", "trials:6,batch:2").replace("low:1e-4", "low:1e-3"),
            "stages[coarse].params.lam.low: 0.0001 -> 0.001; stages[fine].trials: 4 -> 6",
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


def test_what_does_not_change_a_result_may_change(finished: Path, tmp_path: Path) -> None:
    with at_call(Population, "advance", 2, interrupt):
        assert sweep_in(tmp_path, *SEARCH).status == 130
    changes = ("threads=2", "max_failures=3", "checkpoint_seconds=0", "name=other", "hydra/launcher=basic")
    arguments = [argument for argument in SEARCH if argument != ALONE]
    outcome = sweep_in(tmp_path, *arguments, "resume=sweep", *changes)
    assert (outcome.err, outcome.status) == ("", 0)
    assert len(job_folders(tmp_path / "sweep", "fine")) == 4


def test_two_controllers_do_not_share_a_folder(finished: Path) -> None:
    before = file_times(finished)
    for arguments in (("resume=sweep", SEARCH[-1]), SEARCH):
        with only_controller(finished):
            outcome = sweep_in(finished.parent, *arguments)
        assert mistake(outcome) == f"{finished}: another process is running this sweep; wait for it, or stop it first"
    assert file_times(finished) == before


def test_folders_without_a_sweep(finished: Path, tmp_path: Path) -> None:
    assert mistake(sweep_in(tmp_path, "resume=nothing")) == (
        f"{tmp_path}/nothing: not a sweep's folder, it has no sweep.json"
    )
    job = finished / "coarse" / "0"
    assert mistake(sweep_in(tmp_path, f"resume={job}")) == f"{job}: not a sweep's folder, it has no sweep.json"
    assert list(tmp_path.iterdir()) == []


def test_a_resumed_job_equals_one_that_was_not_stopped(finished: Path, tmp_path: Path) -> None:
    with at_call(Population, "advance", 2, interrupt):
        assert sweep_in(tmp_path, *SEARCH).status == 130
    assert [metrics_of(job)["steps"] for job in job_folders(tmp_path / "sweep", "coarse")] == [6] * 4
    assert sweep_in(tmp_path, *SEARCH, "resume=sweep").status == 0
    for job in job_folders(tmp_path / "sweep", "coarse"):
        assert_same_run(job, finished / "coarse" / job.name)
        assert f"resume='{job}'" in (job / ".hydra" / "overrides.yaml").read_text()
