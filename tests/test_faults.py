"""Sweeps that are killed, stopped, starved of disk, damaged and lied to go on to the table of an undisturbed one."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from disturbed_sweeps import LAUNCHERS, STAGES, Sweep, differences, undisturbed
from entry_points import file_hashes
from faults import (
    FAULTS,
    Fault,
    clock,
    full_tmpfs,
    hanging_worker,
    kill,
    stop,
    two_controllers,
)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds worker processes in /proc"),
]

STOPS = [partial(stop, number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)]


class Expected:
    """Undisturbed sweeps, each made when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[tuple[str, bool, tuple[str, ...]], Sweep] = {}

    def __call__(self, launcher: str, nan: bool, settings: tuple[str, ...]) -> Path:
        key = launcher, nan, settings
        if key not in self._made:
            self._made[key] = undisturbed(self._folder / str(len(self._made)), *key)
        return self._made[key].folder


@pytest.fixture(scope="module")
def expected(cifar_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Expected:
    return Expected(tmp_path_factory.mktemp("undisturbed"))


def disturbed(
    cwd: Path,
    expected: Expected,
    faults: Sequence[Fault],
    seed: int = 0,
    launcher: str = "population",
    nan: bool = False,
    *settings: str,
) -> Sweep:
    """A sweep with faults, one after the other, that must end as the undisturbed one did."""
    rng, sweep = random.Random(seed), Sweep(cwd, launcher, nan, settings)
    for fault in faults:
        fault(sweep, rng)
    sweep.finish()
    assert differences(sweep.folder, expected(launcher, nan, settings)) == []
    return sweep


def test_the_undisturbed_sweep_has_two_populations_of_ten(expected: Expected) -> None:
    folder = expected("population", False, ())
    assert [len([path for path in (folder / stage).iterdir() if path.is_dir()]) for stage in STAGES] == [20, 6, 3]
    metrics = [(folder / "a" / str(i) / "metrics.json").read_text() for i in range(20)]
    assert all('"population": 10,' in text for text in metrics)


def test_two_controllers_and_a_clock_that_jumps_back(expected: Expected, tmp_path: Path) -> None:
    disturbed(tmp_path, expected, [clock, two_controllers])


def test_workers_of_a_dead_controller_write_nothing_more(cifar_root: Path, tmp_path: Path) -> None:
    sweep = Sweep(tmp_path)
    sweep.start()
    assert sweep.wait_until(partial(sweep.begun, 3))
    assert sweep.process is not None
    os.kill(sweep.process.pid, signal.SIGKILL)
    sweep.process.wait()
    time.sleep(0.5)
    left = file_hashes(sweep.folder)
    time.sleep(1.0)
    assert file_hashes(sweep.folder) == left
    sweep.end()


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_five_kills(launcher: str, expected: Expected, tmp_path: Path) -> None:
    victims = ("controller", "group" if launcher == "basic" else "worker", "controller", "group", "controller")
    again = disturbed(tmp_path, expected, [partial(kill, victim) for victim in victims], 2, launcher).again
    assert again == 0 or launcher != "population"


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_signals(launcher: str, expected: Expected, tmp_path: Path) -> None:
    again = disturbed(tmp_path, expected, STOPS, 0, launcher).again
    assert again == 0 or launcher != "population"


@pytest.mark.parametrize(("seed", "times"), [(0, 1), (1, 2)])
@pytest.mark.parametrize("name", ["damaged files", "full disk (limit on files)", "full disk (tmpfs)"])
def test_disks(name: str, seed: int, times: int, expected: Expected, tmp_path: Path) -> None:
    if FAULTS[name] is full_tmpfs and os.geteuid() != 0:
        pytest.skip("root alone can mount a tmpfs")
    times = 1 if FAULTS[name] is full_tmpfs else times  # which comes first, and then no more
    disturbed(tmp_path, expected, [FAULTS[name]] * times, seed)


def test_a_hanging_worker(expected: Expected, tmp_path: Path) -> None:
    disturbed(tmp_path, expected, [hanging_worker], 0, "population", False, "hydra.launcher.worker_timeout=5")


def test_a_member_that_diverges(expected: Expected, tmp_path: Path) -> None:
    sweep = disturbed(tmp_path, expected, [partial(kill, "group")] * 2, 0, "population", True)
    statuses = [(sweep.folder / "a" / str(i) / "metrics.json").read_text() for i in range(20)]
    assert ['"status": "diverged"' in text for text in statuses] == [False] * 19 + [True]
