"""The report of one study: what was asked, what came out, and all that shows it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kls.aggregate.document import Block, Heading, Items, Line
from kls.reporting.comparison import Compared, compare, counted
from kls.reporting.findings import Found, find
from kls.reporting.output import write_report
from kls.reporting.provenance import provenance_blocks
from kls.reporting.published import published_blocks
from kls.reporting.results import Results, StepResult
from kls.reporting.step_blocks import step_blocks
from kls.studies.definition import Study


def write_study_report(study: Study, out: Path) -> Path:
    """Write report.html, report.md and its pictures to <out>/<study.key>, from what the steps left below <out>/steps.

    Steps that have not been run are said to be missing. Returns the path of the page.
    Raises UserError where ``out`` is no folder or cannot be written to.
    """
    results = Results(out)
    return write_report(out / study.key, study.title, lambda folder: _blocks(study, results, folder))


def _blocks(study: Study, results: Results, folder: Path) -> list[Block]:
    steps = {step.name: results.step(step) for step in study.steps}
    found = find_all(study, steps, folder)
    compared = compare(study.published, steps)
    blocks: list[Block] = [Heading(study.title, 1), Heading("Summary", 2, "summary")]
    blocks += summary_blocks(study, list(steps.values()), found, compared)
    blocks += published_blocks(compared, folder)
    blocks.append(Heading("What was measured", 2, "steps"))
    for result in steps.values():
        blocks += step_blocks(result, found, folder)
    if study.known:
        blocks += [Heading("Where text and code differ", 2, "known"), Line(study.known)]
    named = [(name, result.runs) for name, result in steps.items() if result.runs is not None]
    return [*blocks, *provenance_blocks(named, list(steps.values()))]


def find_all(study: Study, steps: dict[str, StepResult], folder: Path) -> list[Found]:
    """All findings of steps that have been run; pictures go to ``folder``."""
    return [
        find(finding, steps[finding.step], folder, f"report-{steps[finding.step].step.folder}-{number}-")
        for number, finding in enumerate(study.findings, start=1)
        if steps[finding.step].is_there
    ]


def summary_blocks(
    study: Study, steps: Sequence[StepResult], found: Sequence[Found], compared: Sequence[Compared]
) -> list[Block]:
    """What was asked, what came out in numbers, and what is missing."""
    lines = [finding.sentence for finding in found]
    if study.published:
        lines.insert(0, counted(compared))
    blocks: list[Block] = [Line(study.asked)]
    blocks += [Items(lines)] if lines else []
    absent = [result.step.name for result in steps if not result.is_there]
    partly = [result.step.name for result in steps if result.is_there and result.missing is not None]
    if absent:
        blocks.append(Line(f"Not run yet, so that nothing is said of it: {', '.join(absent)}."))
    if partly:
        blocks.append(Line(f"Not complete: {', '.join(partly)}."))
    return blocks
