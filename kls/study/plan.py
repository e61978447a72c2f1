"""Which studies there are, and what they run: one task for each folder of a step, whole or in miniature.

A miniature has few pictures of the embedded data, few steps and few trials; every stage is still there.
"""

import json
import math
import re
import shlex
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tabulate import tabulate

from kls.analysis.curve import FEWEST_PLACES
from kls.analysis.wording import counted, mean_sd, score_name, unit
from kls.config.own_configs import CONFIG_DIR, STUDY, SWEEPS, check_header, choices, where_to_add
from kls.config.resume import quoted
from kls.config.study_file import Plays, Step, Study, read_study
from kls.config.validation import validate_group
from kls.errors import UserError
from kls.records import names
from kls.records.checked import LARGEST_YAML, parse_yaml, read_text
from kls.records.escape import shortened
from kls.sweep.sampler_settings import OtherSettings, sampler_settings
from kls.sweep.stages import Search, Stage

ALL = "all"

_WIDTH = 110  # of descriptions, characters
_SMALL_DATA = ("data=synthetic", "data.n_train=3000", "data.n_val=500", "data.n_test=500")
_SMALL = (*_SMALL_DATA, "evaluation.n_train=500", "optimizer.schedule.n_s=20", "hydra.launcher.n_jobs=1")
_LONGEST = {"optimizer.schedule.n_s": 20, "optimizer.schedule.epochs": 1, "optimizer.schedule.steps": 40}
_TRIALS, _SEEDS, _VALUES = 4, 2, 5
_PLAYS = 5
_PICTURES = 50  # times fewer, if a stage searches data.n_train


@dataclass(frozen=True)
class Task:
    """A step that is run once for all studies that have it.

    folder: <out>/steps/<step.folder>. commands: a module and its arguments, one for a sweep, one a gradient check.
    stages: of a sweep, none for others. ways: of searching, that are played. definition: content of the sweep's file,
    and a user's own beside it; the stages of all ways.
    """

    folder: Path
    commands: Sequence[Sequence[str]]
    stages: Sequence[Stage] = ()
    definition: Any = None
    ways: Sequence[str] = ()

    @property
    def runs(self) -> int:
        return sum(stage.n_runs for stage in self.stages)

    @property
    def size(self) -> int:
        """How many runs, gradient checks or ways that are played it has."""
        return self.runs or len(self.ways) or len(self.commands)

    @property
    def lines(self) -> list[str]:
        """The commands as they are typed."""
        return [shlex.join(["python", "-m", *command]) for command in self.commands]

    def __str__(self) -> str:
        return counted(self.size, "run" if self.stages else "played way" if self.ways else "gradient check")


def known(own: Path | None = None) -> list[Study]:
    """The studies of conf/study and of <own>/study: those that "all" runs, in their order, then the others."""
    studies = [read_study(path) for path in choices(STUDY, own).values()]
    return sorted(studies, key=lambda study: study.order or math.inf)


def find(name: str, own: Path | None = None) -> list[Study]:
    """The studies that a name, the path of a file, or "all" means; ``own`` is the folder of --config-dir.

    Raises UserError if there is no valid one.
    """
    studies = known(own)
    chosen = [study for study in studies if (study.order if name == ALL else study.key == name)]
    if not chosen and Path(name).suffix in (".yaml", ".yml") and "\0" not in name:
        return [read_study(Path(name))]
    if not chosen:
        there = ", ".join([*(study.key for study in studies), ALL])
        begin = f"{shortened(name) or repr(name)}: there is no such study; there are {there}"
        raise UserError(f"{begin}, or give the path of a YAML file; {where_to_add(STUDY, name, own)}")
    return chosen


def plan(
    studies: Sequence[Study], out: Path, settings: Sequence[str], smoke: bool, own: Path | None = None
) -> dict[str, Task]:
    """The tasks by their folders' names, in order.

    settings: overrides of all steps; a step's own win. smoke: in miniature. own: the folder of --config-dir.
    Raises UserError if two steps of one folder differ.
    """
    tasks, owners = dict[str, Task](), dict[str, str]()
    for study in studies:
        for step in study.steps:
            folder = out / names.STEPS / step.folder
            if step.plays is not None:
                task = _played(step.plays, folder, folder.with_name(study.step(step.plays.table).folder), smoke, own)
            else:
                task = _task(step, folder, settings, smoke, own)
            place = f"{study.key}.{step.name}"
            owner = owners.setdefault(step.folder, place)
            if tasks.setdefault(step.folder, task).commands != task.commands:
                raise UserError(f"folder={step.folder}: {owner} and {place} share it, but do not run the same")
    return tasks


def _task(step: Step, folder: Path, settings: Sequence[str], smoke: bool, own: Path | None) -> Task:
    where = [f"{CONFIG_DIR}={own}"] if own is not None else []
    if step.gradients is not None:
        small = _SMALL_DATA if smoke else ()
        return Task(folder, [
            ["kls.gradcheck", *where, *settings, *overrides, *small, f"hydra.run.dir={_value(folder / label)}"]
            for label, overrides in step.gradients.items()
        ], definition=_own_files(own, str(step.gradients), *settings) or None)  # fmt: skip
    content, stages = _sweep_file(step.sweep, own)
    stages = [small_stage(stage) for stage in stages] if smoke else stages
    overrides = [*step.overrides, *(_small_settings(stages) if smoke else ())]
    command = ["kls.train", "--multirun", *where, f"sweeps={step.sweep}", "plots=false", *settings, *overrides]
    chosen = _own_files(own, str(content), *settings, *overrides)
    definition = {"sweep": content, "own": chosen} if chosen else content
    return Task(folder, [[*command, f"hydra.sweep.dir={_value(folder)}"]], stages, definition)


def _played(plays: Plays, folder: Path, table: Path, smoke: bool, own: Path | None) -> Task:
    """Plays on the table of runs in a folder."""
    n, searches = min(plays.n, _PLAYS) if smoke else plays.n, dict[str, list[dict[str, Any]]]()
    for name, way in plays.ways.items():
        searches[name] = [_plain(stage) for stage in search_of(way, own).stages]
    texts = [f"{name}={way if isinstance(way, str) else _json(way)}" for name, way in plays.ways.items()]
    where = [f"{CONFIG_DIR}={own}"] if own is not None else []
    options = [f"--table={table}", f"--out={folder}", f"--setting={plays.setting}", f"--plays={n}"]
    command = ["kls.study.plays", *where, *options, *texts]
    return Task(folder, [command], definition={"table": table.name, "ways": searches}, ways=list(searches))


def search_of(way: str | list[dict[str, Any]], own: Path | None) -> Search:
    """A search by the name of its file in sweeps/, or by its stages. Raises UserError."""
    if not isinstance(way, str):
        found = validate_group(Search, {"stages": way}, "ways")
        for sampler in (stage.sampler for stage in found.stages if stage.sampler != "grid"):
            if isinstance(sampler_settings(sampler).drawing, OtherSettings):  # a study may come from anybody
                raise UserError(f"ways: {shortened(str(sampler))}: name samplers of other packages in sweeps/ alone")
        return found
    return validate_group(Search, {"stages": [_plain(stage) for stage in _sweep_file(way, own)[1]]}, way)


def _sweep_file(name: str | None, own: Path | None) -> tuple[Any, list[Stage]]:
    sweeps = choices(SWEEPS, own)
    if name not in sweeps:
        there = f"there is no such sweep; there are {', '.join(sweeps)}"
        raise UserError(f"sweep={name}: {there}; {where_to_add(SWEEPS, str(name), own)}")
    return read_sweep_file(sweeps[name])


def _json(stages: list[dict[str, Any]]) -> str:
    return json.dumps(stages, ensure_ascii=False, separators=(",", ":"))


def _own_files(own: Path | None, *texts: str) -> dict[str, str]:
    """The files of a user's folder that texts name, such as model=mine, and those that these name; by their places."""
    found, left = dict[str, str](), " ".join(texts)
    files = [path for path in sorted(own.glob("*/*.yaml")) if path.parent.name not in (STUDY, SWEEPS)] if own else []
    while named := [path for path in files if re.search(rf"\b{re.escape(path.stem)}\b", left)]:
        files = [path for path in files if path not in named]
        found |= {f"{path.parent.name}/{path.name}": read_text(path, LARGEST_YAML) for path in named}
        left = " ".join(found.values())
    return found


def _value(path: Path) -> str:
    """A path in Hydra's override language."""
    return str(path) if re.fullmatch(r"[\w./-]+", str(path)) else quoted(path)


def read_sweep_file(path: Path) -> tuple[Any, list[Stage]]:
    """What a file of sweeps/ holds, and its stages. Raises UserError if its header or its stages are not valid."""
    text = read_text(path, LARGEST_YAML)
    check_header(path, text)
    try:
        content = parse_yaml(path, text)
        stages = content["hydra"]["sweeper"]["stages"]
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: holds no stages, which stand below hydra: sweeper: stages: ({error})") from None
    return content, validate_group(Search, {"stages": stages}, str(path)).stages


def describe(study: Study, tasks: Mapping[str, Task]) -> str:
    """Title, question, steps with their runs, and published figures, as lines."""
    steps, figures = [(step.name, str(tasks[step.folder]), step.what) for step in study.steps], []
    for figure in study.published:
        value = mean_sd(figure.score, figure.value, math.nan if figure.value_sd is None else figure.value_sd)
        n = f" (n = {figure.n})" if figure.n > 1 else ""
        figures.append((figure.what, score_name(figure.score), f"{value}{unit(figure.score)}{n}"))
    parts = [
        f"{study.key}: {study.title.removeprefix(f'{study.key}: ')}",
        *(textwrap.fill(text.strip(), _WIDTH) for text in (study.asked, study.known) if text),
        tabulate(steps, ["step", "holds", "what"], tablefmt="plain", maxcolwidths=[None, None, _WIDTH - 30]),
        counted(sum(tasks[folder].runs for folder in {step.folder for step in study.steps}), "run"),
        tabulate(figures, ["published", "", ""], tablefmt="plain", disable_numparse=True) if figures else "",
    ]
    return "\n\n".join(filter(None, parts))


def dry_run(tasks: Mapping[str, Task]) -> str:
    """What would be run, as lines."""
    lines = [line for name, task in tasks.items() for line in (f"{name}: {task}", *(f"  {c}" for c in task.lines))]
    runs = counted(sum(task.runs for task in tasks.values()), "run")
    return "\n".join([*lines, f"{counted(len(tasks), 'step')}, {runs}; nothing was run"])


def small_stage(stage: Stage) -> Stage:
    """The stage with few trials, steps, seeds and values of any other setting, and short budgets."""
    content = _plain(stage)
    for name, parameter in content.get("params", {}).items():
        if "values" in parameter:
            parameter["values"] = _few(name, parameter["values"])
        if "steps" in parameter:
            parameter["steps"] = min(parameter["steps"], FEWEST_PLACES)
    if stage.trials is not None:
        content["trials"] = min(stage.trials, _TRIALS)
    if stage.confirm is not None:
        content["confirm"]["seeds"] = min(stage.confirm.seeds, _SEEDS)
    if stage.repeats > _SEEDS:
        content["repeats"] = _SEEDS
    budget = []
    for override in stage.budget:
        key, _, value = override.partition("=")
        short = key in _LONGEST and value.isdecimal()
        budget.append(f"{key}={min(int(value), _LONGEST[key])}" if short else override)
    return Stage.model_validate(content | {"budget": budget})


def _few(name: str, values: list[Any]) -> list[Any]:
    if name == "seed":
        return values[:_SEEDS]
    values = values if len(values) <= _VALUES else [values[0], values[len(values) // 2], values[-1]]
    if name == "data.n_train":
        values = list(dict.fromkeys(value and max(value // _PICTURES, 100) for value in values))
    return values


def _small_settings(stages: Sequence[Stage]) -> list[str]:
    """What makes the runs of a sweep small, except in what is searched, and its stages, which are small already."""
    searched = {name for stage in stages for name in stage.searched}
    settings = [override for override in _SMALL if override.split("=")[0] not in searched]
    text = _json([_plain(stage) for stage in stages])
    return [*settings, "hydra.sweeper.stages=" + re.sub(r'"([^"\\]+)":', r"\1:", text)]  # Hydra quotes no keys


def _plain(stage: Stage) -> dict[str, Any]:
    return stage.model_dump(by_alias=True, exclude_defaults=True)
