"""Faults by name: each one is done to a running sweep, or to its folder, and leaves it to be resumed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from disturbed_sweeps import Sweep, error_lines

from kls.records import names

Fault = Callable[[Sweep, random.Random], None]

N_RUNS = 29
EXITS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
RUN_FILES = (names.LAST, "previous.npz", names.BEST, names.METRICS, names.HISTORY, names.CONFIG)
STAGE_FILES = (names.TRIALS, "populations.json")
KINDS = (*RUN_FILES, *STAGE_FILES, names.STUDY, names.SWEEP)
WAYS = ("cut", "empty", "flip", "nul", "gone")
CLOCK = """
import kls, pandas  # in their order; pandas cannot be loaded once datetime is another class
import datetime, os, time
start, true, back = time.monotonic(), time.time, float(os.environ["CLOCK_JUMPS"])
def shifted():
    return true() - (3600.0 if time.monotonic() - start > back else 0.0)
class Jumping(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.fromtimestamp(shifted(), tz)
time.time, datetime.datetime = shifted, Jumping
"""


def kill(victim: str, sweep: Sweep, rng: random.Random) -> None:
    """kill -9 at a random moment."""
    sweep.start()
    aim = rng.randrange(N_RUNS)
    sweep.wait_until(partial(sweep.begun, aim))
    time.sleep(rng.uniform(0.0, 0.3))
    sweep.kill(victim, rng)
    sweep.end()


def stop(number: signal.Signals, sweep: Sweep, rng: random.Random) -> None:
    """A signal after which the sweep says that it was interrupted, everywhere."""
    before = len(sweep.text())
    sweep.start()
    known = sum(_steps(run) for run in _runs(sweep))
    if not sweep.wait_until(lambda: sum(_steps(run) for run in _runs(sweep)) > known):
        return  # nothing was left to be done
    assert sweep.process is not None
    workers = sweep.workers()
    sweep.process.send_signal(number)
    sweep.wait_until(lambda: False)
    gone_by = time.monotonic() + 10.0
    while (left := [pid for pid in workers if alive(pid)]) and time.monotonic() < gone_by:
        time.sleep(0.01)
    status = sweep.end()
    if status == 0:
        return  # it was too late
    record = json.loads((sweep.folder / names.SWEEP).read_text())
    if record["status"] == names.FINISHED:
        return  # so it was here
    assert left == [], "workers outlive the sweep"
    assert f"resume={sweep.folder}" in sweep.text()[before:]
    assert status == EXITS[number], (status, sweep.text()[before:][-2000:])
    assert error_lines(sweep, before) == []
    assert record["status"] == names.INTERRUPTED
    assert {stage["status"] for stage in record["stages"]} <= {names.FINISHED, names.INTERRUPTED}
    states = {_field(run, names.STATUS) for run in _runs(sweep)}
    assert names.RUNNING not in states, states


def full_disk(sweep: Sweep, rng: random.Random) -> None:
    """Files end at a size, as on a full disk: the sweep stops and names one of them."""
    before = len(sweep.text())
    sweep.start(largest_file=rng.choice((300, 3000, 20_000, 60_000, 200_000)))
    status = sweep.end()
    if status == 0:
        return  # all files were smaller
    assert status == 1, sweep.text()[before:][-2000:]
    (line,) = error_lines(sweep, before)
    assert str(sweep.folder) in line or "'sweep" in line or "sweep/" in line, line


def full_tmpfs(sweep: Sweep, rng: random.Random) -> None:
    """A disk that is full in earnest: the sweep's folder is a small tmpfs (root alone can do so)."""
    sweep.folder.mkdir(exist_ok=True)
    size = rng.randrange(200, 8000)  # kB
    assert not list(sweep.folder.iterdir()), "the fault comes first"
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(sweep.folder)], check=True)
    try:
        before = len(sweep.text())
        sweep.start()
        status = sweep.end()
        assert status == 1, (status, sweep.text()[before:][-2000:])
        (line,) = error_lines(sweep, before)
        assert "sweep" in line, line
        subprocess.run(["mount", "-o", "remount,size=500m", str(sweep.folder)], check=True)
        sweep.finish()
        kept = sweep.cwd / "kept"
        subprocess.run(["cp", "-a", str(sweep.folder), str(kept)], check=True)
    finally:
        subprocess.run(["umount", str(sweep.folder)], check=True)
    sweep.folder.rmdir()
    kept.rename(sweep.folder)


def damage(sweep: Sweep, rng: random.Random, kinds: tuple[str, ...] = KINDS) -> None:
    """A kill, and then a file of every kind damaged before the sweep goes on."""
    kill("group", sweep, rng)
    for kind in kinds:
        there = sorted(path for path in sweep.folder.rglob(kind) if path.is_file())
        if there:
            spoil(rng.choice(there), rng.choice(WAYS), rng)


def spoil(path: Path, way: str, rng: random.Random) -> None:
    """Damage a file as crashes and bad disks do."""
    content = bytearray(path.read_bytes())
    if way == "gone":
        path.unlink()
        return
    if way == "cut":
        content = content[: rng.randrange(len(content) or 1)]
    elif way == "empty":
        content = bytearray()
    elif way == "nul":
        content = bytearray(len(content))
    elif content:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def hanging_worker(sweep: Sweep, rng: random.Random) -> None:
    """A worker that does nothing any more, and would for ever; there is a limit to that, ``worker_timeout``."""
    sweep.start()
    sweep.wait_until(partial(sweep.begun, 5))
    sweep.wait_until(sweep.workers)
    pids = sweep.workers()
    if pids:
        with suppress(ProcessLookupError):
            os.kill(rng.choice(pids), signal.SIGSTOP)
    sweep.end()


def clock(sweep: Sweep, rng: random.Random) -> None:
    """The clock goes back by an hour in each process, some seconds after its start; then a kill."""
    folder = sweep.cwd / "clock"
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(CLOCK)
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    sweep.environment |= {"PYTHONPATH": path, "CLOCK_JUMPS": str(rng.uniform(0.5, 4.0))}
    kill("controller", sweep, rng)


def two_controllers(sweep: Sweep, rng: random.Random) -> None:
    """A second controller on the folder is refused in one line, and disturbs nothing."""
    sweep.start()
    assert sweep.process is not None
    held = f"{sweep.process.pid} "
    assert sweep.wait_until(lambda: _text(sweep.folder / names.LOCK).startswith(held))
    sweep.wait_until(partial(sweep.begun, rng.randrange(1, 15)))
    other = Sweep(sweep.cwd, sweep.launcher, sweep.nan, sweep.settings)
    before = len(sweep.text())
    other.start()
    other_status = other.end()
    if sweep.running():
        assert other_status == 1
        (line,) = error_lines(sweep, before)
        assert "another process" in line
    assert sweep.end() == 0, sweep.text()[before:][-3000:]


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def alive(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def _runs(sweep: Sweep) -> list[Path]:
    return sorted(path.parent for path in sweep.folder.glob(f"*/*/{names.METRICS}"))


def _field(run: Path, key: str) -> object:
    try:
        return json.loads((run / names.METRICS).read_text()).get(key)
    except (OSError, ValueError):
        return None


def _steps(run: Path) -> int:
    found = _field(run, "steps")
    return found if isinstance(found, int) else 0


FAULTS: dict[str, Fault] = {
    "kill -9, controller": partial(kill, "controller"),
    "kill -9, worker": partial(kill, "worker"),
    "kill -9, all processes": partial(kill, "group"),
    "SIGINT": partial(stop, signal.SIGINT),
    "SIGTERM": partial(stop, signal.SIGTERM),
    "SIGHUP": partial(stop, signal.SIGHUP),
    "full disk (limit on files)": full_disk,
    "full disk (tmpfs)": full_tmpfs,
    "damaged files": damage,
    "hanging worker": hanging_worker,
    "clock jumps back": clock,
    "two controllers": two_controllers,
}
KILLS = tuple(name for name in FAULTS if name.startswith("kill"))
