"""The progress of all steps of studies in one view, with the time left by the speed that was measured."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

from kls.errors import UserError
from kls.records import names
from kls.records.sweep_record import read_sweep
from kls.studies.plan import Task
from kls.sweep.sweep_progress import look

TERMINAL_SECONDS, OTHER_SECONDS = 1.0, 10.0  # between two looks at the folders
LOG_SECONDS = 30.0  # between two lines, where there is no bar
_FEW_SECONDS = 5.0  # of work, before which no time left is told


class StudiesProgress:
    """Context with a bar where stderr is a terminal, and a line now and then where it is not."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        known = {task.step.folder: (task.seconds, share_of(task)[0]) for task in tasks}
        self._left = {folder: seconds * (1.0 - share) for folder, (seconds, share) in known.items() if share < 1.0}
        self._n = len(known)
        self._total = sum(seconds for seconds, _ in known.values())
        self._worked = 0.0  # nominal seconds of what has been done here
        self._seconds = 0.0  # that it took
        self._terminal = sys.stderr.isatty()
        self._bar: tqdm[Any] | None = None
        self._last_line = time.monotonic()

    def __enter__(self) -> StudiesProgress:
        form = "{percentage:3.0f}%|{bar}| {postfix}"
        self._bar = tqdm(total=100.0, disable=not self._terminal, bar_format=form)
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._bar is not None:
            self._bar.close()

    @property
    def look_seconds(self) -> float:
        """How long to wait between two looks."""
        return TERMINAL_SECONDS if self._terminal else OTHER_SECONDS

    def say(self, line: str) -> None:
        """Print a line, above the bar if there is one."""
        if self._terminal:
            tqdm.write(line)
        else:
            print(line, flush=True)

    def ended(self, task: Task, seconds: float, share_before: float) -> None:
        """A step has ended; ``seconds`` is what it took now, from ``share_before`` on."""
        self._left.pop(task.step.folder, None)
        self._worked += task.seconds * (1.0 - share_before)
        self._seconds += seconds

    def skipped(self, task: Task) -> None:
        """A step was done already, or cannot be."""
        self._left.pop(task.step.folder, None)

    def show(self, task: Task, seconds: float, share_before: float, share: float, what: str) -> None:
        """The step ``task`` runs: for ``seconds`` now, from ``share_before`` to ``share``."""
        others = sum(seconds for folder, seconds in self._left.items() if folder != task.step.folder)
        left = others + task.seconds * (1.0 - share)
        worked = self._worked + task.seconds * (share - share_before)
        line = f"{self._n - len(self._left)} of {self._n} steps done; {task.step.folder}: {what}"
        if worked > _FEW_SECONDS:
            line += f"; about {told_time(left * (self._seconds + seconds) / worked)} left"
        if self._terminal and self._bar is not None:
            self._bar.n = 100.0 * (1.0 - left / self._total)
            self._bar.set_postfix_str(line)
        elif time.monotonic() - self._last_line >= LOG_SECONDS:
            self._last_line = time.monotonic()
            self.say(line)


def share_of(task: Task) -> tuple[float, str]:
    """Share of a step's work that is done, and what it does; read from its folder."""
    if not task.stages:
        done = [(command.folder / names.GRADIENTS).is_file() for command in task.commands]
        return sum(done) / len(done), f"{sum(done)}/{len(done)} gradient checks"
    try:
        finished = {s["name"] for s in read_sweep(task.folder)["stages"] if s["status"] == names.FINISHED}
    except (UserError, KeyError, TypeError):
        finished = set()
    done_seconds, line = 0.0, ""
    for stage, seconds in task.stages:
        if stage.name in finished:
            done_seconds += seconds
            continue
        folders = [task.folder / stage.name / str(number) for number in range(stage.n_trials)]
        share, found = look(folders)
        done_seconds += share * seconds
        line = line or f"stage {stage.name}, {found}"
    return done_seconds / task.seconds, line or "its tables"


def told_time(seconds: float) -> str:
    """For example "1 h 05 min", "3 min 20 s" or "12 s"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_rest = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_rest:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
