"""What studies are to run: one task for each folder of a step, with its commands and what they weigh."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kls.config.resume import quoted
from kls.errors import UserError
from kls.records import names
from kls.studies import cost, miniature
from kls.studies.definition import Step, Study
from kls.studies.sweep_file import read_sweep_file
from kls.sweep.stages import Stage

TRAIN, GRADCHECK = "kls.train", "kls.gradcheck"


@dataclass(frozen=True)
class Command:
    """An entry point with its arguments, and the folder that they name."""

    module: str
    arguments: tuple[str, ...]
    folder: Path

    def __str__(self) -> str:
        return shlex.join(["python", "-m", self.module, *self.arguments])


@dataclass(frozen=True)
class Task:
    """A step that is run once for all studies that have it.

    Attributes:
        step: as its study defines it.
        folder: <out>/steps/<step.folder>.
        commands: one for a sweep, one a label for gradient checks.
        stages: of a sweep, each with the seconds that it would roughly take; empty for gradient checks.
        seconds: that the whole step would roughly take.
    """

    step: Step
    folder: Path
    commands: Sequence[Command]
    stages: Sequence[tuple[Stage, float]]
    seconds: float
    definition: dict[str, Any] = field(repr=False)

    @property
    def runs(self) -> int:
        return sum(stage.n_trials for stage, _ in self.stages)


@dataclass(frozen=True)
class Wish:
    """How studies are run: project folder, data set, in miniature or not, where to, processes at once."""

    root: Path
    data: str
    smoke: bool
    out: Path
    cores: int


def plan(studies: Sequence[Study], wish: Wish) -> dict[str, Task]:
    """The tasks by their folders' names, in order. Raises UserError where two steps of one folder differ."""
    tasks: dict[str, Task] = {}
    owners: dict[str, str] = {}
    for study in studies:
        for step in study.steps:
            task, place = _task(step, wish), f"{study.key}.{step.name}"
            other = tasks.setdefault(step.folder, task)
            owner = owners.setdefault(step.folder, place)
            if other.commands != task.commands:
                raise UserError(f"folder={step.folder}: {owner} and {place} share it, but do not run the same")
    return tasks


def _task(step: Step, wish: Wish) -> Task:
    folder = wish.out / names.STEPS / step.folder
    if step.gradients is not None:
        commands = [_gradient_check(arguments, folder / label, wish) for label, arguments in step.gradients.items()]
        return Task(step, folder, commands, (), cost.A_STEP * len(commands), {"gradients": step.gradients})
    assert step.sweep is not None
    file = read_sweep_file(wish.root, step.sweep)
    stages = [miniature.small_stage(stage) for stage in file.stages] if wish.smoke else file.stages
    small = miniature.overrides_for(stages) if wish.smoke else []
    command = Command(
        TRAIN,
        (
            "--multirun",
            f"sweeps={step.sweep}",
            *_data(step.overrides, wish),
            *step.overrides,
            *small,
            "plots=false",
            f"hydra.sweep.dir={_as_value(folder)}",
        ),
        folder,
    )
    overrides = [*step.overrides, *small]
    weights = [cost.stage_seconds(wish.root, stage, file.settings, overrides, wish.cores) for stage in stages]
    definition = {
        "settings": file.settings,
        "stages": [s.model_dump(by_alias=True, mode="json", exclude_defaults=True) for s in stages],
    }
    pairs = list(zip(stages, weights, strict=True))
    return Task(step, folder, [command], pairs, sum(weights) + cost.A_STEP, definition)


def _gradient_check(overrides: Sequence[str], folder: Path, wish: Wish) -> Command:
    small = miniature.DATA if wish.smoke else ()
    place = f"hydra.run.dir={_as_value(folder)}"
    return Command(GRADCHECK, (*_data(overrides, wish), *overrides, *small, place), folder)


def _data(overrides: Sequence[str], wish: Wish) -> list[str]:
    """The choice of the data set, unless the step makes it, or everything is made small."""
    given = wish.smoke or any(override.startswith("data=") for override in overrides)
    return [] if given else [f"data={wish.data}"]


def _as_value(path: Path) -> str:
    """A path in Hydra's override language."""
    return str(path) if re.fullmatch(r"[\w./-]+", str(path)) else quoted(path)
