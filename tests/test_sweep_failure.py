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


def states(folder: Path, stage: str = "grid") -> list[TrialState]:
    return [trial.state for trial in trials_of(folder, stage)]


def statuses(folder: Path, stage: str = "grid") -> list[str]:
    return [metrics_of(job)["status"] for job in job_folders(folder, stage)]


def told_at_the_end(outcome: Outcome) -> list[str]:
    """Lines on failures behind the report."""
    lines = outcome.out.splitlines()
    (report,) = (i for i, line in enumerate(lines) if line.startswith("the report of"))
    return lines[report + 1 :]


def roots(cifar_root: Path, n: int) -> str:
    """Data roots, all but the first without data: no setting tells that, so that their jobs fail."""
    return ",".join([str(cifar_root), *(f"{cifar_root}/nowhere/{i}" for i in range(1, n))])


def absent(cifar_root: Path, i: int) -> str:
    """How the message of the job with root i begins."""
    return f"UserError: CIFAR-10 is not in {cifar_root}/nowhere/{i} and downloading is off: "


@pytest.mark.parametrize("launcher", LAUNCHERS)
@pytest.mark.slow
def test_a_job_without_its_data(launcher: str, cifar_root: Path, tmp_path: Path) -> None:
    outcome = sweep_in(tmp_path, *TINY, LAUNCHERS[launcher], FOLDER, f"data.root={roots(cifar_root, 3)}")
    assert (outcome.err, outcome.status) == ("", 0)
    folder = tmp_path / "sweep"
    messages = [metrics_of(job).get("message") for job in job_folders(folder, "grid")]
    assert messages[0] is None
    for i in (1, 2):
        assert messages[i].startswith(absent(cifar_root, i))
        assert metrics_of(folder / "grid" / str(i)) == {
            "schema": 1, "status": "failed", "message": messages[i], "model": None, "settings": {},
        }  # fmt: skip
        assert f"{folder}/grid/{i}: failed: {messages[i]}" in outcome.out.splitlines()
    assert states(folder) == [TrialState.COMPLETE, TrialState.FAIL, TrialState.FAIL]
    assert record_of(folder)["status"] == "finished"
    assert record_of(folder)["stages"][0]["best"]["trial"] == 0
    assert told_at_the_end(outcome) == [
        "2 jobs failed; the logs are in their folders:",
        *(f"  {folder}/grid/{i}: {messages[i]}" for i in (1, 2)),
    ]
    assert (folder / "grid" / "1" / ".hydra" / "overrides.yaml").is_file()
    assert "downloading is off" in (folder / "grid" / "1" / "train.log").read_text()


@pytest.mark.slow
def test_a_stage_of_which_every_job_fails(cifar_root: Path, tmp_path: Path) -> None:
    stages = stages_argument(
        "name:coarse,sampler:random,trials:2,params:{lam:{low:0.1,high:0.2}}",
        f"name:fine,sampler:tpe,trials:3,batch:1,params:{{lam:{{low:0.1,high:0.2}}}},"
        f"budget:['data.root={cifar_root}/nowhere/1']",
        "name:confirm,confirm:{from:fine}",
    )
    folder = tmp_path / "sweep"
    first = sweep_in(tmp_path, *TINY, ALONE, FOLDER, stages)
    again = sweep_in(tmp_path, ALONE, stages, "resume=sweep")
    for outcome in (first, again):
        assert outcome.status == 1
        told, *failures = outcome.err.splitlines()
        assert told == "error: stage fine: every trial failed; the logs are in their folders:"
        for number, line in zip(range(3), failures, strict=True):
            assert line.startswith(f"  {folder}/fine/{number}: {absent(cifar_root, 1)}")
    assert record_of(folder)["status"] == "failed"
    assert [(entry["name"], entry["status"]) for entry in record_of(folder)["stages"]] == [
        ("coarse", "finished"), ("fine", "failed"),
    ]  # fmt: skip
    assert statuses(folder, "coarse") == ["finished"] * 2


@pytest.mark.slow
def test_more_failures_than_allowed_stop_the_sweep(cifar_root: Path, tmp_path: Path) -> None:
    """Going on tries them again: what is there by then finishes."""
    folder, given = tmp_path / "sweep", f"data.root={roots(cifar_root, 3)}"
    for arguments in ((*TINY, ALONE, FOLDER, given, "max_failures=1"), ("resume=sweep", ALONE, given)):
        outcome = sweep_in(tmp_path, *arguments)
        assert outcome.status == 1
        told, *failed = outcome.err.splitlines()
        assert told == "error: 2 jobs failed, more than max_failures=1; the logs are in their folders:"
        assert [line.split(": ", 1)[0] for line in failed] == [f"  {folder}/grid/{i}" for i in (1, 2)]
        assert record_of(folder)["status"] == "failed"
        assert statuses(folder) == ["finished", "failed", "failed"]
    outcome = sweep_in(tmp_path, "resume=sweep", ALONE, given, "max_failures=2")
    assert (outcome.err, outcome.status) == ("", 0)
    assert told_at_the_end(outcome) == ["2 jobs failed; the logs are in their folders:", *failed]
    assert states(folder) == [TrialState.COMPLETE, TrialState.FAIL, TrialState.FAIL]
    there = cifar_root / "nowhere"
    there.mkdir(exist_ok=True)
    try:
        for i in (1, 2):
            (there / str(i)).symlink_to(cifar_root)
        outcome = sweep_in(tmp_path, "resume=sweep", ALONE, given)
    finally:
        shutil.rmtree(there)
    assert (outcome.err, outcome.status) == ("", 0)
    assert states(folder) == [TrialState.COMPLETE] * 3


def test_failures_of_all_stages_count(cifar_root: Path, tmp_path: Path) -> None:
    one = roots(cifar_root, 2)
    stages = stages_argument(
        f"name:first,params:{{data.root:{{values:[{one}]}}}}",
        f"name:second,params:{{data.root:{{values:[{one}]}}}}",
        "name:third,params:{lam:{values:[0.3]}}",
    )
    outcome = sweep_in(tmp_path, *TINY, ALONE, FOLDER, stages, "max_failures=1")
    assert outcome.status == 1
    assert outcome.err.splitlines()[0].startswith("error: 2 jobs failed, more than max_failures=1")
    assert not (tmp_path / "sweep" / "third").exists()


def test_wrong_settings_of_any_job_are_told_before_the_first(cifar_root: Path, tmp_path: Path) -> None:
    for arguments, told in (
        (("model.dropout=[0.1]", "model.hidden=[10],[8,6],[7]"), "model: dropout needs one rate a hidden layer (2), "),
        (("lam=0.1,-1,-2",), "lam=-2: must be greater than or equal to 0"),
    ):
        assert mistake(sweep_in(tmp_path, *TINY, ALONE, FOLDER, *arguments)).startswith(told)
    assert not (tmp_path / "sweep").exists()


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
@pytest.mark.slow
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


@pytest.mark.parametrize("name", ["study.db", "sweep.json", "grid/trials.jsonl", "grid/populations.json"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "zeros", "flip"])
@pytest.mark.slow
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


@pytest.mark.parametrize("name", [names.METRICS, names.HISTORY, names.CONFIG, names.LAST, names.BEST])
def test_what_is_gone_of_a_finished_run_is_made_again(name: str, whole: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "sweep"))
    (folder / "grid" / "1" / name).unlink()
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
        patch.setattr("kls.sweep.job.draw", no_space)
        outcome = sweep_in(tmp_path, *TINY, ALONE, FOLDER, "lam=0.1", "plots=true", "evaluation.test=true")
    assert mistake(outcome) == (
        f"[Errno 28] No space left on device: '{folder}/grid/0/curves.png'; mend that, and go on with the same command "
        f"and resume={folder}"
    )
    assert metrics_of(folder / "grid" / "0")["status"] == "finished"
    assert (record_of(folder)["status"], record_of(folder)["stages"][0]["status"]) == ("interrupted",) * 2
    outcome = sweep_in(tmp_path, "resume=sweep", ALONE)
    assert (outcome.err, outcome.status) == ("", 0)
    assert states(folder) == [TrialState.COMPLETE]
