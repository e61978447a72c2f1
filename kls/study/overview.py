"""The overview: what studies published of the same networks, their searches, and what each of them found."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from kls.analysis.tables import rows_table
from kls.analysis.wording import counted, duration, is_accuracy
from kls.config.study_file import Optimum, Study
from kls.errors import UserError
from kls.report.document import Block, Heading, Links, List, Paragraph, TableBlock
from kls.report.output import write_report
from kls.report.provenance import machine_blocks
from kls.study.findings.optimum import best_of
from kls.study.page import Part, part_of, study_banner, summary_blocks, times_block
from kls.study.published import INSIDE, Compared, counts_text, figure_text, full_name, published_picture
from kls.study.results import Results, StepResult

_TITLE = "Overview of the studies"
_SEARCHES = (
    "Epochs: those of all runs before the confirmation. Best value: the highest point of a smooth curve through all "
    "trials of the longest training of the search. Again: the value that was chosen, with several seeds."
)


def write_overview(studies: Sequence[Study], out: Path) -> Path:
    """Write <out>/report.html, report.md and pictures, from what the steps left in <out>/steps.

    Returns the path of the page. Raises UserError if ``out`` is no folder or cannot be written to.
    """
    results = Results(out)
    return write_report(out, _TITLE, lambda folder: _blocks([part_of(s, results, folder) for s in studies], folder))


def _blocks(parts: Sequence[Part], folder: Path) -> list[Block]:
    steps = list({result.step.folder: result for part in parts for result in part.steps.values()}.values())
    everything = [c for part in parts for c in part.compared]
    links = []
    for part in parts:
        counts = f": {counts_text(part.compared)}" if part.compared else ""
        links.append((part.study.title, f"{part.study.key}/report", counts))
    blocks: list[Block] = [Heading(_TITLE, 1), *study_banner(steps), Heading("Summary", 2, "summary")]
    blocks.append(List([*([counts_text(everything)] if everything else []), _ran(steps)]))
    blocks += [Links(links), *_shared(parts, folder), *_searches(parts)]
    seen = set[str]()
    for part in (part for part in parts if part.found):
        blocks += [Heading(part.study.title, 2, part.study.key), Paragraph(part.study.asked)]
        blocks += summary_blocks(part, counts=False)
        blocks += [block for found in part.found if found.sentence not in seen for block in found.blocks]
        seen |= {found.sentence for found in part.found}
    return [*blocks, *machine_blocks([result.runs for result in steps if result.runs is not None]), times_block(steps)]


def _ran(steps: Sequence[StepResult]) -> str:
    there = [result for result in steps if result.is_there]
    runs = counted(sum(len(result.runs.frame) for result in there if result.runs is not None), "run")
    checks = counted(sum(len(result.gradients) for result in there), "gradient check")
    time = duration(sum(result.record.seconds for result in there if result.record))
    return f"{len(there)} of {counted(len(steps), 'step')} have been run: {runs} and {checks}, in {time} of wall time."


def _shared(parts: Sequence[Part], folder: Path) -> list[Block]:
    """Accuracies of the same runs of ours that several studies published."""
    by_runs: dict[object, dict[str, list[Compared]]] = {}
    for part in parts:
        for c in part.compared:
            figure, where = c.figure, sorted((key, str(value)) for key, value in c.figure.where.items())
            runs = part.study.step(figure.step).folder, str(where), figure.rank, str(figure.near), figure.score
            if is_accuracy(figure.score):
                by_runs.setdefault(runs, {}).setdefault(part.study.key, []).append(c)
    shared = [by for by in by_runs.values() if len(by) > 1]
    studies = [part.study.key for part in parts if any(part.study.key in by for by in shared)]
    rows, named = list[dict[str, str]](), list[tuple[str, Compared]]()
    for by in shared:
        everything = [c for own in by.values() for c in own]
        what = min((full_name(c.figure) for c in everything), key=len)
        cells = {key: "; ".join(figure_text(c.figure) for c in by.get(key, [])) or "-" for key in studies}
        judged = [c.verdict == INSIDE for c in everything if c.expected.known]
        inside = f"{sum(judged)} of {len(judged)}"
        rows.append({"accuracy, %": what, **cells, "ours": everything[0].text, "inside ours": inside})
        named += [(f"{what}, {key}", own[0]) for key, own in by.items()]
    head, table = Heading("The same networks in several studies", 2, "shared"), TableBlock(rows_table(rows or [{}]))
    return [head, table, *published_picture(named, folder)] if rows else []


def _searches(parts: Sequence[Part]) -> list[Block]:
    rows = []
    for part in parts:
        for finding in part.study.findings:
            if isinstance(finding, Optimum) and (runs := part.steps[finding.step].runs) is not None:
                own = [f for f in part.study.published if (f.step, f.score) == (finding.step, "val_accuracy")]
                best = max(own, key=lambda figure: figure.published, default=None)
                published = f"{figure_text(best)}, {best.what}" if best else "-"
                with suppress(UserError):  # the sentence of the finding says it
                    rows.append({"study": part.study.key, **best_of(finding, runs)[1], "published best": published})
    head, note = Heading("The searches", 2, "searches"), Paragraph(_SEARCHES, "note")
    return [head, TableBlock(rows_table(rows, ["tried", "published best"])), note] if rows else []
