"""Which studies there are, found by name, and what they say of themselves and would run."""

import math
import textwrap
from collections.abc import Mapping
from pathlib import Path

from tabulate import tabulate

from kls.analysis.wording import counted, mean_sd, score_name, unit
from kls.config.study_file import Study, read_study
from kls.errors import UserError
from kls.records.escape import shortened
from kls.study.plan import Task

ALL = "all"
WIDTH = 110  # of descriptions, characters


def known(root: Path) -> list[Study]:
    """The studies of conf/study below ``root``: those that "all" runs, in their order, then the others."""
    studies = [read_study(path) for path in sorted((root / "conf" / "study").glob("*.yaml"))]
    return sorted(studies, key=lambda study: study.order or math.inf)


def find(name: str, root: Path) -> list[Study]:
    """The studies that a name, the path of a file, or "all" means. Raises UserError if there is no valid one."""
    studies = known(root)
    chosen = [study for study in studies if (study.order if name == ALL else study.key == name)]
    if not chosen and Path(name).suffix in (".yaml", ".yml") and "\0" not in name:
        return [read_study(Path(name))]
    if not chosen:
        there = ", ".join([*(study.key for study in studies), ALL])
        begin = f"{shortened(name) or repr(name)}: there is no such study"
        raise UserError(f"{begin}; there are {there}, or give the path of a YAML file")
    return chosen


def describe(study: Study, tasks: Mapping[str, Task]) -> str:
    """Title, question, steps with their runs, and published figures, as lines."""
    steps, figures = [(step.name, str(tasks[step.folder]), step.what) for step in study.steps], []
    for figure in study.published:
        value = mean_sd(figure.score, figure.value, math.nan if figure.value_sd is None else figure.value_sd)
        n = f" (n = {figure.n})" if figure.n > 1 else ""
        figures.append((figure.what, score_name(figure.score), f"{value}{unit(figure.score)}{n}"))
    parts = [
        f"{study.key}: {study.title.removeprefix(f'{study.key}: ')}",
        *(textwrap.fill(text.strip(), WIDTH) for text in (study.asked, study.known) if text),
        tabulate(steps, ["step", "holds", "what"], tablefmt="plain", maxcolwidths=[None, None, WIDTH - 30]),
        counted(sum(tasks[folder].runs for folder in {step.folder for step in study.steps}), "run"),
        tabulate(figures, ["published", "", ""], tablefmt="plain", disable_numparse=True) if figures else "",
    ]
    return "\n\n".join(filter(None, parts))


def dry_run(tasks: Mapping[str, Task]) -> str:
    """What would be run, as lines."""
    lines = [line for name, task in tasks.items() for line in (f"{name}: {task}", *(f"  {c}" for c in task.lines))]
    runs = counted(sum(task.runs for task in tasks.values()), "run")
    return "\n".join([*lines, f"{counted(len(tasks), 'step')}, {runs}; nothing was run"])
