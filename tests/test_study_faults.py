"""Faults while a study runs, in real processes: a line, an exit status, and the same runs and tables afterwards."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from entry_points import assert_same_run, metrics_of, mistake
from made_up_runs import make_run
from small_studies import CHECK, LONG, TINY, Process, gradients, step_record, study_in, sweep, write_study
from small_sweeps import FOLDER, job_folders, record_of, sweep_in

from kls.records import checked, names

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="sends signals")]


def file_size_limit(size: int) -> Callable[[], None]:
    """What a full disk does: no file of a process grows beyond so many bytes."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def limited(cwd: Path, size: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=cwd, preexec_fn=file_size_limit(size), capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip


def worker_of(process: Process) -> int:
    """Id of the process that carries out commands, which leads a session of its own."""
    children = Path(f"/proc/{process.process.pid}/task/{process.process.pid}/children").read_text().split()
    (worker,) = (child for child in map(int, children) if os.getsid(child) == child)
    return worker


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the worker in /proc")
def test_signals_and_a_killed_worker(cifar_root: Path, tmp_path: Path) -> None:
    """SIGTERM, SIGHUP, then kill -9 of the worker: each is told, and the same command ends with the runs of one go."""
    write_study(tmp_path, sweep("long", *LONG))
    for number, status, checkpoints in ((signal.SIGTERM, 143, 1), (signal.SIGHUP, 129, 2)):
        stopped = Process(tmp_path)
        stopped.wait_for_checkpoints(checkpoints)
        assert stopped.send(number) == status
        assert stopped.text().splitlines()[-1] == "stopped; the same command goes on from here"
        assert record_of(stopped.folder)["status"] == names.INTERRUPTED
        assert step_record(tmp_path, "long")["ended"] is False
    killed = Process(tmp_path)
    killed.wait_for_checkpoints(3)
    os.kill(worker_of(killed), signal.SIGKILL)
    assert killed.wait() == 1
    failed = "long: failed: its process was killed; see out/steps/long/step.log"
    assert killed.text().splitlines().count(f"error: {failed}") == 1

    assert study_in(tmp_path).status == 0
    once = tmp_path / "once"
    once.mkdir()
    assert sweep_in(once, "sweeps=seeds", *LONG, "plots=false", FOLDER).status == 0
    jobs = job_folders(killed.folder, "seeds")
    assert [job.name for job in jobs] == list("01234")
    for job in jobs:
        assert_same_run(job, once / "sweep" / "seeds" / job.name)


@pytest.mark.parametrize("delay", [0.0, 0.3, 1.0])
def test_a_signal_before_the_worker_works(delay: float, cifar_root: Path, tmp_path: Path) -> None:
    write_study(tmp_path, sweep("long", *LONG))
    process = Process(tmp_path)
    record = process.folder / names.STEP
    end = time.monotonic() + 60.0
    while not record.exists():
        assert time.monotonic() < end
        time.sleep(0.005)
    time.sleep(delay)
    assert process.send(signal.SIGTERM) == 143
    assert process.text() == "stopped; the same command goes on from here\n"


@pytest.mark.parametrize("content", [b"", b"\0" * 300, b"{", b"[]", b'{"seconds": "x"}', None])
def test_a_damaged_record_of_a_step(
    content: bytes | None, cifar_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is set aside, and the step is done again from what its folder holds."""
    monkeypatch.setattr("kls.study.page.write_study_page", lambda study, out: out)
    write_study(tmp_path, gradients("check", bn=CHECK))
    assert study_in(tmp_path).status == 0
    record = tmp_path / "out" / "steps" / "check" / names.STEP
    if content is None:
        content = record.read_bytes().replace(b'"ended": true', b'"ended": false')
    record.write_bytes(content)
    outcome = study_in(tmp_path)
    assert outcome.status == 0
    assert outcome.out.startswith("check: 1 gradient check in ")
    assert step_record(tmp_path, "check")["ended"] is True
    assert record.with_name("step.json.damaged").read_bytes() == content
    rows = checked.read_csv(record.parent / "bn" / names.GRADIENTS)
    assert rows[0]["parameter"] == "W1"
    assert study_in(tmp_path).out.startswith("check: done already")


def test_a_full_disk(cifar_root: Path, tmp_path: Path) -> None:
    """No room for the record of a step, then none for the report; with room the same command ends it."""
    write_study(tmp_path, sweep("first", *TINY))
    study = ("kls.study", "mine.yaml", "--out", "out")
    full = limited(tmp_path, 50, *study)
    failed = "first: failed: [Errno 27] File too large: 'out/steps/first/step.json'; see out/steps/first/step.log"
    assert full.returncode == 1
    assert full.stderr.splitlines()[0] == f"error: {failed}"
    assert "Traceback" not in full.stdout + full.stderr
    assert [path.name for path in (tmp_path / "out" / "steps" / "first").iterdir()] == []

    outcome = study_in(tmp_path)
    assert outcome.status == 0, outcome.err
    out = tmp_path / "out" / "mine"
    whole = {path.name: path.read_bytes() for path in out.iterdir()}
    full = limited(tmp_path, 10_000, *study)
    assert full.returncode == 1
    assert full.stderr == "error: mine: no report: out/mine: cannot be written to (File too large)\n"
    assert {path.name: path.read_bytes() for path in out.iterdir()}.keys() == whole.keys()
    assert (out / "report.html").read_bytes() == whole["report.html"]
    assert study_in(tmp_path).status == 0
    assert {path.name: path.read_bytes() for path in out.iterdir()} == whole


@pytest.mark.parametrize(("module", "size"), [("aggregate", 100), ("aggregate", 10_000), ("report", 10_000)])
def test_a_full_disk_under_tables_and_pictures(module: str, size: int, tmp_path: Path) -> None:
    for seed in range(3):
        make_run(tmp_path / "runs" / str(seed), 0.5 + seed / 100, seed=seed, history=2)
    full = limited(tmp_path, size, f"kls.{module}", "runs", "--out", "out")
    assert full.returncode == 1
    assert full.stderr == "error: out: cannot be written to (File too large)\n"
    assert list((tmp_path / "out").iterdir()) == []
    assert limited(tmp_path, 10**9, f"kls.{module}", "runs", "--out", "out").returncode == 0


def test_kill_while_a_report_is_written(tmp_path: Path) -> None:
    """At any moment: each file is the old one or the new one."""
    for seed in range(3):
        make_run(tmp_path / "runs" / str(seed), 0.5 + seed / 100, seed=seed, history=2)
    command = [sys.executable, "-m", "kls.report", "runs", "--out", "out"]
    start = time.monotonic()
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0
    seconds = time.monotonic() - start
    whole = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    for share in (0.7, 0.95):
        with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
            time.sleep(share * seconds)
            process.kill()
        left = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.name[0] != "."}
        assert left == whole


def test_an_output_folder_that_cannot_be_made(tmp_path: Path) -> None:
    write_study(tmp_path, gradients("check", bn=CHECK))
    (tmp_path / "out").write_text("mine")
    assert mistake(study_in(tmp_path)) == "out: cannot be written to (File exists); give another --out"
    assert (tmp_path / "out").read_text() == "mine"
    (tmp_path / "out").unlink()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "steps").write_text("mine")
    outcome = study_in(tmp_path)
    assert outcome.status == 1
    assert outcome.err.splitlines()[0].startswith("error: check: failed: ")
    assert (tmp_path / "out" / "steps").read_text() == "mine"


def test_metrics_of_a_study_are_whole(cifar_root: Path, tmp_path: Path) -> None:
    """A damaged run of a step that has ended is told in the report, and left out of it."""
    write_study(tmp_path, sweep("first", *TINY))
    assert study_in(tmp_path).status == 0
    job = job_folders(tmp_path / "out" / "steps" / "first", "seeds")[2]
    content = metrics_of(job) | {"val_accuracy": 3.35}
    (job / names.METRICS).write_text(str(content).replace("'", '"').replace("None", "null").replace("True", "true"))
    assert study_in(tmp_path).status == 0
    page = (tmp_path / "out" / "mine" / "report.html").read_text(encoding="utf-8")
    assert "seeds/2/metrics.json" in page
    assert "4 runs: 4 finished" in page
