"""Sweeps whose populations are jobs of a real SLURM: cancelled, requeued and cut ones give the table of one machine."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from disturbed_sweeps import Sweep, differences
from entry_points import metrics_of
from slurm_cluster import queue, slurm, wait_until  # noqa: F401
from small_sweeps import SCRIPT, stages_argument

from kls.records import names
from kls.records.lock import sign_of_life

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("slurm")]

SLURM = ("hydra.launcher.engine=slurm", "hydra.launcher.memory=1", "hydra.launcher.time_limit=10")
LONG = ("optimizer.schedule.n_s=500", "checkpoint_seconds=0.3")  # 20 evaluations and as many looks at the clock
# Loaded by each Python that finds it on its path: a population takes some seconds, most of which it sleeps.
SLOW = """
import time
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import PathFinder

class Slow(MetaPathFinder, Loader):
    def find_spec(self, name, path, target=None):
        if name == "kls.core.population":
            spec = PathFinder.find_spec(name, path)
            self.inner, spec.loader = spec.loader, self
            return spec
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        self.inner.exec_module(module)
        advance = module.Population.advance
        def slowly(*given):
            time.sleep(0.4)
            return advance(*given)
        module.Population.advance = slowly

import sys
sys.meta_path.insert(0, Slow())
"""
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

    def started(self) -> dict[str, str]:
        """When each run that has begun began."""
        return {run.name: metrics_of(run)["started"] for run in self.runs()}

    def under_way(self) -> list[str]:
        """Ids of the jobs, all of one array, whose runs have checkpoints and have not ended."""
        with suppress(FileNotFoundError):
            return [job for job in queue("--states=RUNNING") if "_" in job and _is_under_way(self.first_run(job))]
        return []

    def first_run(self, job: str) -> Path:
        """Of the population that a job trains."""
        (populations,) = json.loads((self.folder / "a" / names.TASKS).read_text())["arrays"].values()
        return self.folder / "a" / populations[int(job.partition("_")[2])][0]

    def process_of(self, job: str) -> int:
        sign = sign_of_life(self.first_run(job))
        assert sign is not None
        return sign[0].pid


def _is_under_way(run: Path) -> bool:
    return (run / names.LAST).exists() and metrics_of(run)["status"] == names.RUNNING


@pytest.fixture(scope="module")
def expected(cifar_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the sweep of the faults gives in processes of this machine."""
    return ended(GridSweep(tmp_path_factory.mktemp("processes"), settings=LONG)).folder


@pytest.fixture
def sweep(tmp_path: Path) -> Iterator[GridSweep]:
    """One whose populations are jobs of SLURM and take some seconds each; nothing of it is left to the next test."""
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "sitecustomize.py").write_text(SLOW)
    path = os.pathsep.join([str(tmp_path / "slow"), *filter(None, [os.environ.get("PYTHONPATH")])])
    one = GridSweep(tmp_path, settings=(*SLURM, *LONG), environment={"PYTHONPATH": path})
    yield one
    if one.process is not None and one.process.poll() is None:
        one.process.kill()
        one.process.wait()
    subprocess.run(["scancel", "--user=root"], check=True)
    wait_until(lambda: not queue(), 90)


def ended(sweep: GridSweep) -> GridSweep:
    sweep.start()
    assert sweep.end() == 0, sweep.text()[-3000:]
    return sweep


def begun(sweep: GridSweep) -> tuple[str, str]:
    """Start it; gives a job that has written checkpoints and one that waits."""
    sweep.start()
    assert sweep.wait_until(sweep.under_way), sweep.text()[-3000:]
    return sweep.under_way()[0], next(iter(queue("--states=PENDING")))


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


def test_a_job_that_is_requeued_goes_on(sweep: GridSweep, expected: Path) -> None:
    job, _ = begun(sweep)
    started = sweep.started()
    subprocess.run(["scontrol", "requeue", job], check=True)
    start_at_once(job)
    assert sweep.end() == 0, sweep.text()[-3000:]
    assert_whole(sweep, expected)
    assert started.items() <= sweep.started().items()
    assert "was lost" not in sweep.text()


def test_a_job_at_its_time_limit_goes_on(sweep: GridSweep, expected: Path) -> None:
    """What SLURM does a minute before the limit, by hand: limits are whole minutes, and scancel repeats its signals."""
    job, _ = begun(sweep)
    started = sweep.started()
    os.kill(sweep.process_of(job), signal.SIGUSR2)
    start_at_once(job)
    assert sum(metrics_of(run)["status"] == names.INTERRUPTED for run in sweep.runs()) == 6
    assert sweep.end() == 0, sweep.text()[-3000:]
    assert_whole(sweep, expected)
    assert started.items() <= sweep.started().items()
    assert "was lost" not in sweep.text()


def test_jobs_that_are_cancelled_are_submitted_again(sweep: GridSweep, expected: Path) -> None:
    """One that runs, which leaves its checkpoints, and one that waits."""
    running, waiting = begun(sweep)
    started = sweep.started()
    subprocess.run(["scancel", running, waiting], check=True)
    assert sweep.end() == 0, sweep.text()[-3000:]
    assert_whole(sweep, expected)
    assert started.items() <= sweep.started().items()
    assert sweep.text().count("was lost") == 2


def test_a_job_that_hangs_is_killed_and_submitted_again(sweep: GridSweep, expected: Path) -> None:
    sweep.settings = (*sweep.settings, "hydra.launcher.worker_timeout=8")
    job, _ = begun(sweep)
    os.kill(sweep.process_of(job), signal.SIGSTOP)
    assert sweep.end() == 0, sweep.text()[-3000:]
    assert_whole(sweep, expected)
    assert "no sign of life for 8 s; its task is killed" in sweep.text()
    assert sweep.text().count("was lost") == 1


def test_a_killed_controller_finds_its_jobs(sweep: GridSweep, expected: Path) -> None:
    begun(sweep)
    assert sweep.process is not None
    sweep.process.kill()
    sweep.end()
    jobs, started = queue(), sweep.started()
    assert len(jobs) == 4
    seen: set[str] = set()
    sweep.start()
    assert not sweep.wait_until(lambda: seen.update(queue()))
    assert sweep.process.returncode == 0, sweep.text()[-3000:]
    assert seen == {*jobs}
    assert_whole(sweep, expected)
    assert started.items() <= sweep.started().items()
    assert "goes on with 4 jobs" in sweep.text()


def test_a_controller_that_is_stopped_stops_its_jobs(sweep: GridSweep, expected: Path) -> None:
    begun(sweep)
    assert sweep.process is not None
    sweep.process.terminate()
    assert sweep.end() == 128 + signal.SIGTERM
    assert queue() == {}
    assert {metrics_of(run)["status"] for run in sweep.runs()} == {names.INTERRUPTED}
    assert not (sweep.folder / "a" / names.TASKS).exists()
    started = sweep.started()
    ended(sweep)
    assert_whole(sweep, expected)
    assert started.items() <= sweep.started().items()


def test_a_controller_that_is_a_job_itself(sweep: GridSweep, expected: Path) -> None:
    """It dies, and is begun again as another: its own jobs, which ran meanwhile, are found."""
    first = submitted(sweep)
    wait_until(sweep.under_way, LONGEST)
    controller = sign_of_life(sweep.folder)
    assert controller is not None
    os.kill(controller[0].pid, signal.SIGKILL)
    wait_until(lambda: first not in queue(), 60)
    jobs, started = queue(), sweep.started()
    assert len(jobs) == 4
    second = submitted(sweep)
    seen: set[str] = set()
    wait_until(lambda: seen.update(queue()) or second not in queue(), LONGEST)
    assert seen - {second} <= {*jobs}
    assert_whole(sweep, expected)
    assert started.items() <= sweep.started().items()
    assert "jobs that are in SLURM's queue" in sweep.text()


def submitted(sweep: GridSweep) -> str:
    """Submit the controller of a sweep as a job, before all that wait; gives its id."""
    command = shlex.join([sys.executable, str(SCRIPT), "--multirun", *sweep.arguments()])
    options = ["--mem=1G", "--priority=4294950000", f"--output={sweep.log}", "--open-mode=append", f"--wrap={command}"]
    environment = os.environ | sweep.environment
    done = subprocess.run(
        ["sbatch", "--parsable", *options], cwd=sweep.cwd, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
