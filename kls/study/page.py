"""The page of one study: what was asked, what came out, and all that shows it."""

import math
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from kls.analysis.statistics import holm
from kls.analysis.tables import rows_table
from kls.analysis.wording import capital, counted, duration, listed
from kls.config.study_file import Difference, Finding, Study
from kls.errors import UserError
from kls.report.document import Block, Details, Heading, List, Paragraph, Picture, TableBlock
from kls.report.output import write_report
from kls.report.page import banner, grouped, runs_blocks
from kls.report.provenance import command_blocks, machine_blocks, settings_blocks, sweep_commands
from kls.study.findings.common import Context
from kls.study.findings.comparison import comparison
from kls.study.findings.difference import difference, p_value
from kls.study.findings.learning import learning
from kls.study.findings.optimum import optimum
from kls.study.findings.plays import plays
from kls.study.findings.trend import trend
from kls.study.published import PUBLISHED_ON, Compared, compare, counts_text, published_blocks
from kls.study.results import Gradients, Results, StepResult

KINDS: dict[str, Callable[[Any, Any, Context], tuple[str, list[Block]]]] = {
    "difference": difference, "optimum": optimum, "learning": learning, "comparison": comparison, "trend": trend,
    "plays": plays,
}  # fmt: skip

_OF_ALL = "What the texts say of epochs, trials and seeds is of the whole study; these runs have the settings below."
_PARAMETERS = {"W": "weights", "b": "biases", "gamma": "gamma", "beta": "beta"}


class Found(NamedTuple):
    """What a finding of a step comes to: a sentence or several, and blocks that show it."""

    step: str
    sentence: str
    blocks: list[Block]


class Part(NamedTuple):
    """A study with what its steps have left, by their names, its published figures, and its findings."""

    study: Study
    steps: Mapping[str, StepResult]
    compared: list[Compared]
    found: list[Found]


def part_of(study: Study, results: Results, folder: Path) -> Part:
    """All there is of a study; the pictures of its findings go to ``folder``."""
    steps = {step.name: results.step(step) for step in study.steps}
    compared = [compare(figure, steps[figure.step]) for figure in study.published]
    return Part(study, steps, compared, find_all(study, steps, folder))


def find_all(study: Study, steps: Mapping[str, StepResult], folder: Path) -> list[Found]:
    """All findings of steps that have been run; pictures go to ``folder``. A sentence says what cannot be computed."""
    results = [(finding, steps[finding.step]) for finding in study.findings]
    both = [(finding, result.runs if result.plays is None else result.plays) for finding, result in results]
    there: list[tuple[Finding, Any]] = [(finding, left) for finding, left in both if left is not None]
    p = [p_value(finding, left) if isinstance(finding, Difference) else math.nan for finding, left in there]
    adjusted, found = holm(np.array(p, np.float64)), list[Found]()
    for number, ((finding, left), own) in enumerate(zip(there, adjusted.tolist(), strict=True), start=1):
        stem = f"report-{steps[finding.step].step.folder}-{number}-"
        try:
            context = Context(folder, stem, own, int(np.isfinite(adjusted).sum()))
            sentence, blocks = KINDS[finding.kind](finding, left, context)
        except UserError as error:
            subject = getattr(finding, "what", "") or f"{finding.kind} of {getattr(finding, 'setting', '')}"
            sentence, blocks = f"{capital(subject)}: not known, {error}.", []
        found.append(Found(finding.step, sentence, blocks))
    return found


def write_study_page(study: Study, out: Path) -> Path:
    """Write report.html, report.md and their pictures to <out>/<study.key>, from what the steps left in <out>/steps.

    Returns the path of the page. Raises UserError if ``out`` is no folder or cannot be written to.
    """
    results = Results(out)
    return write_report(out / study.key, study.title, lambda folder: _blocks(part_of(study, results, folder), folder))


def _blocks(part: Part, folder: Path) -> list[Block]:
    study, steps = part.study, part.steps.values()
    named = [(result.step.name, result.runs) for result in steps if result.runs is not None]
    blocks: list[Block] = [Heading(study.title, 1), *study_banner(steps), Paragraph(study.asked)]
    blocks += [Paragraph(f"Where text and code differ: {study.known}")] if study.known else []
    blocks += [Heading("Summary", 2, "summary"), *summary_blocks(part)]
    blocks += published_blocks(part.compared, folder) if part.compared else []
    for result in steps:
        name, stem = result.step.name, f"report-{result.step.folder}-"
        blocks += [Heading(capital(name.replace("_", " ")), 2, f"step-{name}"), Paragraph(result.step.what)]
        blocks += [Paragraph(result.missing)] if result.missing else []
        blocks += [block for found in part.found if found.step == name for block in found.blocks]
        blocks += runs_blocks(result.runs, grouped(result.runs), folder, stem) if result.runs is not None else []
        blocks += _gradient_blocks(result.gradients, folder, stem) if result.gradients else []
        blocks += [Details("What could not be read", [List(result.warnings)])] if result.warnings else []
    commands = list[str]()
    for result in steps:
        of_runs = sweep_commands(result.runs) if result.runs is not None else []
        commands += (result.record.commands if result.record else []) or of_runs
    blocks += [*settings_blocks(named), *command_blocks(commands), *machine_blocks([runs for _, runs in named])]
    return [*blocks, times_block(steps)]


def study_banner(results: Collection[StepResult]) -> list[Block]:
    """A warning if runs are not on CIFAR-10, or such as `banner` warns of, and so are not what is said of the study."""
    several = [result.runs for result in results if result.runs is not None]
    data = dict.fromkeys(name for runs in several for name in runs.frame["data"].dropna())
    other = [name for name in data if name != PUBLISHED_ON]
    text = f"Runs on {listed(other)} are no results on {PUBLISHED_ON}."
    warning = [Paragraph(text, "banner")] if other else banner(several)
    return [*warning, Paragraph(_OF_ALL, "banner")] if warning else []


def summary_blocks(part: Part, counts: bool = True) -> list[Block]:
    """Counts of verdicts, if wanted, and the findings as a list; and which steps are missing or not complete."""
    lines = [counts_text(part.compared)] if part.compared and counts else []
    lines += [found.sentence for found in part.found]
    absent = [result.step.name for result in part.steps.values() if not result.is_there]
    partly = [result.step.name for result in part.steps.values() if result.is_there and result.missing]
    blocks: list[Block] = [List(lines)] if lines else []
    blocks += [Paragraph(f"Not run yet, so that nothing is said of it: {', '.join(absent)}.")] if absent else []
    return blocks + ([Paragraph(f"Not complete: {', '.join(partly)}.")] if partly else [])


def times_block(results: Collection[StepResult]) -> TableBlock:
    """What each step holds, and its wall time."""
    rows = []
    for result in results:
        runs = counted(len(result.gradients), "check") if result.gradients else "not run"
        runs = runs if result.plays is None else counted(len(result.plays), "play")
        runs = runs if result.runs is None else f"{len(result.runs.frame):,}"
        time = duration(result.record.seconds) if result.record else "-"
        rows.append({"step": result.step.folder, "runs": runs, "wall time": time})
    return TableBlock(rows_table(rows))


def _gradient_blocks(checks: Sequence[Gradients], folder: Path, stem: str) -> list[Block]:
    """A table of all, a picture and a table of each; copies pictures to ``folder``, their names begin with ``stem``."""
    rows, pictures, tables = list[dict[str, str]](), list[Block](), list[Block]()
    for check in checks:
        name, table = check.label.replace("_", " "), pd.DataFrame(check.rows).set_index("parameter")
        errors, kinks = table["largest_error"].astype(float), table["on_a_kink"].astype(int).sum()
        worst, largest = str(errors.idxmax()), errors.groupby(errors.index.str.rstrip("0123456789")).max()
        row = {"network": name, "parameters": str(len(table))}
        for kind, words in _PARAMETERS.items():
            row[f"largest of {words}"] = f"{largest[kind]:.1e}" if kind in largest else "-"
        rows.append({**row, "worst parameter": worst, "entries on a kink": str(kinks)})
        if check.picture is not None:
            shutil.copyfile(check.picture, folder / f"{stem}{check.label}.png")
            caption = f"{capital(name)}: the largest relative error is {errors.max():.1e}, of {worst}."
            alt = f"Box plots of relative gradient errors of {name}, a box a parameter"
            pictures.append(Picture(f"{stem}{check.label}.png", caption, alt, folder))
        cells = [{head.replace("_", " "): _cell(text) for head, text in row.items()} for row in check.rows]
        tables.append(Details(f"Every parameter of {name}", [TableBlock(rows_table(cells))]))
    error = f"Relative error |ga - gn| / max(eps, |ga| + |gn|), {counted(len(checks), 'network')}"
    words = f"{error}: analytic gradients ga against central differences gn in float64."
    return [Paragraph(words), TableBlock(rows_table(rows, ["worst parameter"])), *pictures, *tables]


def _cell(text: str) -> str:
    try:
        return f"{float(text):.6g}"
    except ValueError:
        return text
