"""Trains populations over several processes, and watches them."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path

from joblib.externals.loky import get_reusable_executor

from kls.records.lock import sign_of_life
from kls.training.session import ORPHAN_SECONDS, Job, train
from kls.training.stop_signal import Stopped

Errors = dict[Path, Exception]

LOOK_SECONDS = 1.0  # between two looks at the processes
IDLE_SECONDS = 300  # after which a process without work ends
STOP_SECONDS = 60.0  # that processes have to write their checkpoints when all is to stop

log = logging.getLogger("kls")
_stopped = False  # of a worker: takes no more work


def train_populations(populations: Sequence[Sequence[Job]], processes: int, timeout: float) -> Errors:
    """Train every job; gives the errors of those that failed, by folder.

    timeout: seconds without a sign of life after which a process is killed.
    Raises OSError or MemoryError, which are no job's own fault, when the others' checkpoints are on disk; Stopped
    likewise; and loky's errors where a process is killed.
    """
    if len(populations) == 1 or processes == 1:
        found: Errors = {}
        for population in populations:
            found |= _raised(train_together(population, timeout))
        return found
    executor = get_reusable_executor(
        min(processes, len(populations)), timeout=IDLE_SECONDS, initializer=_leave_signals_to_controller
    )
    futures = {executor.submit(train_together, population, timeout): population[0].folder for population in populations}
    try:
        return _watch(futures, timeout)
    except (KeyboardInterrupt, OSError, MemoryError):
        for process in multiprocessing.active_children():
            process.terminate()
        wait(futures, STOP_SECONDS)
        executor.shutdown(kill_workers=True)
        raise


def train_together(jobs: Sequence[Job], timeout: float) -> Errors:
    """Train one population; where that fails, gives the error as each job's. timeout: as of `train`."""
    global _stopped
    if _stopped:
        return {}
    try:
        train(jobs, lambda step, total, best: None, ORPHAN_SECONDS, timeout)
    except Exception as error:
        return dict.fromkeys((job.folder for job in jobs), error)
    except Stopped:
        if not multiprocessing.current_process().name.startswith("Loky"):
            raise
        _stopped = True
    return {}


def _watch(futures: Mapping[Future[Errors], Path], timeout: float) -> Errors:
    found: Errors = {}
    pending = set(futures)
    seen: dict[Path, tuple[tuple[int, int], float]] = {}
    while pending:
        done, pending = wait(pending, LOOK_SECONDS, FIRST_COMPLETED)
        for future in done:
            found |= _raised(future.result())
        workers = {process.pid for process in multiprocessing.active_children()}
        for folder in (futures[future] for future in pending):
            sign = sign_of_life(folder)
            if sign is None or sign[0] not in workers:
                continue
            if folder not in seen or seen[folder][0] != sign:
                seen[folder] = sign, time.monotonic()
            elif time.monotonic() - seen[folder][1] > timeout:
                log.warning("%s: its process showed no life for %g s and is killed", folder, timeout)
                os.kill(sign[0], signal.SIGKILL)
    return found


def _raised(errors: Errors) -> Errors:
    for error in errors.values():
        if isinstance(error, OSError | MemoryError):
            raise error
    return errors


def _leave_signals_to_controller() -> None:
    """A terminal sends its signals to all; a worker stops when the controller tells it to, by SIGTERM."""
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
