"""Jobs that fail are recorded and told; they cost neither the other jobs nor the sweep, unless there are too many."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from entry_points import Outcome, metrics_of, mistake
from interrupted_training import at_step, terminate
from optuna.trial import TrialState
from small_sweeps import (
    ALONE,
    FOLDER,
    TINY,
    assert_same_sweep,
    job_folders,
    record_of,
    stages_argument,
    sweep_in,
    swept,
    trials_of,
)

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
        assert len(lines) == 2
        assert all(line.startswith(f"  {folder}/fine/") and "60200 training pictures" in line for line in lines[1:])
    assert record_of(folder)["status"] == "failed"
    assert [(entry["name"], entry["status"]) for entry in record_of(folder)["stages"]] == [
        ("coarse", "finished"), ("fine", "failed"),
    ]  # fmt: skip
    assert statuses(folder, "coarse") == ["finished"] * 2


def test_more_failures_than_allowed_stop_the_sweep(cifar_root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    failed = [f"  {folder}/grid/{i}: UserError: lam=-{i}: {NEGATIVE}" for i in (1, 2)]
    again = [f"  {folder}/grid/{i}: UserError: lam=-{i}.0: {NEGATIVE}" for i in (1, 2)]
    command = (*TINY, ALONE, FOLDER, "lam=0.1,-1,-2")
    for arguments in ((*command, "max_failures=1"), ("resume=sweep", ALONE)):
        outcome = sweep_in(tmp_path, *arguments)
        assert outcome.status == 1
        assert outcome.err.splitlines() == [
            "error: 2 jobs failed, more than max_failures=1; the logs are in their folders:",
            *(failed if arguments[0] != "resume=sweep" else again),
        ]
        assert record_of(folder)["status"] == "failed"
        assert statuses(folder) == ["finished", "failed", "failed"]
    outcome = sweep_in(tmp_path, "resume=sweep", ALONE, "max_failures=2")
    assert (outcome.err, outcome.status) == ("", 0)
    assert told_at_the_end(outcome) == ["2 jobs failed; the logs are in their folders:", *again]
    assert states(folder) == [TrialState.COMPLETE, TrialState.FAIL, TrialState.FAIL]
    outcome = sweep_in(tmp_path, "resume=sweep", ALONE, "max_failures=2")
    assert told_at_the_end(outcome)[1:] == again


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
        assert sweep_in(cwd, *TINY, ALONE, FOLDER, *THREE).status == 143
    return cwd / "sweep"


@pytest.fixture
def stopped(_stopped: Path) -> Iterator[Path]:
    """The same, and afterwards what it was before."""
    kept = shutil.copytree(_stopped, _stopped.with_name("kept"))
    yield _stopped
    shutil.rmtree(_stopped)
    kept.rename(_stopped)


@pytest.mark.parametrize("name", ["history.csv", "last.npz", "best.npz", "metrics.json", "config.yaml"])
def test_damage_to_one_member_is_made_good(name: str, stopped: Path, whole: Path) -> None:
    """All go on together from the newest step that all have a checkpoint of, which may be the first."""
    path = stopped / "grid" / "1" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    outcome = sweep_in(stopped.parent, "resume=sweep", ALONE)
    assert (outcome.err, outcome.status) == ("", 0)
    assert path.with_name(f"{name}.damaged").read_bytes() == content
    path.with_name(f"{name}.damaged").unlink()
    assert_same_sweep(stopped, whole, ["grid"])


@pytest.mark.parametrize("name", ["study.db", "sweep.json", "grid/trials.json", "grid/populations.json"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "zeros", "flip"])
def test_damage_to_records_of_the_sweep_is_made_good(name: str, damage: str, stopped: Path, whole: Path) -> None:
    path = stopped / name
    content = path.read_bytes()
    middle = len(content) // 2
    spoilt = {
        "missing": b"", "empty": b"", "cut": content[:-20], "zeros": bytes(len(content)),
        "flip": content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :],
    }  # fmt: skip
    path.write_bytes(spoilt[damage])
    if damage == "missing":
        path.unlink()
    outcome = sweep_in(stopped.parent, "resume=sweep", ALONE)
    assert (outcome.err, outcome.status) == ("", 0)
    if name.startswith("grid") and damage != "flip":  # a flip in the checksum's own key is harmless
        assert f"{path}: restored from its copy" in outcome.out
    assert_same_sweep(stopped, whole, ["grid"])


def test_a_finished_run_whose_record_is_gone_is_scored_again(whole: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "sweep"))
    (folder / "grid" / "1" / names.METRICS).unlink()
    outcome = sweep_in(tmp_path, "resume=sweep", ALONE)
    assert (outcome.err, outcome.status) == ("", 0)
    assert_same_sweep(folder, whole, ["grid"])


def test_a_file_in_the_place_of_a_folder(cifar_root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    (folder / "grid").mkdir(parents=True)
    (folder / "grid" / "1").write_text("mine")
    outcome = sweep_in(tmp_path, *TINY, ALONE, FOLDER, "lam=0.1,0.2")
    assert mistake(outcome) == (
        f"{folder}: has grid already, which a sweep would overwrite; take another folder, or go on with what is there "
        f"by resume={folder}"
    )
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.name != ".lock"] == [folder / "grid" / "1"]
    assert (folder / "grid" / "1").read_text() == "mine"


def test_a_full_disk_stops_the_sweep_and_costs_nothing(
    cifar_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(folder: Path) -> None:
        raise OSError(28, "No space left on device", str(folder / names.CURVES))

    folder = tmp_path / "sweep"
    with monkeypatch.context() as patch:
        patch.setattr("kls.pictures_of_run.draw", no_space)
        outcome = sweep_in(tmp_path, *TINY, ALONE, FOLDER, "lam=0.1", "plots=true")
    assert mistake(outcome) == (
        f"[Errno 28] No space left on device: '{folder}/grid/0/curves.png'; mend that, and go on with the same command "
        f"and resume={folder}"
    )
    assert metrics_of(folder / "grid" / "0")["status"] == "finished"
    assert (record_of(folder)["status"], record_of(folder)["stages"][0]["status"]) == ("interrupted",) * 2
    outcome = sweep_in(tmp_path, "resume=sweep", ALONE)
    assert (outcome.err, outcome.status) == ("", 0)
    assert states(folder) == [TrialState.COMPLETE]
