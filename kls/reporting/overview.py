"""The overview: several studies side by side, what they agree on, and the questions beyond them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from kls.aggregate.document import Block, Grid, Heading, Items, Line, Links
from kls.aggregate.tables import Column, Table
from kls.errors import UserError
from kls.reporting.comparison import Compared, compare, counted
from kls.reporting.learning import learning
from kls.reporting.optimum import Best, optimum
from kls.reporting.output import write_report
from kls.reporting.provenance import duration, machine_blocks
from kls.reporting.published import published_picture
from kls.reporting.results import Results, StepResult
from kls.reporting.shared import agreement_said, shared_quantities, shared_table
from kls.reporting.step_blocks import best_groups, heat_maps
from kls.reporting.study_report import find_all, summary_blocks
from kls.reporting.wording import capital, number, setting
from kls.studies.definition import Learning, Optimum, Study

BEYOND = ("questions", "best_mlp")  # studies that are shown with what they found

_TITLE = "Overview of the studies"


def write_overview(studies: Sequence[Study], out: Path) -> Path:
    """Write <out>/report.html, report.md and pictures, from what the steps left below <out>/steps.

    Returns the path of the page. Raises UserError where ``out`` is no folder or cannot be written to.
    """
    results = Results(out)
    return write_report(out, _TITLE, lambda folder: _blocks(studies, results, folder))


def _blocks(studies: Sequence[Study], results: Results, folder: Path) -> list[Block]:
    steps = {study.key: {step.name: results.step(step) for step in study.steps} for study in studies}
    compared = {study.key: compare(study.published, steps[study.key]) for study in studies}
    published = [study for study in studies if study.published]
    everything = [c for own in compared.values() for c in own]
    blocks: list[Block] = [Heading(_TITLE, 1), Heading("Summary", 2, "summary")]
    blocks.append(Items([*([counted(everything)] if everything else []), _ran(steps)]))
    blocks.append(Links([(study.title, f"{study.key}/report", _count(compared[study.key])) for study in studies]))
    blocks += _side_by_side(published, compared, folder)
    blocks += _searches(published, steps, compared)
    blocks += _learning(published, steps)
    for study in studies:
        if study.key in BEYOND and any(result.is_there for result in steps[study.key].values()):
            blocks += _beyond(study, steps[study.key], folder)
    unique = {result.folder: result for own in steps.values() for result in own.values()}
    named = [(result.step.folder, result.runs) for result in unique.values() if result.runs is not None]
    return [*blocks, *machine_blocks(named, [(result.step.folder, result) for result in unique.values()])]


def _ran(steps: Mapping[str, Mapping[str, StepResult]]) -> str:
    """How much has been run, in what time."""
    unique = {result.folder: result for own in steps.values() for result in own.values()}
    there = [result for result in unique.values() if result.is_there]
    runs = sum(len(result.runs.found.runs) for result in there if result.runs is not None)
    checks = sum(len(result.gradients) for result in there)
    seconds = [result.record.seconds for result in there if result.record.seconds is not None]
    time = f", in {duration(sum(seconds))} of wall time" if seconds else ""
    done = f"{runs:,} {'run' if runs == 1 else 'runs'} and {checks} gradient {'check' if checks == 1 else 'checks'}"
    return f"{len(there)} of {len(unique)} steps have been run: {done}{time}."


def _count(compared: Sequence[Compared]) -> str:
    return f": {counted(compared)}" if compared else ""


def _side_by_side(
    studies: Sequence[Study], compared: Mapping[str, Sequence[Compared]], folder: Path
) -> list[Block]:
    quantities = shared_quantities([(study, compared[study.key]) for study in studies])
    if not quantities:
        return []
    keys = [study.key for study in studies if any(study.key in quantity.compared for quantity in quantities)]
    blocks: list[Block] = [
        Heading("The same networks in several studies", 2, "shared"),
        Line("Published test accuracies in percent, validation where it says so, beside the same runs of ours."),
        Grid(shared_table(quantities, keys)),
    ]
    said = agreement_said(quantities)
    if said:
        blocks += [Line("Do the published figures agree with each other?"), Items(said)]
    named = [
        (f"{quantity.what}, {key}", own[0]) for quantity in quantities for key, own in quantity.compared.items()
    ]
    picture = published_picture(named, folder)
    return [*blocks, picture] if picture is not None else blocks


def _searches(
    studies: Sequence[Study], steps: Mapping[str, Mapping[str, StepResult]], compared: Mapping[str, Sequence[Compared]]
) -> list[Block]:
    """The optimum of each study's search."""
    rows: list[tuple[str, Best, str]] = []
    for study in studies:
        for finding in study.findings:
            runs = steps[study.key][finding.step].runs
            if isinstance(finding, Optimum) and runs is not None:
                try:
                    rows.append((study.key, optimum(finding, runs), _published_best(compared[study.key], finding.step)))
                except UserError:
                    continue  # said in the study's own report
    if not rows:
        return []
    confirmed = [best.confirmed[-1] if best.confirmed else None for _, best, _ in rows]
    columns = [
        Column("study", [key for key, *_ in rows]),
        Column("tried", [best.tried.removesuffix(" tried") for _, best, _ in rows]),
        Column("best", [f"{best.name} {setting(best.value)}" for _, best, _ in rows], number=True),
        Column("validation", [best.validation for _, best, _ in rows], number=True),
        Column("as good", [best.flat for _, best, _ in rows], number=True),
        Column("again: validation", [again.validation if again else "-" for again in confirmed], number=True),
        Column("again: test", [(again.test if again else None) or "-" for again in confirmed], number=True),
        Column("published best", [published for *_, published in rows]),
    ]
    words = (
        "As good: values tried that score within 0.5 points, or one standard deviation, of the best. Again: the best "
        "value with several seeds; only then is the test set looked at."
    )
    return [Heading("The searches", 2, "searches"), Grid(Table(columns, [])), Line(words, quiet=True)]


def _published_best(compared: Sequence[Compared], step: str) -> str:
    figures = [c.figure for c in compared if c.figure.step == step and c.figure.score == "val_accuracy"]
    best = max(figures, key=lambda figure: figure.published, default=None)
    return "-" if best is None else f"{number(best.score, best.published)}, {best.what}"


def _learning(studies: Sequence[Study], steps: Mapping[str, Mapping[str, StepResult]]) -> list[Block]:
    """Which networks learn; studies that share the runs share the sentence."""
    said: dict[str, list[str]] = {}
    for study in studies:
        for finding in study.findings:
            runs = steps[study.key][finding.step].runs
            if isinstance(finding, Learning) and runs is not None:
                try:
                    said.setdefault(learning(finding, runs)[0], []).append(study.key)
                except UserError:
                    continue
    if not said:
        return []
    lines = [f"{', '.join(keys)}: {sentence}" for sentence, keys in said.items()]
    return [Heading("Initial standard deviation", 2, "sensitivity"), Items(lines)]


def _beyond(study: Study, steps: Mapping[str, StepResult], folder: Path) -> list[Block]:
    """What a study found, and its tables and pictures; of steps without a finding the best groups."""
    found = find_all(study, dict(steps), folder)
    blocks: list[Block] = [Heading(study.title, 2, study.key)]
    blocks += summary_blocks(study, list(steps.values()), found, [])
    for result in steps.values():
        own = [block for finding in found if finding.step == result.step.name for block in finding.blocks]
        if result.runs is not None:
            own += heat_maps(result.runs, folder, f"report-{result.step.folder}-")
            own = own or best_groups(result.runs)
        if own:
            blocks += [Heading(capital(result.step.name.replace("_", " ")), 3), Line(result.step.what), *own]
    return blocks
