"""Trains populations in jobs of SLURM, one array of jobs for what is submitted together.

What came of a run stands in its folder, and what went wrong in <stage>/.slurm/<array>/<place>.json. <stage>/tasks.json
names the arrays, so that a controller that is started again finds those of its tasks that are still in the queue.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import secrets
import shutil
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kls.engines import slurm_commands as slurm
from kls.engines.task_errors import read_errors
from kls.engines.tasks import STOP_SECONDS, Errors, LostError, Population
from kls.errors import DamageError, UserError
from kls.records import checked, names

LOOK_SECONDS = 2.0  # between two looks at the queue

_KEY = "arrays"
_NAME = re.compile(r"kls-[0-9a-f]{12}-[0-9a-f]{8}")

log = logging.getLogger("kls")


def _are_populations(told: Any) -> bool:
    return isinstance(told, list) and all(
        isinstance(runs, list) and all(isinstance(run, str) for run in runs) for runs in told
    )


@dataclass
class _Array:
    name: str
    populations: list[list[str]]  # names of their runs' folders
    open: set[int] = field(default_factory=set)  # places of those whose results have not been asked for
    spoilt: bool = False  # keeps its logs


class SlurmJobs:
    """The engine of the jobs of one stage, in whose ``folder`` the runs' folders are.

    slots: jobs at once. timeout: see `Engine`. array_size: jobs of an array, at most. Raises UserError where SLURM's
    commands are missing.
    """

    def __init__(
        self, folder: Path, slots: int, timeout: float, array_size: int, resources: slurm.Resources
    ) -> None:
        slurm.require_slurm()
        if "%" in str(folder):
            raise UserError(f"{folder}: SLURM takes the % for one of its own marks; choose a folder without")
        self.slots, self.timeout = slots, timeout
        self._folder, self._array_size, self._resources = folder, array_size, resources
        self._prefix = f"kls-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]}-"
        self._arrays: dict[str, _Array] = {}
        self._tasks: dict[str, tuple[_Array, int]] = {}  # by id
        self._looked = 0.0
        self._answered = True
        self._read = False

    def submit(self, populations: Sequence[Population]) -> list[str]:
        """Ids of jobs; those of an earlier controller that are still in the queue go on as they are."""
        known = self._known()
        wanted = [[job.folder.name for job in population] for population in populations]
        given = [known.get(tuple(runs)) for runs in wanted]
        new = [i for i, job in enumerate(given) if job is None]
        after = None
        for start in range(0, len(new), self._array_size):
            places = new[start : start + self._array_size]
            array = _Array(self._prefix + secrets.token_hex(4), [wanted[i] for i in places])
            ids = self._submit(array, [populations[i] for i in places], after)
            after = ids[0].partition("_")[0]
            for i, job in zip(places, ids, strict=True):
                given[i] = job
        return [job for job in given if job is not None]

    def wait(self, tasks: Collection[str], seconds: float) -> Collection[str]:
        end = time.monotonic() + seconds
        while True:
            due = self._looked + LOOK_SECONDS
            time.sleep(max(0.0, min(due, end) - time.monotonic()))
            if time.monotonic() < due:
                return []
            active = self._active()
            ended = [] if active is None else [task for task in tasks if task not in active]
            if ended:
                return ended

    def result(self, task: str) -> Errors:
        array, place = self._tasks.pop(task)
        array.open.discard(place)
        try:
            return read_errors(
                self._errors(array, place), [self._folder / name for name in array.populations[place]]
            )
        except (FileNotFoundError, DamageError):
            array.spoilt = True
            raise LostError(f"job {task} of SLURM ended before its time, see {self._own(array)}") from None
        finally:
            if not array.open:
                self._forget(array)

    def kill(self, task: str) -> None:
        slurm.cancel([task], "--signal=KILL")

    def stop(self, tasks: Collection[str]) -> None:
        """Those that wait leave the queue; those that run get SIGTERM, and end when their checkpoints are written."""
        if not tasks:
            return
        slurm.cancel(tasks, "--state=PENDING")
        slurm.cancel(tasks, "--state=RUNNING", "--signal=TERM")
        end, left = time.monotonic() + STOP_SECONDS, set(tasks)
        while left and time.monotonic() < end:
            left -= {*self.wait(left, 1.0)}
        if left:
            slurm.cancel(left)
        kept = {self._tasks[job][0].name for job in left}
        for array in [array for array in self._arrays.values() if array.name not in kept]:
            self._forget(array)

    def _submit(self, array: _Array, populations: Sequence[Population], after: str | None) -> list[str]:
        """Recorded before it is in the queue: what is recorded and not there is submitted again, not the other way."""
        from kls.engines.slurm_task import PopulationTask, submit  # with submitit, which takes long to load

        own = self._own(array)
        own.parent.mkdir(mode=0o700, exist_ok=True)
        own.parent.chmod(0o700)
        own.mkdir(mode=0o700)
        tasks = [
            PopulationTask(population, self.timeout, self._errors(array, i)) for i, population in enumerate(populations)
        ]
        self._arrays[array.name] = array
        self._write()
        try:
            ids = submit(array.name, own, tasks, self.slots, self._resources, after)
        except BaseException:
            slurm.cancel([], f"--name={array.name}")
            self._forget(array)
            raise
        self._tasks |= {job: (array, i) for i, job in enumerate(ids)}
        array.open |= {*range(len(ids))}
        return ids

    def _known(self) -> dict[tuple[str, ...], str]:
        """Jobs of an earlier controller that are still in the queue, by the runs that they train."""
        if self._read:
            return {}
        self._read = True
        self._arrays = {array.name: array for array in self._recorded()}
        if not self._arrays:
            return {}
        active = self._active()
        if active is None:
            raise UserError("hydra.launcher.engine=slurm: squeue does not answer, and the sweep has jobs in the queue")
        found = {}
        for job, name in active.items():
            array, place = self._arrays[name], int(job.partition("_")[2] or 0)
            if place < len(array.populations):
                array.open.add(place)
                self._tasks[job] = array, place
                found[tuple(array.populations[place])] = job
        for array in [array for array in self._arrays.values() if not array.open]:
            self._forget(array)
        if found:
            log.info("%s: goes on with %d jobs that are in SLURM's queue", self._folder, len(found))
        return found

    def _active(self) -> dict[str, str] | None:
        """Names of the arrays of jobs that have not ended, by id; None where SLURM does not answer."""
        found = slurm.queue(self._arrays)
        self._looked = time.monotonic()
        if (found is not None) != self._answered:
            self._answered = found is not None
            log.warning("SLURM answers again" if self._answered else "SLURM does not answer; waiting until it does")
        return found

    def _recorded(self) -> list[_Array]:
        path = self._folder / names.TASKS
        try:
            found = checked.read_json_twice(path).get(_KEY)
        except FileNotFoundError:
            return []
        if not isinstance(found, dict) or not all(
            _NAME.fullmatch(name) and _are_populations(told) for name, told in found.items()
        ):
            raise DamageError(f"{path}: holds no arrays of jobs")
        return [_Array(name, populations) for name, populations in found.items() if name.startswith(self._prefix)]

    def _write(self) -> None:
        path = self._folder / names.TASKS
        if self._arrays:
            checked.write_json_twice(path, {_KEY: {array.name: array.populations for array in self._arrays.values()}})
        else:
            for place in (path, checked.copy_of(path)):
                place.unlink(missing_ok=True)

    def _forget(self, array: _Array) -> None:
        """Of an array that has ended only the logs of what went wrong stay."""
        self._arrays.pop(array.name, None)
        self._write()
        if not array.spoilt:
            shutil.rmtree(self._own(array), ignore_errors=True)
            with suppress(OSError):  # others' logs are in it
                self._own(array).parent.rmdir()

    def _own(self, array: _Array) -> Path:
        return self._folder / names.SLURM / array.name

    def _errors(self, array: _Array, place: int) -> Path:
        return self._own(array) / f"{place}.json"
