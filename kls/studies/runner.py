"""Carries out the steps of studies: each once, whole, and again from where it was stopped."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from kls.config.resume import quoted
from kls.errors import DamageError, UserError
from kls.records import checked, names
from kls.records.escape import one_line
from kls.records.small_files import check_small
from kls.records.sweep_record import read_sweep
from kls.studies.catalogue import contents
from kls.studies.plan import TRAIN, Command, Task
from kls.studies.progress import StudiesProgress, share_of, told_time
from kls.studies.step_process import Answer, StepProcess

_RECORD_SECONDS = 10.0  # between two writings of step.json


class Runner:
    """Carries out tasks in a process of its own; ``failures`` holds a line for each that failed."""

    def __init__(self, tasks: Mapping[str, Task], progress: StudiesProgress) -> None:
        self.failures: list[str] = []
        self._tasks, self._progress = tasks, progress
        self._process = StepProcess()
        self._tried: set[str] = set()

    def carry_out(self, folder: str) -> None:
        """Carry out the step of a folder, unless that was tried before. KeyboardInterrupt passes through."""
        if folder in self._tried:
            return
        self._tried.add(folder)
        task = self._tasks[folder]
        try:
            record = _Record(task)
            if record.ended:
                self._progress.skipped(task)
                self._progress.say(f"{folder}: done already")
                return
            self._run(task, record)
        except (UserError, OSError) as error:
            self._fail(task, str(error))

    def _run(self, task: Task, record: _Record) -> None:
        task.folder.mkdir(parents=True, exist_ok=True)
        before, _ = share_of(task)
        record.begin()
        try:
            for command in task.commands:
                answer = self._carry_out(task, command, record, before)
                if answer.status != 0:
                    raise UserError(answer.message or _last_line(task.folder / names.STEP_LOG))
        except UserError:
            record.note()
            raise
        except (KeyboardInterrupt, OSError):  # while a command is under way
            self._process.interrupt()
            record.note()
            raise
        record.write(ended=True)
        self._progress.ended(task, record.seconds_now, before)
        self._progress.say(f"{task.step.folder}: {contents(task)} in {told_time(record.seconds)}")
        if task.step.gradients is not None:
            self._process.end()  # the pictures in double precision go with it

    def _carry_out(self, task: Task, command: Command, record: _Record, before: float) -> Answer:
        resume = command.module == TRAIN and (task.folder / names.SWEEP).exists()
        self._process.begin(command, [f"resume={quoted(task.folder)}"] if resume else [], task.folder / names.STEP_LOG)
        while (answer := self._process.answer(self._progress.look_seconds)) is None:
            record.note_now_and_then()
            share, what = share_of(task)
            self._progress.show(task, record.seconds_now, before, max(share, before), what)
        return answer

    def _fail(self, task: Task, message: str) -> None:
        first = one_line(message.removeprefix("error: ").splitlines()[0].rstrip(":"))
        self._progress.skipped(task)
        self.failures.append(f"{task.step.folder}: failed: {first}; see {task.folder / names.STEP_LOG}")
        self._progress.say(self.failures[-1])

    def end(self) -> None:
        """End the process."""
        self._process.end()


class _Record:
    """step.json: what a step ran, how long it took in all, and whether it has ended."""

    def __init__(self, task: Task) -> None:
        """Take up the folder's record; a damaged one is set aside. Raises UserError where it is of another step."""
        self._path = task.folder / names.STEP
        content = _read(self._path)
        own = json.loads(
            json.dumps({"commands": [str(command) for command in task.commands], "definition": task.definition})
        )
        for key in own if content else ():
            if content.get(key) != own[key]:
                raise UserError(
                    f"it was run before by another {key[:-1] if key == 'commands' else key}; "
                    f"remove {task.folder}, or give another --out"
                )
        self._own = own
        self._before = content.get("seconds", 0.0)
        self._started = self._written = time.monotonic()
        self.ended = bool(content.get("ended")) or _sweep_has_ended(task)

    @property
    def seconds_now(self) -> float:
        return time.monotonic() - self._started

    @property
    def seconds(self) -> float:
        return self._before + self.seconds_now

    def begin(self) -> None:
        self._started = time.monotonic()
        self.write()

    def note_now_and_then(self) -> None:
        if time.monotonic() - self._written >= _RECORD_SECONDS:
            self.note()

    def note(self) -> None:
        """Write the time so far; a full disk is no reason to stop what it is the time of."""
        with suppress(OSError):
            self.write()

    def write(self, ended: bool = False) -> None:
        self._written = time.monotonic()
        checked.write_json(self._path, {"seconds": self.seconds, "ended": ended, **self._own})


def _read(path: Path) -> dict[str, Any]:
    try:
        check_small(path)
        content = checked.read_json(path)
        seconds = content.get("seconds")
        if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 <= seconds < 1e9:
            raise DamageError(f"{path}: seconds={seconds!r} is no time")
        return content
    except FileNotFoundError:
        return {}
    except DamageError:
        checked.set_aside(path)
        return {}


def _sweep_has_ended(task: Task) -> bool:
    """Whether the sweep is finished, although the record was not written any more."""
    try:
        return bool(task.stages) and read_sweep(task.folder)["status"] == names.FINISHED
    except (UserError, KeyError):
        return False


def _last_line(log: Path) -> str:
    try:
        lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    except OSError:
        lines = []
    return lines[-1] if lines else "it ended without a word"
