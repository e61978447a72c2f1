"""Populations as tasks of Ray: on two nodes of this machine, of which one is killed, and under a killed controller."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from entry_points import DATA, metrics_of
from faults import alive
from small_sweeps import FOLDER, SCRIPT, TINY, assert_same_sweep, job_folders, record_of, refused

from kls.engines import ray_tasks
from kls.records import checked, names
from kls.records.lock import sign_of_life

N_TRIALS, MEMBERS = 200, 20
LONGEST = 200.0  # seconds that a process may take
SWEEP = (
    *DATA, FOLDER, "model.hidden=[20]", "batch_size=50", "evaluation.n_train=200", "evaluation.every_steps=50",
    "optimizer.schedule.n_s=50", "optimizer.schedule.cycles=1", "checkpoint_seconds=0.05", "plots=false",
    f"lam={','.join(str(round(0.0001 * (i + 1), 4)) for i in range(N_TRIALS))}",
    f"hydra.launcher.max_members={MEMBERS}",
)  # fmt: skip
RAY = "hydra.launcher.engine=ray"
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")


def test_one_line_where_ray_is_missing(monkeypatch: pytest.MonkeyPatch, cifar_root: Path, tmp_path: Path) -> None:
    monkeypatch.setattr(ray_tasks, "find_spec", lambda name: None)
    line = refused(tmp_path, *TINY, FOLDER, RAY, "lam=0.1,0.2")
    assert line == 'hydra.launcher.engine=ray needs Ray: pip install "kls[ray]"'


class RaySweep:
    """The sweep in ``cwd``/sweep on an engine, one process after the other; within `with`, none stays."""

    def __init__(self, cwd: Path, *settings: str, sweep: Sequence[str] = SWEEP) -> None:
        self.cwd, self.settings = cwd, (*sweep, *settings)
        self.folder, self.log = cwd / "sweep", cwd / "log.txt"

    def start(self) -> None:
        resume = ["resume=sweep"] if (self.folder / names.SWEEP).exists() else []
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(SCRIPT), "--multirun", *self.settings, *resume],
                cwd=self.cwd,
                start_new_session=True,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> RaySweep:
        return self

    def __exit__(self, *exc_info: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def wait_until(self, condition: Callable[[], object]) -> None:
        end = time.monotonic() + LONGEST
        while not condition():
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < end, self.text()
            time.sleep(0.01)

    def end(self) -> int:
        return self.process.wait(LONGEST)

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def runs(self, status: str) -> set[Path]:
        found = set()
        for path in self.folder.glob(f"grid/*/{names.METRICS}"):
            try:
                if metrics_of(path.parent).get(names.STATUS) == status:
                    found.add(path.parent)
            except (OSError, ValueError):  # just being replaced
                continue
        return found

    def in_the_middle(self) -> bool:
        """Some populations have ended, and two have just begun."""
        return len(self.runs(names.FINISHED)) >= MEMBERS and len(self.runs(names.RUNNING)) >= 2 * MEMBERS

    def workers(self) -> set[int]:
        """Ray's processes that hold locks of runs."""
        signs = map(sign_of_life, self.folder.glob("grid/[0-9]*"))
        pids = {sign[0].pid for sign in signs if sign}
        return {pid for pid in pids if alive(pid) and _command(pid).startswith("ray::")}

    def held_worker(self, raylet: int) -> int:
        """A process of the node with this raylet, stopped in the middle of a population."""
        held = 0

        def hold() -> bool:
            nonlocal held
            held = next((pid for pid in self.workers() if _parent(pid) == raylet), 0)
            if not held:
                return False
            os.kill(held, signal.SIGSTOP)
            if held in self.workers():
                return True
            os.kill(held, signal.SIGCONT)
            return False

        self.wait_until(hold)
        return held

    def checkpoints(self) -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in self.folder.glob(f"grid/*/{names.LAST}")}


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode()
    except OSError:
        return ""


@needs_ray
def test_one_line_where_no_cluster_answers(
    cifar_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a process of its own, which Ray's threads end with; no folder is made."""
    for name in ("RAY_gcs_rpc_server_connect_timeout_s", "RAY_py_gcs_connect_timeout_s"):
        monkeypatch.setenv(name, "1")
    with RaySweep(tmp_path, RAY, "hydra.launcher.address=127.0.0.1:1") as sweep:
        sweep.start()
        assert sweep.end() == 1
        (line,) = sweep.text().splitlines()
    said = "error: hydra.launcher.address=127.0.0.1:1: no Ray cluster answers there, or it asks for a token"
    assert line.startswith(said)
    assert list(tmp_path.iterdir()) == [sweep.log]


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.fixture(scope="module")
def expected(cifar_root: Path, tmp_path_factory: pytest.TempPathFactory) -> RaySweep:
    """The sweep in processes of this machine."""
    with RaySweep(tmp_path_factory.mktemp("processes"), "hydra.launcher.n_jobs=2") as sweep:
        sweep.start()
        assert sweep.end() == 0, sweep.text()
    return sweep


@pytest.fixture
def cluster(cifar_root: Path) -> Iterator[Any]:
    """A cluster of two nodes on this machine, one core each."""
    from ray.cluster_utils import Cluster

    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        found.add_node(num_cpus=1)
        yield found
    finally:
        found.shutdown()


def assert_ended_as(sweep: RaySweep, expected: RaySweep) -> None:
    assert_same_sweep(sweep.folder, expected.folder, ["grid"])
    assert len(job_folders(sweep.folder, "grid")) == N_TRIALS
    assert "Traceback" not in sweep.text()
    groups = [checked.read_json_twice(one.folder / "grid" / names.POPULATIONS) for one in (sweep, expected)]
    assert groups[0] == groups[1]
    assert len(groups[0]["populations"]) == N_TRIALS // MEMBERS


def on(cluster: Any) -> tuple[str, str]:
    return RAY, f"hydra.launcher.address={cluster.address}"


@needs_ray
@pytest.mark.slow
def test_as_in_processes(cluster: Any, expected: RaySweep, tmp_path: Path) -> None:
    with RaySweep(tmp_path, *on(cluster)) as sweep:
        sweep.start()
        assert sweep.end() == 0, sweep.text()
        assert_ended_as(sweep, expected)


@needs_ray
@pytest.mark.slow
def test_a_node_that_is_killed(cluster: Any, expected: RaySweep, tmp_path: Path) -> None:
    with RaySweep(tmp_path, *on(cluster)) as sweep:
        sweep.start()
        sweep.wait_until(sweep.in_the_middle)
        (other,) = cluster.worker_nodes
        cluster.remove_node(other, allow_graceful=False)
        assert sweep.end() == 0, sweep.text()
        assert "its task was lost" in sweep.text()
        assert_ended_as(sweep, expected)


@needs_ray
@pytest.mark.slow
@pytest.mark.parametrize("own", [False, True])
def test_a_controller_that_is_killed(
    own: bool, request: pytest.FixtureRequest, expected: RaySweep, tmp_path: Path
) -> None:
    """Its tasks die with it, and write no more; with its own Ray as with a cluster."""
    with RaySweep(tmp_path, *((RAY,) if own else on(request.getfixturevalue("cluster")))) as sweep:
        sweep.start()
        sweep.wait_until(sweep.in_the_middle)
        workers = sweep.workers()
        assert workers
        sweep.process.kill()
        sweep.end()
        gone_by = time.monotonic() + 10
        while any(map(alive, workers)):
            assert time.monotonic() < gone_by
            time.sleep(0.01)
        before = sweep.checkpoints()
        done = {run / names.LAST for run in sweep.runs(names.FINISHED)}
        sweep.start()
        assert sweep.end() == 0, sweep.text()
        assert_ended_as(sweep, expected)
        assert {path for path, at in sweep.checkpoints().items() if path in done and at != before[path]} == set()


@needs_ray
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_sweep_that_is_stopped(number: signal.Signals, cluster: Any, expected: RaySweep, tmp_path: Path) -> None:
    """Every task writes its checkpoint."""
    with RaySweep(tmp_path, *on(cluster)) as sweep:
        sweep.start()
        sweep.wait_until(sweep.in_the_middle)
        os.kill(sweep.process.pid, number)
        assert sweep.end() == 128 + number, sweep.text()
        assert sweep.runs(names.RUNNING) == set()
        assert sweep.runs(names.INTERRUPTED) != set()
        assert record_of(sweep.folder)["status"] == names.INTERRUPTED
        sweep.start()
        assert sweep.end() == 0, sweep.text()
        assert_ended_as(sweep, expected)


@needs_ray
@pytest.mark.slow
def test_a_worker_that_hangs(cluster: Any, expected: RaySweep, tmp_path: Path) -> None:
    with RaySweep(tmp_path, *on(cluster), "hydra.launcher.worker_timeout=20") as sweep:
        sweep.start()
        sweep.wait_until(sweep.in_the_middle)
        os.kill(min(sweep.workers()), signal.SIGSTOP)
        assert sweep.end() == 0, sweep.text()
        assert "no sign of life" in sweep.text()
        assert_ended_as(sweep, expected)


@needs_ray
@pytest.mark.slow
def test_tasks_that_no_machine_has_room_for(cluster: Any, tmp_path: Path) -> None:
    with RaySweep(tmp_path, *on(cluster), "hydra.launcher.cores=2") as sweep:
        sweep.start()
        assert sweep.end() == 1
        (line,) = sweep.text().splitlines()
        assert line == "error: hydra.launcher.cores=2: no machine of the Ray cluster has so much"


@needs_ray
@pytest.mark.skipif(find_spec("hydra_plugins.hydra_ray_launcher") is None, reason="hydra-ray-launcher is not installed")
@pytest.mark.slow
def test_the_launcher_of_hydra(cluster: Any, tmp_path: Path) -> None:
    four = (*TINY, FOLDER, "lam=0.1,0.01,0.001,0.0001")
    chosen = {
        "ray": ("hydra/launcher=ray", f"hydra.launcher.ray.init.address={cluster.address}"),
        "basic": ("hydra/launcher=basic",),
    }
    for name, settings in chosen.items():
        (tmp_path / name).mkdir()
        with RaySweep(tmp_path / name, *settings, sweep=four) as sweep:
            sweep.start()
            assert sweep.end() == 0, sweep.text()
    assert_same_sweep(tmp_path / "ray" / "sweep", tmp_path / "basic" / "sweep", ["grid"])
    assert len(job_folders(tmp_path / "ray" / "sweep", "grid")) == 4
