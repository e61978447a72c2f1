"""Jobs that fail are recorded and told; they cost neither the other jobs nor the sweep, unless there are too many."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from entry_points import Outcome, arrays_of, metrics_of, mistake
from interrupted_training import at_step, terminate
from optuna.trial import TrialState
from small_sweeps import ALONE, FOLDER, TINY, job_folders, record_of, stages_argument, sweep_in, swept, trials_of

from kls.records import names

LAUNCHERS = {"population": ALONE, "basic": "hydra/launcher=basic"}
WITHOUT_N_TRAIN = tuple(argument for argument in TINY if not argument.startswith("data.n_train"))
NEGATIVE = "must be greater than or equal to 0"


def states(folder: Path, stage: str = "grid") -> list[TrialState]:
    return [trial.state for trial in trials_of(folder, stage)]


def statuses(folder: Path, stage: str = "grid") -> list[str]:
    return [metrics_of(job)["status"] for job in job_folders(folder, stage)]


def told_at_the_end(outcome: Outcome) -> list[str]:
    """Lines on failures behind the report."""
    lines = outcome.out.splitlines()
    (report,) = (i for i, line in enumerate(lines) if line.startswith("the report of"))
    return lines[report + 1 :]


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_job_with_wrong_settings(launcher: str, cifar_root: Path, tmp_path: Path) -> None:
    outcome = sweep_in(
        tmp_path, *TINY, LAUNCHERS[launcher], FOLDER, "model.dropout=[0.1]", "model.hidden=[10],[8,6],[7]"
    )
    assert (outcome.err, outcome.status) == ("", 0)
    folder = tmp_path / "sweep"
    message = "UserError: model: dropout needs one rate a hidden layer (2), got 1"
    assert metrics_of(folder / "grid" / "1") == {"status": "failed", "message": message}
    assert statuses(folder) == ["finished", "failed", "finished"]
    assert states(folder) == [TrialState.COMPLETE, TrialState.FAIL, TrialState.COMPLETE]
    assert record_of(folder)["status"] == "finished"
    assert record_of(folder)["stages"][0]["best"]["trial"] in (0, 2)
    assert f"{folder}/grid/1: failed: {message}" in outcome.out.splitlines()
    assert told_at_the_end(outcome) == [
        "1 jobs failed; the logs are in their folders:",
        f"  {folder}/grid/1: {message}",
    ]
    assert (folder / "grid" / "1" / ".hydra" / "overrides.yaml").is_file()


def test_jobs_that_fail_at_their_data(cifar_root: Path, tmp_path: Path) -> None:
    outcome = sweep_in(tmp_path, *WITHOUT_N_TRAIN, ALONE, FOLDER, "data.n_train=60000,600", "model.init.sigma=null,0.1")
    assert (outcome.err, outcome.status) == ("", 0)
    folder = tmp_path / "sweep"
    assert statuses(folder) == ["failed", "failed", "finished", "finished"]
    message = "UserError: n_train 60000 and n_val 200 need 60200 training pictures; CIFAR-10 has 50000"
    assert [metrics_of(job)["message"] for job in job_folders(folder, "grid")] == [message, message, None, None]
    assert "60200 training pictures" in (folder / "grid" / "0" / "train.log").read_text()
    assert len(told_at_the_end(outcome)) == 3


def test_a_stage_of_which_every_job_fails(cifar_root: Path, tmp_path: Path) -> None:
    stages = stages_argument(
        "name:coarse,sampler:random,trials:2,params:{lam:{low:0.1,high:0.2}}",
        "name:fine,sampler:tpe,trials:3,batch:1,params:{lam:{low:0.1,high:0.2}},budget:['data.n_train=60000']",
        "name:confirm,confirm:{from:fine}",
    )
    folder = tmp_path / "sweep"
    first = sweep_in(tmp_path, *TINY, ALONE, FOLDER, stages)
    again = sweep_in(tmp_path, ALONE, stages, "resume=sweep")
    for outcome in (first, again):
        assert outcome.status == 1
        lines = outcome.err.splitlines()
        assert lines[0] == "error: stage fine: every trial failed; the logs are in their folders:"
        assert len(lines) == (2 if outcome is first else 3)  # going on means another batch
        assert all(line.startswith(f"  {folder}/fine/") and "60200 training pictures" in line for line in lines[1:])
    assert record_of(folder)["status"] == "failed"
    assert [(entry["name"], entry["status"]) for entry in record_of(folder)["stages"]] == [
        ("coarse", "finished"), ("fine", "running"),
    ]  # fmt: skip
    assert statuses(folder, "coarse") == ["finished"] * 2


def test_more_failures_than_allowed_stop_the_sweep(cifar_root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    failed = [f"  {folder}/grid/{i}: UserError: lam=-{i}: {NEGATIVE}" for i in (1, 2)]
    command = (*TINY, ALONE, FOLDER, "lam=0.1,-1,-2")
    for arguments in ((*command, "max_failures=1"), ("resume=sweep", ALONE)):
        outcome = sweep_in(tmp_path, *arguments)
        assert outcome.status == 1
        assert outcome.err.splitlines() == [
            "error: 2 jobs failed, more than max_failures=1; the logs are in their folders:",
            *failed,
        ]
        assert record_of(folder)["status"] == "failed"
        assert statuses(folder) == ["finished", "failed", "failed"]
    outcome = sweep_in(tmp_path, "resume=sweep", ALONE, "max_failures=2")
    assert (outcome.err, outcome.status) == ("", 0)
    assert told_at_the_end(outcome) == ["2 jobs failed; the logs are in their folders:", *failed]
    assert states(folder) == [TrialState.COMPLETE, TrialState.FAIL, TrialState.FAIL]
    outcome = sweep_in(tmp_path, "resume=sweep", ALONE)
    assert told_at_the_end(outcome)[1:] == failed


def test_failures_of_all_stages_count(cifar_root: Path, tmp_path: Path) -> None:
    stages = stages_argument(
        "name:first,params:{lam:{values:[0.1,-1]}}",
        "name:second,params:{lam:{values:[0.2,-2]}}",
        "name:third,params:{lam:{values:[0.3]}}",
    )
    outcome = sweep_in(tmp_path, *TINY, ALONE, FOLDER, stages, "max_failures=1")
    assert outcome.status == 1
    assert outcome.err.splitlines()[0].startswith("error: 2 jobs failed, more than max_failures=1")
    assert not (tmp_path / "sweep" / "third").exists()


def test_networks_that_diverge_are_results(cifar_root: Path, tmp_path: Path) -> None:
    folder = swept(tmp_path, "model=3layer", "optimizer.schedule.eta_max=0.1,1e8", "max_failures=0")
    assert statuses(folder) == ["finished", "diverged"]
    assert states(folder) == [TrialState.COMPLETE] * 2
    assert trials_of(folder, "grid")[1].values == [0.1]
    for job in job_folders(folder, "grid"):
        assert metrics_of(job)["population"] == 2
        assert {"metrics.json", "history.csv", "best.npz", "train.log"} <= {path.name for path in job.iterdir()}


def test_a_population_that_diverges_as_a_whole(cifar_root: Path, tmp_path: Path) -> None:
    folder = swept(tmp_path, "model=3layer", "optimizer.schedule.eta_max=1e8,1e9", "max_failures=0")
    assert statuses(folder) == ["diverged"] * 2
    assert record_of(folder)["stages"][0]["best"]["val_accuracy"] == 0.1


THREE = ("lam=0.1,0.2,0.3", "dtype=float64")


@pytest.fixture(scope="module")
def whole(cifar_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return swept(tmp_path_factory.mktemp("whole"), *THREE)


@pytest.fixture(scope="module")
def _stopped(cifar_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep whose population of three was stopped in the middle."""
    cwd = tmp_path_factory.mktemp("stopped_sweep")
    with at_step(6, terminate):
        assert sweep_in(cwd, *TINY, ALONE, FOLDER, *THREE).status == 130
    return cwd / "sweep"


@pytest.fixture
def stopped(_stopped: Path) -> Iterator[Path]:
    """The same, and afterwards what it was before."""
    kept = shutil.copytree(_stopped, _stopped.with_name("kept"))
    yield _stopped
    shutil.rmtree(_stopped)
    kept.rename(_stopped)


@pytest.mark.parametrize(("name", "told"), [("history.csv", "cannot be read as a history"), ("last.npz", "checkpoint")])
def test_the_failure_of_one_member_costs_the_others_nothing(name: str, told: str, stopped: Path, whole: Path) -> None:
    (stopped / "grid" / "1" / name).write_bytes(b"damaged\n1\n")
    outcome = sweep_in(stopped.parent, "resume=sweep", ALONE)
    assert (outcome.err, outcome.status) == ("", 0)
    assert statuses(stopped) == ["finished", "failed", "finished"]
    assert told in metrics_of(stopped / "grid" / "1")["message"]
    assert len(told_at_the_end(outcome)) == 2
    for number in ("0", "2"):
        got, expected = (arrays_of(folder / "grid" / number) for folder in (stopped, whole))
        np.testing.assert_allclose(got["W1"], expected["W1"], rtol=1e-9, atol=1e-12)


def test_a_file_in_the_place_of_a_folder(cifar_root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    (folder / "grid").mkdir(parents=True)
    (folder / "grid" / "1").touch()
    outcome = sweep_in(tmp_path, *TINY, ALONE, FOLDER, "lam=0.1,0.2")
    assert mistake(outcome) == f"[Errno 17] File exists: '{folder}/grid/1'"
    assert outcome.out.count("the launcher broke down (FileExistsError") == 2
    assert record_of(folder)["status"] == "failed"
    (folder / "grid" / "1").unlink()
    outcome = sweep_in(tmp_path, "resume=sweep", ALONE)
    assert (outcome.err, outcome.status) == ("", 0)
    assert statuses(folder) == ["finished"] * 2


def test_a_full_record_of_a_failure_stays(cifar_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that fails after its training keeps its scores, and is worth nothing to the search all the same."""

    def no_space(folder: Path) -> None:
        raise OSError(28, "No space left on device", str(folder / names.CURVES))

    monkeypatch.setattr("kls.pictures_of_run.draw", no_space)
    outcome = sweep_in(tmp_path, *TINY, ALONE, FOLDER, "lam=0.1", "plots=true")
    assert outcome.status == 1
    metrics = metrics_of(tmp_path / "sweep" / "grid" / "0")
    assert metrics["status"] == "failed"
    assert metrics["message"].startswith("OSError: [Errno 28] No space left on device")
    assert metrics["steps"] == 12
    assert states(tmp_path / "sweep") == [TrialState.FAIL]
