"""kill -9 of a sweep's controller and of its workers at random moments: the sweep that goes on equals one in one go."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from entry_points import assert_same_run, metrics_of
from small_sweeps import (
    DATA,
    FOLDER,
    SCRIPT,
    assert_same_sweep,
    file_hashes,
    job_folders,
    record_of,
    sweep_in,
)

from kls.aggregate import report
from kls.records import names

N_JOBS = 20
# 200 steps take about a fifth of a second; a look at the clock comes every 50.
COMMON = (
    *DATA, FOLDER, "model.hidden=[30]", "batch_size=50", "evaluation.n_train=200", "evaluation.every_steps=100",
    "optimizer.schedule.n_s=100", "optimizer.schedule.cycles=1", "checkpoint_seconds=0.05", "plots=false",
    "max_failures=0",
)  # fmt: skip
LAMS = [(i + 1) / 1000 for i in range(N_JOBS)]
LAUNCHERS = {
    "population": ("hydra.launcher.n_jobs=2", "hydra.launcher.max_members=1"),
    "joblib": ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
}

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds worker processes in /proc")


def grid(n: int) -> tuple[str, ...]:
    return (*COMMON, f"lam={','.join(map(str, LAMS[:n]))}")


@pytest.fixture(scope="module")
def uninterrupted(cifar_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    cwd = tmp_path_factory.mktemp("uninterrupted")
    outcome = sweep_in(cwd, *grid(N_JOBS), "hydra.launcher.n_jobs=1", "hydra.launcher.max_members=1")
    assert (outcome.err, outcome.status) == ("", 0)
    return cwd / "sweep"


def workers_of(pid: int) -> list[int]:
    """Process ids of the worker processes that a controller has started."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and b"LokyProcess" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
        except (OSError, ValueError):  # it has ended meanwhile
            continue
    return found


def alive(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Controller:
    """A sweep in a process of its own; it goes on where there is one."""

    def __init__(self, cwd: Path, launcher: str, n_jobs: int = N_JOBS) -> None:
        self.folder = cwd / "sweep"
        resume = ("resume=sweep",) if (self.folder / names.SWEEP).exists() else ()
        command = [sys.executable, str(SCRIPT), "--multirun", *grid(n_jobs), *LAUNCHERS[launcher], *resume]
        self.log = (cwd / "log.txt").open("a+")
        self.process = subprocess.Popen(command, cwd=cwd, stdout=self.log, stderr=subprocess.STDOUT)
        self.workers: set[int] = set()

    def running(self) -> bool:
        self.workers |= set(workers_of(self.process.pid))
        return self.process.poll() is None

    def begun(self, n: int) -> bool:
        """Whether ``n`` jobs have a checkpoint."""
        return len(list(self.folder.glob("grid/*/last.npz"))) >= n

    def living_workers(self) -> list[int]:
        return sorted(filter(alive, self.workers))

    def wait_until(self, condition: Callable[[], object], seconds: float = 60.0) -> bool:
        """Whether the condition came true before the process ended."""
        end = time.monotonic() + seconds
        while self.running():
            if condition():
                return True
            assert time.monotonic() < end
            time.sleep(0.005)
        return False

    def end(self, seconds: float = 60.0) -> int:
        try:
            self.wait_until(lambda: False, seconds)
            return self.process.wait()
        finally:
            self.process.kill()
            self.log.close()
            for pid in self.living_workers():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def kill_and_resume(cwd: Path, launcher: str, victims: list[str], rng: random.Random) -> int:
    """Run the sweep, kill its processes one after the other, each at a random moment, and run it to its end.

    Returns how many of them were alive to be killed.
    """
    controller, kills = Controller(cwd, launcher), 0
    for number, victim in enumerate(victims):
        if not controller.running():  # has given up, after the loss of several workers
            controller.end()
            controller = Controller(cwd, launcher)
        aim = rng.randrange(N_JOBS * number // len(victims), N_JOBS * (number + 1) // len(victims) + 1)
        controller.wait_until(partial(controller.begun, aim))
        time.sleep(rng.uniform(0.0, 0.3))
        if victim == "worker":
            controller.wait_until(controller.living_workers)
        pids = controller.living_workers() if victim == "worker" else [controller.process.pid]
        if controller.running() and pids:
            with suppress(ProcessLookupError):  # it may have ended meanwhile
                os.kill(rng.choice(pids), signal.SIGKILL)
                kills += 1
        if victim == "controller":
            controller.end()
            controller = Controller(cwd, launcher)
    if controller.end():
        assert Controller(cwd, launcher).end() == 0, (cwd / "log.txt").read_text()
    return kills


def assert_nothing_was_lost(cwd: Path, uninterrupted: Path) -> None:
    folder = cwd / "sweep"
    assert len(job_folders(folder, "grid")) == N_JOBS
    assert_same_sweep(folder, uninterrupted, ["grid"])
    report(folder, cwd / "tables")
    table = pd.read_csv(cwd / "tables" / names.RUNS_TABLE)
    expected = [metrics_of(job) for job in job_folders(uninterrupted, "grid")]
    assert table["trial"].tolist() == list(range(N_JOBS))
    assert table["lam"].tolist() == LAMS
    for key in (names.STATUS, names.VALUE):
        assert table[key].tolist() == [metrics[key] for metrics in expected]


def test_three_kills(uninterrupted: Path, tmp_path: Path) -> None:
    kills = kill_and_resume(tmp_path, "population", ["controller", "worker", "controller"], random.Random(0))
    assert kills == 3
    assert_nothing_was_lost(tmp_path, uninterrupted)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_ten_kills(launcher: str, uninterrupted: Path, tmp_path: Path) -> None:
    rng = random.Random(0)
    victims = ["controller", "worker"] * 5
    rng.shuffle(victims)
    assert kill_and_resume(tmp_path, launcher, victims, rng) >= 8
    assert_nothing_was_lost(tmp_path, uninterrupted)


def test_ctrl_c_of_a_controller_with_workers(uninterrupted: Path, tmp_path: Path) -> None:
    controller = Controller(tmp_path, "population", 6)
    assert controller.wait_until(partial(controller.begun, 2))
    controller.process.send_signal(signal.SIGINT)
    assert controller.process.wait(30) == 130
    end = time.monotonic() + 10.0
    while controller.living_workers() and time.monotonic() < end:
        time.sleep(0.01)
    assert controller.living_workers() == []
    assert controller.end() == 130
    folder = tmp_path / "sweep"
    assert record_of(folder)["status"] == "interrupted"
    log = (tmp_path / "log.txt").read_text().splitlines()
    assert log[-1] == f"stopped; go on with the same command and resume={folder}"
    assert Controller(tmp_path, "population", 6).end() == 0
    jobs = job_folders(folder, "grid")
    assert [job.name for job in jobs] == list("012345")
    for job in jobs:
        assert_same_run(job, uninterrupted / "grid" / job.name)


def test_workers_of_a_dead_controller_write_nothing_more(cifar_root: Path, tmp_path: Path) -> None:
    controller = Controller(tmp_path, "population", 6)
    assert controller.wait_until(partial(controller.begun, 1))
    controller.process.kill()
    controller.process.wait()
    time.sleep(0.3)
    left = file_hashes(tmp_path)
    time.sleep(1.0)
    assert file_hashes(tmp_path) == left
    assert not controller.begun(6)
    controller.end()
