"""Carries out the steps of studies: each once, whole, and again from where it was stopped."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kls.errors import UserError
from kls.records import names
from kls.records.atomic import write_json
from kls.records.run_folder import RunFolder
from kls.resume import quoted
from kls.studies.catalogue import contents
from kls.studies.plan import TRAIN, Command, Task
from kls.studies.progress import StudiesProgress, share_of, told_time
from kls.studies.step_process import Answer, StepProcess
from kls.sweep.record import read_sweep

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
        if _nothing_to_keep(task):
            shutil.rmtree(task.folder)
        task.folder.mkdir(parents=True, exist_ok=True)
        before, _ = share_of(task)
        record.begin()
        try:
            for command in task.commands:
                answer = self._carry_out(task, command, record, before)
                if answer.status != 0:
                    raise UserError(answer.message or _last_line(task.folder / names.STEP_LOG))
        except KeyboardInterrupt:
            self._process.interrupt()
            record.write()
            raise
        except UserError:
            record.write()
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
            record.write_now_and_then()
            share, what = share_of(task)
            self._progress.show(task, record.seconds_now, before, max(share, before), what)
        return answer

    def _fail(self, task: Task, message: str) -> None:
        first = message.removeprefix("error: ").splitlines()[0].rstrip(":")
        self._progress.skipped(task)
        self.failures.append(f"{task.step.folder}: failed: {first}; see {task.folder / names.STEP_LOG}")
        self._progress.say(self.failures[-1])

    def end(self) -> None:
        """End the process."""
        self._process.end()


class _Record:
    """step.json: what a step ran, how long it took in all, and whether it has ended."""

    def __init__(self, task: Task) -> None:
        """Take up the folder's record. Raises UserError where it is that of another step."""
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
        self._before = float(content.get("seconds") or 0.0)
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

    def write_now_and_then(self) -> None:
        if time.monotonic() - self._written >= _RECORD_SECONDS:
            self.write()

    def write(self, ended: bool = False) -> None:
        self._written = time.monotonic()
        write_json(self._path, {"seconds": self.seconds, "ended": ended, **self._own})


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON ({error})") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds no record of a step")
    return content


def _sweep_has_ended(task: Task) -> bool:
    """Whether the sweep is finished, although the record was not written any more."""
    try:
        return bool(task.stages) and read_sweep(task.folder)["status"] == names.FINISHED
    except (UserError, KeyError):
        return False


def _nothing_to_keep(task: Task) -> bool:
    """Whether a sweep failed before any of its runs had a result: it would not try them again."""
    try:
        failed = bool(task.stages) and read_sweep(task.folder)["status"] == names.FAILED
    except (UserError, KeyError):
        return False
    runs = (path.parent for path in task.folder.glob(f"*/*/{names.METRICS}"))
    return failed and all(RunFolder(run).read_metrics().get(names.STATUS) == names.FAILED for run in runs)


def _last_line(log: Path) -> str:
    try:
        lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    except OSError:
        lines = []
    return lines[-1] if lines else "it ended without a word"
