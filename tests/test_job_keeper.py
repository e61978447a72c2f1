"""What stands between a sweeper and a launcher: which jobs are launched, with what, and what is answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from entry_points import metrics_of
from hydra.core.utils import JobReturn, JobStatus

from kls.errors import UserError
from kls.records import names
from kls.records.run_folder import RunFolder
from kls.sweep.job_keeper import JobKeeper

Launch = Callable[[list[list[str]]], list[JobReturn]]


class Launcher:
    """Calls the given functions, one for each launch, and keeps what it was asked for."""

    def __init__(self, *launches: Launch) -> None:
        self.launches = list(launches)
        self.asked: list[tuple[list[list[str]], int]] = []

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> list[JobReturn]:
        overrides = [list(job) for job in job_overrides]
        self.asked.append((overrides, initial_job_idx))
        return self.launches.pop(0)(overrides)


def folder_of(overrides: list[str], stage: Path) -> RunFolder:
    (name,) = (o.split("'")[1] for o in overrides if o.startswith("hydra.sweep.subdir="))
    folder = RunFolder(stage / name)
    leave_hydra_records(folder.path, {"config.yaml": "lam: 1\n", "overrides.yaml": "[]\n"})
    leave_records(folder)
    return folder


def leave_records(folder: RunFolder, metrics: dict[str, Any] | None = None) -> None:
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.write_config({"lam": 1.0})
    folder.write_history([dict.fromkeys(names.HISTORY_COLUMNS, 0)])
    if metrics:
        folder.write_metrics(metrics)


def leave_hydra_records(folder: Path, records: dict[str, str]) -> None:
    (folder / ".hydra").mkdir(parents=True, exist_ok=True)
    for name, text in records.items():
        (folder / ".hydra" / name).write_text(text)


def returned(value: Any, status: JobStatus = JobStatus.COMPLETED) -> JobReturn:
    job = JobReturn()
    job.return_value, job.status = value, status
    return job


def kept(stage: Path, launcher: Launcher, n: int = 3, failures: list[str] | None = None, most: int = 0) -> list[Any]:
    """Have jobs 4, 5, ... run by JobKeeper and give the scores that they have left."""
    keeper = JobKeeper(launcher, stage, failures if failures is not None else [], most, False)  # type: ignore[arg-type]
    keeper.run({4 + i: [f"lam={i}"] for i in range(n)})
    return [metrics_of(stage / str(4 + i)).get(names.VAL_ACCURACY) for i in range(n)]


@pytest.fixture
def works(tmp_path: Path) -> Launch:
    """A launch whose jobs finish with a hundredth of their trial's number."""

    def launch(jobs: list[list[str]]) -> list[JobReturn]:
        for overrides in jobs:
            folder = folder_of(overrides, tmp_path)
            folder.write_metrics({names.STATUS: names.FINISHED, names.VAL_ACCURACY: int(folder.path.name) / 100})
        return [returned(None) for _ in jobs]

    return launch


def fails(jobs: list[list[str]]) -> list[JobReturn]:
    return [returned(ValueError("two\nlines"), JobStatus.FAILED) for _ in jobs]


def breaks(jobs: list[list[str]]) -> list[JobReturn]:
    raise RuntimeError("a worker was killed")


def test_jobs_get_their_folders_and_logs(works: Launch, tmp_path: Path) -> None:
    launcher = Launcher(works)
    assert kept(tmp_path, launcher) == [0.04, 0.05, 0.06]
    log = "hydra.job_logging.root.handlers=[file]"
    ((jobs, first),) = launcher.asked
    assert jobs == [[f"lam={i}", f"hydra.sweep.subdir='{i + 4}'", log] for i in range(3)]
    assert first == 4


def test_jobs_that_have_ended_are_answered_from_their_records(works: Launch, tmp_path: Path) -> None:
    for number, metrics in (
        (4, {names.STATUS: names.DIVERGED, names.VAL_ACCURACY: 0.1}),
        (6, {names.STATUS: names.PRUNED, names.VAL_ACCURACY: 0.2}),
    ):
        leave_hydra_records(tmp_path / str(number), {"overrides.yaml": "[]\n"})
        leave_records(RunFolder(tmp_path / str(number)), metrics)
    launcher = Launcher(works)
    assert kept(tmp_path, launcher, 3) == [0.1, 0.05, 0.2]
    assert [[job[0] for job in jobs] for jobs, _ in launcher.asked] == [["lam=1"]]


def test_jobs_that_failed_before_are_tried_again(works: Launch, tmp_path: Path) -> None:
    leave_hydra_records(tmp_path / "4", {"overrides.yaml": "[]\n"})
    leave_records(RunFolder(tmp_path / "4"), {names.STATUS: names.FAILED, names.MESSAGE: "x"})
    failures: list[str] = []
    assert kept(tmp_path, Launcher(works), 1, failures) == [0.04]
    assert failures == []


@pytest.mark.parametrize("name", [names.METRICS, names.CONFIG, names.HISTORY])
def test_a_job_with_a_damaged_record_is_launched_again(name: str, works: Launch, tmp_path: Path) -> None:
    leave_hydra_records(tmp_path / "4", {"overrides.yaml": "[]\n"})
    leave_records(RunFolder(tmp_path / "4"), {names.STATUS: names.FINISHED, names.VAL_ACCURACY: 0.9})
    content = (tmp_path / "4" / name).read_bytes()
    (tmp_path / "4" / name).write_bytes(content[:-2])
    assert kept(tmp_path, Launcher(works), 1) == [0.04]
    assert (tmp_path / "4" / f"{name}.damaged").read_bytes() == content[:-2]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device", "x"), MemoryError()])
def test_what_is_no_jobs_fault_stops_the_sweep(error: Exception, tmp_path: Path) -> None:
    def full(jobs: list[list[str]]) -> list[JobReturn]:
        return [returned(error, JobStatus.FAILED) for _ in jobs]

    with pytest.raises(type(error)):
        kept(tmp_path, Launcher(full), 2)
    assert not list(tmp_path.rglob(names.METRICS))


def test_ctrl_c_marks_what_is_under_way(tmp_path: Path) -> None:
    def stopped(jobs: list[list[str]]) -> list[JobReturn]:
        leave_records(RunFolder(tmp_path / "4"), {names.STATUS: names.RUNNING, "steps": 3})
        leave_records(RunFolder(tmp_path / "5"), {names.STATUS: names.FINISHED})
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept(tmp_path, Launcher(stopped))
    assert metrics_of(tmp_path / "4") == {"status": "interrupted", "steps": 3}
    assert metrics_of(tmp_path / "5") == {"status": "finished"}


@pytest.mark.parametrize(
    "records", [{}, {"config.yaml": "lam: 1\n", "hydra.yaml": ""}, {"hydra.yaml": "hydra: {}\n", "overrides.yaml": ""}]
)
def test_a_trained_job_without_hydras_last_record_is_launched_again(
    records: dict[str, str], works: Launch, tmp_path: Path
) -> None:
    """It was killed between its training and the end of what Hydra writes, file by file and not atomically."""
    leave_hydra_records(tmp_path / "5", records)
    leave_records(RunFolder(tmp_path / "5"), {names.STATUS: names.FINISHED, names.VAL_ACCURACY: 0.7})
    launcher = Launcher(works)
    kept(tmp_path, launcher)
    assert [[job[0] for job in jobs] for jobs, _ in launcher.asked] == [["lam=0", "lam=1", "lam=2"]]


def test_overrides_of_all_jobs_stand_behind_their_own(works: Launch, tmp_path: Path) -> None:
    launcher = Launcher(works)
    keeper = JobKeeper(launcher, tmp_path, [], 0, False, ["a=1", "b=2"])  # type: ignore[arg-type]
    keeper.run({4: ["lam=0"]})
    ((jobs, _),) = launcher.asked
    assert jobs[0][:4] == ["lam=0", "a=1", "b=2", "hydra.sweep.subdir='4'"]


def test_failures_are_recorded_without_a_score(
    works: Launch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    failures: list[str] = []
    assert kept(tmp_path, Launcher(fails), 2, failures, most=2) == [None, None]
    assert metrics_of(tmp_path / "4") == {
        "schema": 1, "status": "failed", "message": "ValueError: two lines", "model": None, "settings": {"lam": 0},
    }  # fmt: skip
    assert failures == [f"{tmp_path}/{number}: ValueError: two lines" for number in (4, 5)]
    assert f"{tmp_path}/4: failed: ValueError: two lines" in caplog.messages


def test_one_failure_too_many(tmp_path: Path) -> None:
    failures = ["an earlier one"]
    with pytest.raises(UserError) as caught:
        kept(tmp_path, Launcher(fails), 2, failures, most=2)
    assert str(caught.value).splitlines() == [
        "3 jobs failed, more than max_failures=2; the logs are in their folders:",
        "  an earlier one",
        f"  {tmp_path}/4: ValueError: two lines",
        f"  {tmp_path}/5: ValueError: two lines",
    ]


def test_what_is_left_of_a_batch_is_launched_again(
    works: Launch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks_after_the_first(jobs: list[list[str]]) -> list[JobReturn]:
        works(jobs[:1])
        return breaks(jobs)

    launcher = Launcher(breaks_after_the_first, breaks, works)
    assert kept(tmp_path, launcher) == [0.04, 0.05, 0.06]
    assert [[job[0] for job in jobs] for jobs, _ in launcher.asked] == [
        ["lam=0", "lam=1", "lam=2"], ["lam=1", "lam=2"], ["lam=1", "lam=2"],
    ]  # fmt: skip
    told = "the launcher broke down (RuntimeError: a worker was killed); launching what is left again"
    assert caplog.messages.count(told) == 2


def test_a_launcher_that_breaks_down_every_time(tmp_path: Path) -> None:
    launcher = Launcher(breaks, breaks, breaks)
    told = r"^the launcher broke down \(RuntimeError: a worker was killed\), 3 times$"
    with pytest.raises(UserError, match=told):
        kept(tmp_path, launcher)
    assert len(launcher.asked) == 3


@pytest.mark.parametrize("error", [UserError("wrong"), KeyboardInterrupt()])
def test_mistakes_and_ctrl_c_are_not_tried_again(error: BaseException, tmp_path: Path) -> None:
    def stops(jobs: list[list[str]]) -> list[JobReturn]:
        raise error

    launcher = Launcher(stops)
    with pytest.raises(type(error)):
        kept(tmp_path, launcher)
    assert len(launcher.asked) == 1
