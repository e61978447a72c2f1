"""What every engine has in common: populations become tasks, which are watched, and lost ones are tried again."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Protocol

from kls.errors import UserError
from kls.records.lease import LeaseLostError
from kls.records.lock import sign_of_life
from kls.training.session import ORPHAN_SECONDS, Job, train

Population = Sequence[Job]
Errors = dict[Path, Exception]  # by folder of a run

LOOK_SECONDS = 1.0  # between two looks at the tasks
MOST_IN_VAIN = 10  # times in a row that tasks are lost of which none has begun
STOP_SECONDS = 60.0  # that tasks have to write their checkpoints when all is to stop

log = logging.getLogger("kls")


class LostError(Exception):
    """A task's process, node or job died before the task came to its end."""


class Engine(Protocol):
    """Has populations trained by `train_together`, each in a task, some at once."""

    slots: int  # tasks at once
    timeout: float  # seconds without a sign of life after which a task is killed

    def submit(self, populations: Sequence[Population]) -> list[Any]:
        """Their tasks, hashable, in the same order."""

    def wait(self, tasks: Collection[Any], seconds: float) -> Collection[Any]:
        """Those that have ended, as soon as there are some; none after so many seconds."""

    def result(self, task: Any) -> Errors:
        """What a task that has ended leaves. Raises LostError; Stopped where a signal asked it to stop."""

    def kill(self, task: Any) -> None:
        """End a task that shows no life; it is lost."""

    def stop(self, tasks: Collection[Any]) -> None:
        """Have tasks write their checkpoints and end, which takes at most STOP_SECONDS."""


def train_populations(
    engine: Engine, populations: Sequence[Population], retries: int, on_end: Callable[[Population, Errors], bool]
) -> None:
    """Train every job.

    retries: of a population whose task is lost.
    on_end: called with each population that has ended and the errors of its jobs that failed, by folder; where it gives
    False, the rest is stopped, with their checkpoints.
    Raises OSError or MemoryError, which are no job's own fault, when the others' checkpoints are on disk, and Stopped
    likewise; UserError where the engine cannot be reached, or its tasks never begin.
    """
    lost: Counter[Path] = Counter()
    in_vain = 0
    life = _Life(engine.timeout)
    life.expect(populations)
    tasks = dict(zip(engine.submit(populations), populations, strict=True))
    try:
        while tasks:
            ended = engine.wait(tasks, LOOK_SECONDS)
            in_vain += bool(ended)
            for task in ended:
                population = tasks.pop(task)
                first = population[0].folder
                try:
                    errors = _raised(engine.result(task))
                    in_vain = 0
                except LostError as error:
                    if life.has_begun(first):
                        in_vain = 0
                        lost[first] += 1
                    if in_vain == MOST_IN_VAIN:
                        raise UserError(f"{first}: {error}; nothing has begun in the last {in_vain} tries") from None
                    if lost[first] <= retries:
                        log.warning("%s: its task was lost (%s); it goes on in another", first, error)
                        life.expect([population])
                        tasks[engine.submit([population])[0]] = population
                        continue
                    errors = {job.folder: error for job in population}
                if not on_end(population, errors):
                    engine.stop(tasks)
                    return
            for task, population in tasks.items():
                if life.has_gone(population[0].folder):
                    folder = population[0].folder
                    log.warning("%s: no sign of life for %g s; its task is killed", folder, engine.timeout)
                    engine.kill(task)
    except BaseException:
        engine.stop(tasks)
        raise


def train_together(population: Population, timeout: float) -> Errors:
    """Train one population; where that fails, gives the error as each job's. timeout: as of `train`.

    Raises LostError where another process has taken over the folders, and Stopped.
    """
    try:
        train(population, lambda step, total, best: None, ORPHAN_SECONDS, timeout)
    except LeaseLostError as error:
        raise LostError(str(error)) from None
    except Exception as error:
        return dict.fromkeys((job.folder for job in population), error)
    return {}


class _Life:
    """The signs of life that tasks leave in the folders of their first runs."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout  # seconds of this machine's clock
        self._before: dict[Path, Any] = {}
        self._seen: dict[Path, tuple[Any, float]] = {}

    def expect(self, populations: Sequence[Population]) -> None:
        """Before tasks are submitted: what others have left there is no sign of theirs."""
        for folder in (population[0].folder for population in populations):
            self._before[folder] = sign_of_life(folder)
            self._seen.pop(folder, None)

    def has_begun(self, folder: Path) -> bool:
        sign = sign_of_life(folder)
        if sign not in (None, self._before[folder]) and self._seen.get(folder, (None, 0))[0] != sign:
            self._seen[folder] = sign, time.monotonic()
        return folder in self._seen

    def has_gone(self, folder: Path) -> bool:
        """Whether a task has begun, and then shown no life for so long. It is told of once."""
        if not self.has_begun(folder) or time.monotonic() - self._seen[folder][1] <= self._timeout:
            return False
        self._seen[folder] = self._seen[folder][0], time.monotonic()
        return True


def _raised(errors: Errors) -> Errors:
    for error in errors.values():
        if isinstance(error, OSError | MemoryError):
            raise error
    return errors
