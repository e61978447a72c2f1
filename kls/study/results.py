"""What the steps of studies have left on disk: runs, gradient checks, commands and times."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from kls.analysis.runs import Runs, read_runs
from kls.config.study_file import Step
from kls.errors import DamageError, UserError
from kls.records import checked, names
from kls.study.gradients import Gradients, read_gradients, read_if_there

_LONGEST = 1e9  # seconds of a step


class StepResult(NamedTuple):
    """A step and what it has left: runs or gradient checks, wall time in seconds, commands; and what is unreadable."""

    step: Step
    runs: Runs | None
    gradients: list[Gradients]
    seconds: float | None
    commands: list[str]
    warnings: list[str]

    @property
    def is_there(self) -> bool:
        return self.runs is not None or bool(self.gradients)

    @property
    def missing(self) -> str:
        """What has not been run, as a sentence; "" if all has."""
        if not self.is_there:
            return "This step has not been run yet."
        absent = {*(self.step.gradients or ())} - {check.label for check in self.gradients}
        sweeps = self.runs.sweeps.values() if self.runs is not None else ()
        going = [f"Its sweep is {sweep.status}." for sweep in sweeps if sweep.status != names.FINISHED]
        return " ".join([f"Not run yet: {', '.join(sorted(absent))}."] * bool(absent) + going)


class Results:
    """The steps of studies below ``out``; runs that steps share are read once."""

    def __init__(self, out: Path) -> None:
        """Raises UserError if there is no such folder."""
        if not out.is_dir():
            raise UserError(f"{out}: {'is not a folder' if out.exists() else 'there is no such folder'}")
        self._out, self._runs = out / names.STEPS, dict[str, Runs | None]()

    def step(self, step: Step) -> StepResult:
        """What ``step`` has left."""
        folder, warnings = self._out / step.folder, list[str]()
        record = read_if_there(_record, folder / names.STEP, warnings) or {}
        checks = [read_gradients(folder / label, warnings) for label in step.gradients or ()]
        if step.folder not in self._runs:
            there = not step.gradients and next(folder.rglob(names.METRICS), None)
            self._runs[step.folder] = read_if_there(lambda path: read_runs([path]), folder, warnings) if there else None
        runs = self._runs[step.folder]
        return StepResult(
            step, runs, list(filter(None, checks)), record.get("seconds"), record.get("commands", []), warnings
        )


def _record(path: Path) -> dict[str, Any]:
    content = checked.read_json(path)
    if not 0.0 <= float(content["seconds"]) < _LONGEST or not all(isinstance(c, str) for c in content["commands"]):
        raise DamageError(f"{path}: is no record of a step")
    return content
