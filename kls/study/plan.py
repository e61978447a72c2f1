"""What studies run: one task for each folder of a step, with its commands; whole, or in miniature.

A miniature has few pictures of the embedded data, few steps and few trials; every stage is still there.
"""

import json
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
from kls.sweep.stages import Search, Stage

_SMALL_DATA = ("data=synthetic", "data.n_train=3000", "data.n_val=500", "data.n_test=500")
_SMALL = (*_SMALL_DATA, "evaluation.n_train=500", "optimizer.schedule.n_s=20", "hydra.launcher.n_jobs=1")
_LONGEST = {"optimizer.schedule.n_s": 20, "optimizer.schedule.epochs": 1, "optimizer.schedule.steps": 40}
_TRIALS, _SEEDS, _VALUES = 4, 2, 5
_PICTURES = 50  # times fewer, if a stage searches data.n_train


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
    tasks, owners = dict[str, Task](), dict[str, str]()
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
        small = _SMALL_DATA if smoke else ()
        return Task(folder, [
            ["kls.gradcheck", *settings, *overrides, *small, f"hydra.run.dir={_value(folder / label)}"]
            for label, overrides in step.gradients.items()
        ])  # fmt: skip
    content, stages = read_sweep_file(root / "sweeps" / f"{step.sweep}.yaml")
    stages = [small_stage(stage) for stage in stages] if smoke else stages
    overrides = [*step.overrides, *(_small_settings(stages) if smoke else ())]
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


def small_stage(stage: Stage) -> Stage:
    """The stage with few trials, steps, seeds and values of any other setting, and short budgets."""
    content = _plain(stage)
    for name, parameter in content.get("params", {}).items():
        if "values" in parameter:
            parameter["values"] = _few(name, parameter["values"])
        if "steps" in parameter:
            parameter["steps"] = min(parameter["steps"], _TRIALS)
    if stage.trials is not None:
        content["trials"] = min(stage.trials, _TRIALS)
    if stage.confirm is not None:
        content["confirm"]["seeds"] = min(stage.confirm.seeds, _SEEDS)
    return Stage.model_validate(content | {"budget": [_short(override) for override in stage.budget]})


def _few(name: str, values: list[Any]) -> list[Any]:
    if name == "seed":
        return values[:_SEEDS]
    values = values if len(values) <= _VALUES else [values[0], values[len(values) // 2], values[-1]]
    if name == "data.n_train":
        values = list(dict.fromkeys(value and max(value // _PICTURES, 100) for value in values))
    return values


def _short(override: str) -> str:
    key, _, value = override.partition("=")
    return f"{key}={min(int(value), _LONGEST[key])}" if key in _LONGEST and value.isdecimal() else override


def _small_settings(stages: Sequence[Stage]) -> list[str]:
    """What makes the runs of a sweep small, except in what is searched, and its stages, which are small already."""
    searched = {name for stage in stages for name in stage.params}
    settings = [override for override in _SMALL if override.split("=")[0] not in searched]
    text = json.dumps([_plain(stage) for stage in stages], ensure_ascii=False, separators=(",", ":"))
    return [*settings, "hydra.sweeper.stages=" + re.sub(r'"([^"\\]+)":', r"\1:", text)]  # Hydra quotes no keys


def _plain(stage: Stage) -> dict[str, Any]:
    return stage.model_dump(by_alias=True, exclude_defaults=True)
