"""What the SLURM engine does by itself: its refusals, its record, its errors as JSON, and a SLURM that is silent."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from kls.engines import slurm_commands, slurm_jobs
from kls.engines.slurm_commands import Resources
from kls.engines.slurm_jobs import SlurmJobs
from kls.engines.task_errors import read_errors, write_errors
from kls.engines.tasks import LostError
from kls.errors import DamageError, UserError
from kls.records import checked, names
from kls.training.session import Job


class Queue:
    """Stands for SLURM: takes arrays, and says which jobs have not ended."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.jobs: dict[str, str] = {}  # names by id
        self.silent = False
        self.cancelled: list[tuple[str, ...]] = []
        self.submitted: list[tuple[int, str | None]] = []
        patch.setattr(slurm_commands, "require_slurm", lambda: None)
        patch.setattr(slurm_commands, "queue", lambda names: None if self.silent else dict(self.jobs))
        patch.setattr(slurm_commands, "cancel", lambda ids, *options: self.cancelled.append((*options, *ids)))
        patch.setattr(slurm_jobs, "LOOK_SECONDS", 0.01)
        pytest.importorskip("submitit")
        patch.setattr("kls.engines.slurm_task.submit", self._submit)

    def _submit(self, name: str, folder: Path, tasks: list[Any], slots: int, resources: Any, after: str | None) -> Any:
        assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
        self.submitted.append((len(tasks), after))
        first = 10 * len(self.submitted)
        ids = [f"{first}_{i}" for i in range(len(tasks))] if len(tasks) > 1 else [f"{first}"]
        self.jobs |= dict.fromkeys(ids, name)
        return ids


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> Queue:
    return Queue(monkeypatch)


def engine(folder: Path, array_size: int = 1000) -> SlurmJobs:
    return SlurmJobs(folder, 2, 60.0, array_size, Resources(1, None, 10, None, {}))


def populations(folder: Path, *runs: str) -> list[list[Job]]:
    """Of runs whose names are the letters of ``runs``; what they are trained with does not matter."""
    return [[Job(None, folder / run) for run in own] for own in runs]  # type: ignore[arg-type]


def end(folder: Path, jobs: Queue, job: str, place: int, **errors: Exception) -> None:
    """A job ends with these errors of its runs."""
    name = jobs.jobs.pop(job)
    path = folder / names.SLURM / name / f"{place}.json"
    write_errors(path, {folder / run: error for run, error in errors.items()})


def test_results_of_an_array(jobs: Queue, tmp_path: Path) -> None:
    own = engine(tmp_path)
    assert own.submit(populations(tmp_path, "ab", "cd", "e")) == ["10_0", "10_1", "10_2"]
    assert own.wait(["10_0", "10_1", "10_2"], 0.05) == []
    end(tmp_path, jobs, "10_1", 1, d=ValueError("wrong"))
    end(tmp_path, jobs, "10_2", 2)
    assert own.wait(["10_0", "10_1", "10_2"], 5.0) == ["10_1", "10_2"]
    (folder, error), = own.result("10_1").items()
    assert (folder, type(error), str(error)) == (tmp_path / "d", ValueError, "wrong")
    assert own.result("10_2") == {}
    assert (tmp_path / names.TASKS).is_file()
    end(tmp_path, jobs, "10_0", 0)
    assert own.wait(["10_0"], 5.0) == ["10_0"]
    assert own.result("10_0") == {}
    assert list(tmp_path.iterdir()) == []


def test_a_job_without_a_result_is_lost_and_leaves_its_logs(jobs: Queue, tmp_path: Path) -> None:
    own = engine(tmp_path)
    assert own.submit(populations(tmp_path, "ab")) == ["10"]
    name = jobs.jobs.pop("10")
    assert own.wait(["10"], 5.0) == ["10"]
    with pytest.raises(LostError, match="job 10 of SLURM ended before its time"):
        own.result("10")
    assert not (tmp_path / names.TASKS).exists()
    assert (tmp_path / names.SLURM / name).is_dir()
    assert own.submit(populations(tmp_path, "ab")) == ["20"]


def test_a_silent_slurm_loses_nothing(jobs: Queue, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    own = engine(tmp_path)
    tasks = own.submit(populations(tmp_path, "a", "b"))
    jobs.silent = True
    assert own.wait(tasks, 0.1) == []
    jobs.silent = False
    assert own.wait(tasks, 0.1) == []
    assert [record.message for record in caplog.records] == [
        "SLURM does not answer; waiting until it does", "SLURM answers again",
    ]  # fmt: skip


def test_arrays_of_a_size_one_after_the_other(jobs: Queue, tmp_path: Path) -> None:
    assert engine(tmp_path, 2).submit(populations(tmp_path, *"abcde")) == ["10_0", "10_1", "20_0", "20_1", "30"]
    assert jobs.submitted == [(2, None), (2, "10"), (1, "20")]


def test_another_controller_finds_what_is_in_the_queue(jobs: Queue, tmp_path: Path) -> None:
    engine(tmp_path).submit(populations(tmp_path, "ab", "cd", "e"))
    end(tmp_path, jobs, "10_1", 1)
    own = engine(tmp_path)
    assert own.submit(populations(tmp_path, "e", "cd", "ab", "a")) == ["10_2", "20_0", "10_0", "20_1"]
    assert jobs.submitted == [(3, None), (2, None)]
    (tmp_path / names.TASKS).write_text("{")
    assert engine(tmp_path).submit(populations(tmp_path, "a")) == ["20_1"]
    end(tmp_path, jobs, "10_2", 2)
    assert own.wait(["10_2", "20_0"], 5.0) == ["10_2"]
    assert own.result("10_2") == {}


def test_the_queue_must_be_known_before_anything_is_submitted_again(jobs: Queue, tmp_path: Path) -> None:
    engine(tmp_path).submit(populations(tmp_path, "ab"))
    jobs.silent = True
    with pytest.raises(UserError, match="squeue does not answer"):
        engine(tmp_path).submit(populations(tmp_path, "ab"))
    assert len(jobs.submitted) == 1


def test_stopping(jobs: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = engine(tmp_path)
    tasks = own.submit(populations(tmp_path, "a", "b"))
    monkeypatch.setattr(slurm_jobs, "STOP_SECONDS", 0.1)
    own.stop(tasks)
    assert jobs.cancelled.pop() in [tuple(tasks), tuple(reversed(tasks))]
    assert (tmp_path / names.TASKS).exists()  # as they are still there
    jobs.jobs.clear()
    jobs.cancelled.clear()
    own.stop(tasks)
    assert jobs.cancelled == [("--state=PENDING", *tasks), ("--state=RUNNING", "--signal=TERM", *tasks)]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [{}, {"arrays": 1}, {"arrays": {"../../x": [["0"]]}}, {"arrays": {"kls-0;reboot": [["0"]]}},
     {"arrays": {"kls-0123456789ab-01234567": 3}}, {"arrays": {"kls-0123456789ab-01234567": [[["0"]]]}}],
)  # fmt: skip
def test_a_record_that_is_none(content: dict[str, Any], jobs: Queue, tmp_path: Path) -> None:
    checked.write_json(tmp_path / names.TASKS, content)
    with pytest.raises(DamageError, match="holds no arrays of jobs"):
        engine(tmp_path).submit(populations(tmp_path, "ab"))
    assert jobs.submitted == []


def test_another_sweeps_jobs_are_not_taken(jobs: Queue, tmp_path: Path) -> None:
    """A folder that was copied with its record trains by itself."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    engine(tmp_path / "one").submit(populations(tmp_path / "one", "ab"))
    (tmp_path / "one" / names.TASKS).rename(tmp_path / "two" / names.TASKS)
    assert engine(tmp_path / "two").submit(populations(tmp_path / "two", "ab")) == ["20"]


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (OSError(28, "No space left on device", "/x"), OSError, "[Errno 28] No space left on device: '/x'"),
        (FileNotFoundError(2, "No such file", "/y"), FileNotFoundError, "[Errno 2] No such file: '/y'"),
        (MemoryError(), MemoryError, ""),
        (DamageError("x: was cut"), DamageError, "x: was cut"),
        (FloatingPointError("over"), FloatingPointError, "over"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), RuntimeError, "UnicodeDecodeError: 'utf-8' codec"),
        (json.JSONDecodeError("bad", "{", 0), RuntimeError, "JSONDecodeError: bad"),
    ],
)
def test_errors_come_back(error: Exception, kind: type[Exception], text: str, tmp_path: Path) -> None:
    write_errors(tmp_path / "0.json", {tmp_path / "7": error})
    (folder, found), = read_errors(tmp_path / "0.json", [tmp_path / "7", tmp_path / "8"]).items()
    assert (folder, type(found)) == (tmp_path / "7", kind)
    assert str(found).startswith(text)


@pytest.mark.parametrize(
    "told", [None, [], {"9": {"type": "OSError", "message": ""}}, {"7": "x"}, {"7": {"type": 1, "message": "x"}}]
)
def test_errors_that_are_none(told: Any, tmp_path: Path) -> None:
    checked.write_json(tmp_path / "0.json", {"errors": told})
    with pytest.raises(DamageError):
        read_errors(tmp_path / "0.json", [tmp_path / "7"])


@pytest.mark.parametrize("name", ["SystemExit", "KeyboardInterrupt", "eval", "annotations", "exec"])
def test_what_is_no_error_is_not_called(name: str, tmp_path: Path) -> None:
    checked.write_json(tmp_path / "0.json", {"errors": {"7": {"type": name, "message": "1/0"}}})
    (error,) = read_errors(tmp_path / "0.json", [tmp_path / "7"]).values()
    assert (type(error), str(error)) == (RuntimeError, f"{name}: 1/0")


def test_where_there_is_no_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm_commands, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"submitit is not installed; pip install 'kls\[slurm\]' does it"):
        engine(tmp_path)
    monkeypatch.setattr(slurm_commands, "find_spec", lambda name: object())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="sbatch not found; sweep where SLURM's commands are"):
        engine(tmp_path)


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({"job_name": "x"}, "hydra.launcher.sbatch.job_name: the engine sets this itself"),
        ({"array": "0-7"}, "hydra.launcher.sbatch.array: the engine sets this itself"),
        ({"comment": "a\nreboot"}, "hydra.launcher.sbatch.comment: must be one line of text"),
    ],
)
def test_options_that_cannot_be_given(more: dict[str, str], line: str) -> None:
    with pytest.raises(UserError) as caught:
        Resources(1, None, 10, None, more)
    assert str(caught.value) == line


def test_a_folder_that_slurm_would_misread(jobs: Queue, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="choose a folder without"):
        engine(tmp_path / "50%j")


def test_what_a_job_hands_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a job's environment what SLURM set for it is not for the jobs that it submits, and comes back."""
    for name in ("SLURM_JOB_ID", "SLURM_MEM_PER_NODE", "SLURM_CONF", "SBATCH_ACCOUNT"):
        monkeypatch.setenv(name, "9")
    with slurm_commands.outside_of_jobs():
        assert {name for name in os.environ if name.startswith(("SLURM", "SBATCH"))} == {"SLURM_CONF", "SBATCH_ACCOUNT"}
    assert os.environ["SLURM_MEM_PER_NODE"] == "9"
