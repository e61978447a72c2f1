"""What studies run: one task for each folder of a step, with its commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kls.analysis.wording import counted
from kls.config.resume import quoted
from kls.config.study_file import Step, Study
from kls.config.validation import validate_group
from kls.errors import UserError
from kls.records import names
from kls.records.checked import parse_yaml
from kls.records.small_files import read_yaml_text
from kls.study import miniature
from kls.sweep.stages import Search, Stage


@dataclass(frozen=True)
class Task:
    """A step that is run once for all studies that have it.

    folder: <out>/steps/<step.folder>. commands: a module and its arguments, one for a sweep, one a gradient check.
    stages: of a sweep, none for gradient checks. definition: content of the sweep's file.
    """

    folder: Path
    commands: Sequence[Sequence[str]]
    stages: Sequence[Stage] = ()
    definition: Any = None

    @property
    def runs(self) -> int:
        return sum(stage.n_trials for stage in self.stages)

    @property
    def size(self) -> int:
        """How many runs or gradient checks it has."""
        return self.runs or len(self.commands)

    @property
    def lines(self) -> list[str]:
        """The commands as they are typed."""
        return [shlex.join(["python", "-m", *command]) for command in self.commands]

    def __str__(self) -> str:
        return counted(self.size, "run" if self.stages else "gradient check")


def plan(studies: Sequence[Study], root: Path, out: Path, settings: Sequence[str], smoke: bool) -> dict[str, Task]:
    """The tasks by their folders' names, in order.

    root: of the project. settings: overrides of all steps; a step's own win. smoke: in miniature.
    Raises UserError if two steps of one folder differ.
    """
    tasks: dict[str, Task] = {}
    owners: dict[str, str] = {}
    for study in studies:
        for step in study.steps:
            task = _task(step, root, out / names.STEPS / step.folder, settings, smoke)
            place = f"{study.key}.{step.name}"
            owner = owners.setdefault(step.folder, place)
            if tasks.setdefault(step.folder, task).commands != task.commands:
                raise UserError(f"folder={step.folder}: {owner} and {place} share it, but do not run the same")
    return tasks


def _task(step: Step, root: Path, folder: Path, settings: Sequence[str], smoke: bool) -> Task:
    if step.gradients is not None:
        small = miniature.DATA if smoke else ()
        return Task(folder, [
            ["kls.gradcheck", *settings, *overrides, *small, f"hydra.run.dir={_value(folder / label)}"]
            for label, overrides in step.gradients.items()
        ])  # fmt: skip
    content, stages = read_sweep_file(root / "sweeps" / f"{step.sweep}.yaml")
    stages = [miniature.small_stage(stage) for stage in stages] if smoke else stages
    overrides = [*step.overrides, *(miniature.overrides(stages) if smoke else ())]
    command = ["kls.train", "--multirun", f"sweeps={step.sweep}", "plots=false", *settings, *overrides]
    return Task(folder, [[*command, f"hydra.sweep.dir={_value(folder)}"]], stages, content)


def _value(path: Path) -> str:
    """A path in Hydra's override language."""
    return str(path) if re.fullmatch(r"[\w./-]+", str(path)) else quoted(path)


def read_sweep_file(path: Path) -> tuple[Any, list[Stage]]:
    """What a file of sweeps/ holds, and its stages. Raises UserError if there is none or its stages are not valid."""
    try:
        content = parse_yaml(path, read_yaml_text(path))
        stages = content["hydra"]["sweeper"]["stages"]
    except FileNotFoundError:
        known = ", ".join(sorted(found.stem for found in path.parent.glob("*.yaml")))
        raise UserError(f"sweep={path.stem}: there is no such file in {path.parent}; there are {known}") from None
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: holds no stages ({error})") from None
    return content, validate_group(Search, {"stages": stages}, str(path)).stages
