"""Sweeps whose populations are jobs of a real SLURM: cancelled, requeued and cut ones give the table of one machine."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from disturbed_sweeps import Sweep, differences
from entry_points import metrics_of
from slurm_cluster import queue, slurm, wait_until  # noqa: F401
from small_sweeps import SCRIPT, stages_argument

from kls.records import names

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("slurm")]

SLURM = ("hydra.launcher.engine=slurm", "hydra.launcher.memory=1", "hydra.launcher.time_limit=10")
LONG = ("optimizer.schedule.n_s=500", "checkpoint_seconds=0.3")  # some seconds a population
LONGEST = 300.0  # seconds that a sweep may take


@dataclass
class GridSweep(Sweep):
    """A grid of ``trials`` values of lam in populations of ``members``, two at once."""

    trials: int = 24
    members: int = 6

    def __post_init__(self) -> None:
        self.settings = (*self.settings, f"hydra.launcher.max_members={self.members}")

    def search(self) -> str:
        lams = ",".join(str(round(10 ** (-4 + 3 * i / self.trials), 9)) for i in range(self.trials))
        return stages_argument(f"name:a,sampler:grid,params:{{lam:{{values:[{lams}]}}}}")

    def wait_until(self, condition: Callable[[], object], seconds: float = LONGEST) -> bool:
        return super().wait_until(condition, seconds)

    def runs(self) -> list[Path]:
        found = (path.parent for path in (self.folder / "a").glob(f"[0-9]*/{names.METRICS}"))
        return sorted(found, key=lambda path: int(path.name))

    def steps(self) -> int:
        """Of the checkpoints of all runs."""
        return sum(int(metrics_of(run)["steps"]) for run in self.runs())

    def started(self) -> dict[str, str]:
        """When each run that has begun began."""
        return {run.name: metrics_of(run)["started"] for run in self.runs()}

    def under_way(self, steps: int = 1) -> dict[str, str]:
        """Wait until runs have made more steps; gives the states of the jobs then, by id."""
        before = self.steps()
        assert self.wait_until(lambda: self.steps() >= before + steps), self.text()[-3000:]
        return queue("--states=RUNNING")


@pytest.fixture(scope="module")
def expected(cifar_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the sweep of the faults gives in processes of this machine."""
    return ended(GridSweep(tmp_path_factory.mktemp("processes"), settings=LONG)).folder


def ended(sweep: Sweep) -> Sweep:
    sweep.start()
    assert sweep.end() == 0, sweep.text()[-3000:]
    return sweep


def begun(cwd: Path, *settings: str) -> GridSweep:
    """A sweep with SLURM whose first jobs have written checkpoints."""
    sweep = GridSweep(cwd, settings=(*SLURM, *LONG, *settings))
    sweep.start()
    assert sweep.under_way()
    return sweep


def assert_whole(sweep: GridSweep, expected: Path) -> None:
    """The sweep ends as one that was not disturbed, with nothing left in the queue and in its folder."""
    assert differences(sweep.folder, expected, ["a"]) == []
    assert queue() == {}
    assert not (sweep.folder / "a" / names.TASKS).exists()
    assert "Traceback" not in sweep.text()


def start_at_once(job: str) -> None:
    """SLURM waits two minutes before a requeued job begins again; not here."""
    wait_until(lambda: queue().get(job) == "PENDING", 60)
    subprocess.run(["scontrol", "update", f"JobId={job}", "StartTime=now"], check=True)


def test_two_hundred_trials(cifar_root: Path, tmp_path: Path) -> None:
    (tmp_path / "processes").mkdir()
    (tmp_path / "slurm").mkdir()
    here = ended(GridSweep(tmp_path / "processes", trials=200, members=20))
    sweep = GridSweep(tmp_path / "slurm", settings=SLURM, trials=200, members=20)
    ended(sweep)
    assert_whole(sweep, here.folder)
    assert [metrics_of(run)["population"] for run in sweep.runs()] == [20] * 200
    assert not (sweep.folder / "a" / names.SLURM).exists()
    assert (sweep.folder / "runs.csv").exists() == (here.folder / "runs.csv").exists()


def test_a_job_that_is_requeued_goes_on(expected: Path, tmp_path: Path) -> None:
    sweep = begun(tmp_path)
    job, started = next(iter(queue("--states=RUNNING"))), sweep.started()
    subprocess.run(["scontrol", "requeue", job], check=True)
    start_at_once(job)
    assert sweep.end() == 0, sweep.text()[-3000:]
    assert_whole(sweep, expected)
    assert started.items() <= sweep.started().items()
    assert "was lost" not in sweep.text()


def test_a_job_at_its_time_limit_goes_on(expected: Path, tmp_path: Path) -> None:
    """What SLURM does a minute before the limit, by hand, as limits are whole minutes."""
    sweep = begun(tmp_path)
    job, started = next(iter(queue("--states=RUNNING"))), sweep.started()
    subprocess.run(["scancel", "--signal=USR2", job], check=True)
    start_at_once(job)
    interrupted = [run for run in sweep.runs() if metrics_of(run)["status"] == names.INTERRUPTED]
    assert len(interrupted) == 6
    assert sweep.end() == 0, sweep.text()[-3000:]
    assert_whole(sweep, expected)
    assert started.items() <= sweep.started().items()
    assert "was lost" not in sweep.text()


def test_jobs_that_are_cancelled_are_submitted_again(expected: Path, tmp_path: Path) -> None:
    """One that runs, which leaves its checkpoints, and one that waits."""
    sweep = begun(tmp_path)
    running, waiting = (next(iter(queue(f"--states={state}"))) for state in ("RUNNING", "PENDING"))
    started = sweep.started()
    subprocess.run(["scancel", running, waiting], check=True)
    assert sweep.end() == 0, sweep.text()[-3000:]
    assert_whole(sweep, expected)
    assert started.items() <= sweep.started().items()
    assert sweep.text().count("was lost") == 2


def test_a_job_that_hangs_is_killed_and_submitted_again(expected: Path, tmp_path: Path) -> None:
    sweep = begun(tmp_path, "hydra.launcher.worker_timeout=8")
    pid = int((sweep.runs()[0] / names.LOCK).read_text().split()[-1])
    os.kill(pid, signal.SIGSTOP)
    assert sweep.end() == 0, sweep.text()[-3000:]
    assert_whole(sweep, expected)
    assert "showed no life for 8 s and is killed" in sweep.text()


def test_a_killed_controller_finds_its_jobs(expected: Path, tmp_path: Path) -> None:
    sweep = begun(tmp_path)
    assert sweep.process is not None
    sweep.process.kill()
    sweep.end()
    jobs, started = queue(), sweep.started()
    sweep.start()
    assert sweep.under_way(100).keys() <= jobs.keys()
    assert {*queue()} <= {*jobs}
    assert sweep.end() == 0, sweep.text()[-3000:]
    assert_whole(sweep, expected)
    assert started.items() <= sweep.started().items()
    assert "was lost" not in sweep.text()


def test_a_controller_that_is_stopped_stops_its_jobs(expected: Path, tmp_path: Path) -> None:
    sweep = begun(tmp_path)
    assert sweep.process is not None
    sweep.process.terminate()
    assert sweep.end() == 128 + signal.SIGTERM
    assert queue() == {}
    assert {metrics_of(run)["status"] for run in sweep.runs()} <= {names.INTERRUPTED, names.FINISHED}
    assert not (sweep.folder / "a" / names.TASKS).exists()
    ended(sweep)
    assert_whole(sweep, expected)


def test_a_controller_that_is_a_job_itself(expected: Path, tmp_path: Path) -> None:
    """Killed with its job, and begun again as another: its own jobs, which ran meanwhile, are found."""
    sweep = GridSweep(tmp_path, settings=(*SLURM, *LONG))
    first = submitted(sweep)
    wait_until(lambda: sweep.steps() > 0, LONGEST)
    subprocess.run(["scancel", "--signal=KILL", first], check=True)
    wait_until(lambda: first not in queue(), 60)
    jobs, started = queue(), sweep.started()
    assert len(jobs) >= 2
    second = submitted(sweep)
    seen: set[str] = set()
    wait_until(lambda: second not in queue() or seen.update(queue()), LONGEST)
    assert seen - {second} <= {*jobs}
    assert_whole(sweep, expected)
    assert started.items() <= sweep.started().items()


def submitted(sweep: GridSweep) -> str:
    """Submit the controller of a sweep as a job; gives its id."""
    command = shlex.join([sys.executable, str(SCRIPT), "--multirun", *sweep.arguments()])
    asked = ["sbatch", "--parsable", "--mem=1G", f"--output={sweep.log}", "--open-mode=append", f"--wrap={command}"]
    return subprocess.run(asked, cwd=sweep.cwd, capture_output=True, text=True, check=True).stdout.strip()
