"""Which studies there are, found by name, and what each one says of itself."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from tabulate import tabulate

from kls.errors import UserError
from kls.records import names
from kls.records.escape import shortened
from kls.studies.definition import Figure, Study, read_study
from kls.studies.plan import Task

FIVE = ("straathof2019", "perrot2024", "gelisgen2019", "jarvers2023", "course_e")
ALL = "all"
WIDTH = 110  # of descriptions, characters


def known(root: Path) -> list[str]:
    """Names of the studies of conf/study below ``root``: the five first, then the others."""
    found = {path.stem for path in (root / "conf" / "study").glob("*.yaml")}
    return [*FIVE, *sorted(found - set(FIVE))]


def find(name: str, root: Path) -> list[Study]:
    """The studies that a name or the path of a file means; "all" means the five.

    Raises UserError where there is none, or its definition is not valid.
    """
    if name == ALL:
        return [study for one in FIVE for study in find(one, root)]
    if name in known(root):
        return [read_study(root / "conf" / "study" / f"{name}.yaml")]
    if Path(name).suffix in (".yaml", ".yml") and "\0" not in name:
        return [read_study(Path(name))]
    there_are = ", ".join([*known(root), ALL])
    said = shortened(name) or repr(name)
    raise UserError(f"{said}: there is no such study; there are {there_are}, or give the path of a YAML file")


def begun(root: Path, out: Path) -> list[Study]:
    """The five studies, and those others of conf/study of which ``out`` has runs."""
    others = [study for name in known(root) if name not in FIVE for study in find(name, root)]
    there = [study for study in others if any((out / names.STEPS / step.folder).is_dir() for step in study.steps)]
    return [*find(ALL, root), *there]


def describe(study: Study, tasks: Mapping[str, Task]) -> str:
    """Title, question, steps with their runs, and published figures, as lines."""
    parts = [f"{study.key}: {study.title.removeprefix(f'{study.key}: ')}", textwrap.fill(study.asked.strip(), WIDTH)]
    if study.known:
        parts.append(textwrap.fill(study.known.strip(), WIDTH))
    steps = [(step.name, contents(tasks[step.folder]), step.what) for step in study.steps]
    parts.append(tabulate(steps, ["step", "holds", "what"], tablefmt="plain", maxcolwidths=[None, None, WIDTH - 30]))
    runs = sum(tasks[folder].runs for folder in {step.folder for step in study.steps})
    parts.append(f"{runs} runs" + (f"; {len(study.published)} published figures:" if study.published else ""))
    if study.published:
        figures = [(figure.what, figure.score.replace("_", " "), _value(figure)) for figure in study.published]
        parts.append(tabulate(figures, tablefmt="plain", disable_numparse=True))
    return "\n\n".join(parts)


def contents(task: Task) -> str:
    """For example "25 runs" or "2 gradient checks"."""
    n, what = (task.runs, "run") if task.stages else (len(task.commands), "gradient check")
    return f"{n} {what}" + ("" if n == 1 else "s")


def _value(figure: Figure) -> str:
    accuracy = figure.score.endswith("accuracy")
    text = f"{figure.published:.2f}" if accuracy else f"{figure.published:g}"
    text += "" if figure.sd is None else f" ± {figure.sd:.2f}"
    text += " %" if accuracy else ""
    return text + (f" (n={figure.n})" if figure.n > 1 else "")


def shared(studies: Sequence[Study]) -> dict[str, list[str]]:
    """Keys of the studies that have a step, by its folder."""
    found: dict[str, list[str]] = {}
    for study in studies:
        for folder in {step.folder: None for step in study.steps}:
            found.setdefault(folder, []).append(study.key)
    return found
