"""Trains populations in processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from pathlib import Path
from typing import Any

from joblib import cpu_count
from joblib.externals.loky import get_reusable_executor

from kls.engines.tasks import STOP_SECONDS, Errors, LostError, Population, train_together
from kls.records.lease import machine
from kls.records.lock import sign_of_life
from kls.training.stop_signal import Stopped

IDLE_SECONDS = 300  # after which a process without work ends

_stopped = False  # of a worker: takes no more work


class Processes:
    """Workers of loky's; ``n``: how many at most, -1 for as many as cores. timeout: see `Engine`."""

    def __init__(self, n: int, timeout: float) -> None:
        self.slots = cpu_count() if n == -1 else n
        self.timeout = timeout
        self._folders: dict[Future[Errors], Path] = {}
        self._executor: Any = None
        self._n = 0  # workers, no more than were ever asked for at once

    def submit(self, populations: Sequence[Population]) -> list[Future[Errors]]:
        """Where they need but one process, that is this one, in which they are trained when they are waited for."""
        if self._executor is None and (len(populations) == 1 or self.slots == 1):
            return [_Here(population, self.timeout) for population in populations]
        self._n = max(self._n, min(self.slots, len(populations)))
        self._executor = get_reusable_executor(
            self._n, timeout=IDLE_SECONDS, initializer=_leave_signals_to_controller
        )
        futures = [self._executor.submit(_in_worker, population, self.timeout) for population in populations]
        self._folders |= {future: population[0].folder for future, population in zip(futures, populations, strict=True)}
        return futures

    def wait(self, tasks: Collection[Future[Errors]], seconds: float) -> Collection[Future[Errors]]:
        for task in tasks:
            if isinstance(task, _Here):
                task.train()
                return [task]
        return wait(tasks, seconds, FIRST_COMPLETED).done

    def result(self, task: Future[Errors]) -> Errors:
        try:
            return task.result()
        except BrokenExecutor as error:
            raise LostError(type(error).__name__) from error

    def kill(self, task: Future[Errors]) -> None:
        sign = sign_of_life(self._folders[task])
        workers = {process.pid for process in multiprocessing.active_children()}
        if sign is not None and sign[0].machine == machine() and sign[0].pid in workers:
            os.kill(sign[0].pid, signal.SIGKILL)

    def stop(self, tasks: Collection[Future[Errors]]) -> None:
        if self._executor is not None:
            for process in multiprocessing.active_children():
                process.terminate()
            wait(tasks, STOP_SECONDS)
            self._executor.shutdown(kill_workers=True)


class _Here(Future[Errors]):
    """A population that this process trains itself."""

    def __init__(self, *task: Any) -> None:
        super().__init__()
        self._task = task

    def train(self) -> None:
        try:
            self.set_result(train_together(*self._task))
        except LostError as error:
            self.set_exception(error)


def _in_worker(population: Population, timeout: float) -> Errors:
    global _stopped
    if _stopped:
        return {}
    try:
        return train_together(population, timeout)
    except Stopped:
        _stopped = True
        return {}


def _leave_signals_to_controller() -> None:
    """A terminal sends its signals to all; a worker stops when the controller tells it to, by SIGTERM."""
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
