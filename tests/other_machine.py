"""Processes that take themselves for another machine, on a file system that tells machines nothing of their locks.

As a script, python other_machine.py MACHINE hold FOLDER holds a folder; MACHINE race FOLDER... tries at a line on
standard input to get folders, all at once, and prints the names of those it got; MACHINE train TRAIN-ARGUMENT...
trains, and after 20 updates prints "ready" and waits for a line on standard input.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from kls import train
from kls.errors import UserError
from kls.records import lease, lock

BEAT, LEASE, SETTLE = 0.1, 0.8, 0.5  # s


def become(machine: str, patch: pytest.MonkeyPatch) -> None:
    """From now on, this process is on a machine, and waits for others as long as tests can."""
    patch.setattr(lease, "where", lambda: machine)
    patch.setattr(lock, "_flock", lambda descriptor, shared=False: True)
    for name, seconds in (("BEAT_SECONDS", BEAT), ("LEASE_SECONDS", LEASE), ("SETTLE_SECONDS", SETTLE)):
        patch.setattr(lease, name, seconds)


@contextmanager
def on_machine(machine: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """The script in a process of its own, which is killed at the end; it has said its first line."""
    command = [sys.executable, __file__, machine, *map(str, arguments)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line == "ready\n", (line, process.stderr and process.stderr.read())
            yield process
        finally:
            process.kill()


def wait_for_a_line(_: object = None) -> None:
    print("ready", flush=True)
    sys.stdin.readline()


def _hold(folder: Path) -> None:
    with lock.only_process(folder):
        wait_for_a_line()


def _race(folders: Sequence[Path]) -> None:
    wait_for_a_line()
    with ThreadPoolExecutor(len(folders)) as pool:
        print(*[folder.name for folder, won in zip(folders, pool.map(_wins, folders), strict=True) if won])


def _wins(folder: Path) -> bool:
    try:
        with lock.only_process(folder):
            time.sleep(2 * SETTLE)  # or the other might get it then
    except UserError:
        return False
    return True


def _train(arguments: Sequence[str]) -> None:
    from interrupted_training import at_step

    sys.argv[1:] = arguments
    with at_step(20, wait_for_a_line):
        train.main()


if __name__ == "__main__":
    _, own, action, *rest = sys.argv
    become(own, pytest.MonkeyPatch())
    actions: dict[str, Callable[[], None]] = {
        "hold": lambda: _hold(Path(rest[0])),
        "race": lambda: _race(list(map(Path, rest))),
        "train": lambda: _train(rest),
    }
    actions[action]()
