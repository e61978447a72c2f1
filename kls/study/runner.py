"""Carries out the steps of studies: each once, whole, and again from where it was stopped."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path
from typing import Any

from tqdm import tqdm

from kls.analysis.wording import duration
from kls.config.flat_settings import EXECUTION
from kls.config.resume import quoted
from kls.errors import DamageError, UserError
from kls.records import checked, names
from kls.records.escape import one_line
from kls.records.small_files import check_small
from kls.study.plan import Task
from kls.study.worker import Worker
from kls.sweep.sweep_progress import look

_LOOK_SECONDS = 3.0  # between two looks at a step's folder
_BAR = "{percentage:3.0f}%|{bar}| {elapsed}, about {remaining} left{postfix}"  # a postfix begins with a comma
# How a step is carried out, which may be another the next time:
_EXECUTION = ("hydra.run.", "hydra.sweep.", "hydra.launcher", "hydra/launcher", *(f"{key}=" for key in EXECUTION))


class Runner:
    """Context that carries out tasks in a process of its own, and has pages written in a thread meanwhile.

    A bar, if stderr is a terminal, counts all runs and gradient checks, and gives the time left by their mean time.
    failures: a line for each step that failed and each page that could not be written.
    """

    def __init__(self, tasks: Mapping[str, Task]) -> None:
        self.failures: list[str] = []
        self._left, self._n, self._place = dict(tasks), len(tasks), ""
        self._done = {name: task.size * _look(task)[0] for name, task in tasks.items()}
        total, done = sum(task.size for task in tasks.values()), sum(self._done.values())
        self._bar = tqdm(total=total, initial=done, disable=None, smoothing=0, bar_format=_BAR)
        self._worker, self._pages = Worker(), ThreadPoolExecutor(1)

    def __enter__(self) -> Runner:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc_info: object) -> None:
        self._worker.end()
        self._pages.shutdown(cancel_futures=kind is not None)
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self._say("stopped; the same command goes on from here")
        self._bar.close()

    def carry_out(self, name: str) -> None:
        """Carry out the step of a folder's name, unless that was tried before."""
        if name not in self._left:
            return
        task = self._left.pop(name)
        self._place = f"step {self._n - len(self._left)} of {self._n}"
        try:
            record = _Record(task)
            if record.ended:
                self._say(f"{name}: done already")
            else:
                self._run(task, record)
                self._say(f"{name}: {task} in {duration(record.seconds)} ({self._place})")
        except (UserError, OSError, BrokenProcessPool) as error:
            self._worker.end()
            text = "its process was killed" if isinstance(error, BrokenProcessPool) else str(error)
            first = one_line(text.removeprefix("error: ").splitlines()[0].rstrip(":"))
            self._say(f"{name}: failed: {first}; see {task.folder / names.STEP_LOG}", failed=True)
        self._show(task, 1.0)

    def write(self, name: str, page: Callable[[], Path]) -> None:
        """Have a page written. Whatever goes wrong costs the page alone, not the runs."""

        def work() -> None:
            try:
                self._say(f"{name}: report in {page()}")
            except Exception as error:
                kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
                self._say(one_line(f"{name}: no report: {kind}{error}"), failed=True)

        self._pages.submit(work)

    def _run(self, task: Task, record: _Record) -> None:
        log = task.folder / names.STEP_LOG
        task.folder.mkdir(parents=True, exist_ok=True)
        record.write()
        for command in task.commands:
            resumed = task.stages and (task.folder / names.SWEEP).exists()
            resume = [f"resume={quoted(task.folder)}"] if resumed else []
            answer = self._worker.begin([*command, *resume], log)
            while not wait([answer], _LOOK_SECONDS).done:
                with suppress(OSError):  # a full disk is no reason to stop
                    record.write()
                self._show(task, *_look(task))
            if code := answer.result():
                lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
                last = [line for line in lines if line.strip()][-1:] or [f"exit status {code}"]
                raise UserError(code if isinstance(code, str) else last[0])
        record.write(ended=True)
        if not task.stages:
            self._worker.end()  # the pictures in double precision go with it

    def _show(self, task: Task, share: float, what: str = "") -> None:
        self._done[task.folder.name] = task.size * share
        self._bar.n = sum(self._done.values())
        self._bar.set_postfix_str(f"{self._place}, {task.folder.name}: {what}")

    def _say(self, line: str, failed: bool = False) -> None:
        self.failures += [line] if failed else []
        tqdm.write(line)
        sys.stdout.flush()


class _Record:
    """step.json: what a step ran, how long it took in all, and whether it has ended."""

    def __init__(self, task: Task) -> None:
        """Take up the record, or begin one; a damaged one is set aside. Raises UserError if it is of another step."""
        self._path, self._started, self.ended = task.folder / names.STEP, time.monotonic(), False
        own = {"schema": names.SCHEMA, "commands": task.lines, "definition": task.definition}
        self._own = json.loads(json.dumps(own, default=str))
        try:
            check_small(self._path)
            self._take_up(checked.read_json(self._path))
        except FileNotFoundError:
            pass
        except (DamageError, AttributeError, LookupError, TypeError, ValueError):
            checked.set_aside(self._path)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def write(self, ended: bool = False) -> None:
        checked.write_json(self._path, {**self._own, "seconds": self.seconds, "ended": ended})

    def _take_up(self, record: dict[str, Any]) -> None:
        schema = record.get("schema", 0)  # older records have none, and another form of definition
        if schema > names.SCHEMA:
            raise UserError(f"{self._path}: was written by a newer kls (schema {schema})")
        changed = ["command"] if _decisive(record["commands"]) != _decisive(self._own["commands"]) else []
        changed += ["definition"] if schema and record["definition"] != self._own["definition"] else []
        if changed:
            run_before = f"it was run before by another {changed[0]}"
            raise UserError(f"{run_before}; remove {self._path.parent}, or give another --out")
        if not 0.0 <= record["seconds"] < 1e9:
            raise DamageError(f"{self._path}: seconds={record['seconds']} is no time")
        self._started -= record["seconds"]
        self.ended = record["ended"] is True


def _decisive(commands: list[str]) -> list[dict[str, str]]:
    """Of each command the settings that decide what it computes; the last one of a key counts."""
    parts = [[part for part in shlex.split(command) if not part.startswith(_EXECUTION)] for command in commands]
    return [{part.partition("=")[0]: part for part in command} for command in parts]


def _look(task: Task) -> tuple[float, str]:
    """Share of a step's work that is done, and a line on it; read from its folder."""
    if task.stages:
        return look([task.folder / stage.name / str(n) for stage in task.stages for n in range(stage.n_trials)])
    done = len(list(task.folder.glob(f"*/{names.GRADIENTS}")))
    return min(done / task.size, 1.0), f"{done}/{task.size} gradient checks"
