"""Trainings that are interrupted at a given update step, and resumed.

As a script, python interrupted_training.py STEP TRAIN-ARGUMENT... trains, and when STEP updates are made it prints
"ready" and waits for a signal.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from entry_points import metrics_of, run_folders, train_in

from kls import train
from kls.core.population import Population

SCRIPT = Path(__file__)


@contextmanager
def at_step(step: int, action: Callable[[Callable[[], bool]], None]) -> Iterator[None]:
    """Within this context, trainings call ``action`` once, between two updates, when ``step`` of them are made.

    It is given the function that says whether the training has been asked to stop.
    """
    advance = Population.advance
    done = False

    def advance_with_action(self: Population, until: int, stop: Callable[[], bool] = lambda: False) -> list[int]:
        def stop_after_action() -> bool:
            nonlocal done
            if self.step == step and not done:
                done = True
                action(stop)
            return stop()

        return advance(self, until, stop_after_action)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Population, "advance", advance_with_action)
        yield


def terminate(_: object) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def interrupted(cwd: Path, step: int, *arguments: str) -> Path:
    """Train in the new folder ``cwd`` until a SIGTERM after ``step`` updates, and give the run's folder."""
    cwd.mkdir(parents=True, exist_ok=True)
    with at_step(step, terminate):
        assert train_in(cwd, *arguments).status == 143
    (folder,) = run_folders(cwd)
    assert metrics_of(folder)["steps"] == step
    return folder


def resumed(cwd: Path, folder: Path, *arguments: str) -> None:
    """Resume the only run in ``cwd``, which must work."""
    outcome = train_in(cwd, f"resume={folder}", *arguments)
    assert (outcome.status, outcome.err) == (0, "")
    assert run_folders(cwd) == [folder]


def wait_for_signal(stop: Callable[[], bool]) -> None:
    print("ready", flush=True)
    while not stop():
        time.sleep(0.01)


if __name__ == "__main__":
    at = int(sys.argv.pop(1))
    with at_step(at, wait_for_signal):
        train.main()
