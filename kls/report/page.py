"""The page on any folders of runs, and the blocks that it shares with summaries and with the pages of studies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from kls.analysis.columns import determined, differing
from kls.analysis.groups import Groups, group_runs, sections
from kls.analysis.runs import Runs, read_runs
from kls.analysis.tables import group_table, paper_table, rows_table
from kls.analysis.wording import counted, listed, sample_text, score_name, setting_label
from kls.config.flat_settings import SEEDS
from kls.data.sources import source_named
from kls.records import names
from kls.records.run_metrics import STATUSES
from kls.records.sweep_stages import Sweep
from kls.report.document import MOST_ROWS, Block, Details, Heading, List, Paragraph, TableBlock
from kls.report.optimum import optimum_blocks
from kls.report.output import write_report
from kls.report.pictures import search_pictures, section_pictures
from kls.report.provenance import command_blocks, machine_blocks, settings_blocks, sweep_commands

MOST_SECTIONS, MOST_PICTURED = 40, 20  # told of whole, and with pictures
MOST_SIDE_BY_SIDE = 500  # groups in tables with a column a model; a row a value is no table to read

_NOT_SAID = (*SEEDS, "evaluation.test")


@dataclass(frozen=True)
class Options:
    """What tables and pictures show: the options of `kls.aggregate`. score: by default the `Runs.objective`."""

    by: Sequence[str] = ()
    score: str | None = None
    where: str | None = None
    sort: str | None = None
    top: int = 5
    curves: int = 8


USUAL = Options()


def write_runs_page(paths: Sequence[Path], out: Path, title: str | None = None) -> Path:
    """Write report.html, report.md and their pictures to ``out``, of all runs below ``paths``.

    title: by default the names of the sweeps or folders. Returns the path of the page. Raises UserError if there are no
    runs, or ``out`` cannot be written to.
    """
    runs = read_runs(paths)
    of = [sweep.called or name for name, sweep in runs.sweeps.items()] or [path.resolve().name for path in paths]
    words = title or f"Runs of {listed(list(dict.fromkeys(of)))}"

    found = grouped(runs)
    begin = [Heading(words, 1), *banner([runs]), Heading("Summary", 2, "summary"), List(_summary(runs, found))]
    begin.append(Heading("Runs", 2, "runs"))
    end = [*settings_blocks([("", runs)]), *command_blocks(sweep_commands(runs)), *machine_blocks([runs])]
    return write_report(out, words, lambda folder: [*begin, *runs_blocks(runs, found, folder, "report-"), *end])


def banner(several: Sequence[Runs]) -> list[Block]:
    """A warning if runs are on made-up data, or on less than half of a data set's training part."""
    columns = ["data", "n_train", "n_val"]
    frame = pd.concat([pd.DataFrame(columns=columns), *(runs.frame for runs in several)])[columns].dropna()
    sources = {name: source_named(name) for name in frame["data"].unique()}
    made_up = [name for name, source in sources.items() if source and source.made_up]
    if made_up:
        return [Paragraph(f"Runs on made-up data, {listed(made_up)}, are no results on real data.", "banner")]
    blocks = list[Block]()
    for name, source in sources.items():
        used = (frame["n_train"] + frame["n_val"])[frame["data"] == name].max()
        if source and source.n_train and used < source.n_train / 2:
            part = f"{used:,} of {source.n_train:,} {source.kind}"
            blocks.append(Paragraph(f"These runs use {part}: a trial, no results on all of {name}.", "banner"))
    return blocks


def _summary(runs: Runs, found: Sequence[tuple[str, Groups]]) -> list[str]:
    """How many runs, what differs, and the best group of each section."""
    heads = runs.heads(key for key in runs.differing() if key not in _NOT_SAID).values()
    first = f"{status_counts(runs)}; {f'they differ in {listed(list(heads))}' if heads else 'only seeds differ'}."
    return [first, *_best_lines(runs, found)]


def _best_lines(runs: Runs, found: Sequence[tuple[str, Groups]]) -> list[str]:
    """The best group of each section that has one."""
    lines = []
    for section, groups in found:
        groups = groups if groups.score == groups.runs.objective else group_runs(groups.runs)
        if (best := _best(groups)) != "-":
            label = groups.labels()[0] if len(groups.table) > 1 else _shared(groups, runs) or "all runs"
            tied = int(groups.ties["tied"].sum()) - 1
            more = f"; {counted(tied, 'other group')} not told apart from it" if tied > 0 else ""
            lines.append(f"{section}: best {score_name(groups.score)} {best}, {label}{more}.")
    return lines


def _best(groups: Groups) -> str:
    return sample_text(groups.samples(0)) if len(groups.table) and groups.samples(0).n else "-"


def _shared(groups: Groups, runs: Runs) -> str:
    """What all groups have in common and not all the runs, such as "confirm, lam 0.01"."""
    heads = runs.heads(["stage", "model", *runs.differing()])
    without = {*_NOT_SAID, *differing(groups.runs.coded, heads)}
    keys = [key for key in differing(runs.coded, heads) if key not in without]
    keys = [key for key in keys if not key.startswith("model.") or not determined(runs.coded, key, ["model"])]
    first = groups.runs.frame.iloc[0]
    return ", ".join(setting_label(heads[key], first[key]) for key in keys if first[key] is not None)


def status_counts(runs: Runs) -> str:
    """For example "12 runs: 10 finished, 2 failed"."""
    counts = runs.frame[names.STATUS].value_counts()
    return f"{counted(len(runs.frame), 'run')}: {', '.join(f'{counts[s]:,} {s}' for s in STATUSES if s in counts)}"


def grouped(runs: Runs, options: Options = USUAL) -> list[tuple[str, Groups]]:
    """The groups of each section, with its name."""
    score = options.score or runs.objective
    return [(section.name, group_runs(section.runs, score, options.by)) for section in sections(runs)]


def runs_blocks(
    runs: Runs, found: Sequence[tuple[str, Groups]], folder: Path | None, stem: str, options: Options = USUAL,
    level: int = 3,
) -> list[Block]:  # fmt: skip
    """Tables and pictures of runs, under headings of that level, for each sweep and for each section ``found``.

    The pictures go to ``folder``, if given, under names that begin with ``stem``.
    """
    blocks, score = list[Block](), options.score or runs.objective
    told, rest = runs, found[MOST_SECTIONS:]
    if rest:
        paths = [path for _, groups in found[:MOST_SECTIONS] for path in groups.runs.frame["path"]]
        told = runs.chosen(runs.frame["path"].isin(paths))
        words = f"Shown are {MOST_SECTIONS} of {len(found):,} parts by data, sweep and epochs, and the best of each"
        blocks.append(Paragraph(f"{words} other below. Aggregated alone, the folder of a sweep is shown whole."))
    for name, sweep in told.sweeps.items():
        blocks += _sweep_blocks(name, sweep, told, level)
    blocks += search_pictures(told, folder, stem, score, MOST_PICTURED) if folder else []
    blocks += optimum_blocks(told, score, level)
    for number, (section, groups) in enumerate(found[:MOST_SECTIONS], start=1):
        own = f"{stem}{number}-" if number > 1 else stem
        shared = f" In common: {text}." if (text := _shared(groups, runs)) else ""
        blocks += [Heading(section, level), Paragraph(f"{status_counts(groups.runs)}.{shared}", "note")]
        blocks += _tables(groups, options) if len(groups.table) else []
        if folder and number <= MOST_PICTURED:
            blocks += section_pictures(groups, folder, own, section, options.curves)
    if rest:
        blocks += [Heading(f"The best of {len(rest):,} other parts", level), List(_best_lines(runs, rest))]
    bad = runs.frame[~runs.frame[names.STATUS].isin((names.FINISHED, names.PRUNED))]
    parts = bad.reindex(columns=["folder", names.STATUS, names.MESSAGE]).itertuples(index=False, name=None)
    lines = [": ".join(part for part in row if isinstance(part, str)) for row in parts]
    trouble = {"Runs that diverged or have no result": lines, "What could not be read": runs.warnings}
    return [*blocks, *(Details(words, [List(lines)]) for words, lines in trouble.items() if lines)]


def _sweep_blocks(name: str, sweep: Sweep, runs: Runs, level: int) -> list[Block]:
    """The stages, and a line for each best value at an end of its interval that no later stage searched again."""
    own, rows, edges = runs.chosen(runs.frame["sweep"] == name), list[dict[str, str]](), list[Block]()
    ended = [(i, stage) for i, stage in enumerate(sweep.stages) if stage.status == names.FINISHED]
    last = {key: i for i, stage in ended for key, part in stage.params.items() if len(part.values or "ab") > 1}
    for i, stage in enumerate(sweep.stages):
        part = own.chosen(own.frame["stage"] == stage.name)
        edges += [Paragraph(f"EDGE: stage {stage.name}: {e}") for e in stage.edge if last.get(e.split(":")[0], i) <= i]
        if len(part.frame):
            known = {"stage": stage.name, "status": stage.status or "-", "sampler": stage.sampler or "-"}
            runs_text = f"{len(part.frame):,}" + (f" of {stage.n_runs:,}" if stage.n_runs else "")
            searched = "; ".join(f"{key} {found.text}" for key, found in stage.params.items() if key not in SEEDS)
            known |= {"runs": runs_text, f"best {score_name(part.objective)}": _best(group_runs(part))}
            rows.append({**known, "searched": searched or "-"})
    where = f" in {name}" if len(runs.sweeps) > 1 else ""
    title = Heading(", ".join(filter(None, [f"Sweep {sweep.called or name}{where}", sweep.status])), level)
    return [title, *([TableBlock(rows_table(rows, ("status", "sampler", "searched")))] if rows else []), *edges]


def _tables(groups: Groups, options: Options) -> list[Block]:
    """The best groups and all groups, and models side by side if they differ in something else, too."""
    everything, n = groups.order(options.sort), len(groups.table)
    first = everything if options.sort and n <= options.top else range(min(n, options.top))
    blocks: list[Block] = [TableBlock(group_table(groups, first))]
    if n > options.top:
        begin = Paragraph(f"Best {options.top} of {n:,} groups, by {score_name(groups.runs.objective)}:")
        words = f"All {n:,} groups"
        if n > MOST_ROWS:
            words = f"The {'first' if options.sort else 'best'} {MOST_ROWS} of {n:,} groups"
            words += f"; {names.GROUPS_TABLE} of kls aggregate has all"
            everything = everything[:MOST_ROWS] if options.sort else list(range(MOST_ROWS))
        blocks = [begin, *blocks, Details(words, [TableBlock(group_table(groups, everything))])]
    if "model" in groups.keys and len(groups.keys) > 1 and has_means(groups):
        blocks.append(Details("Models side by side", [TableBlock(paper_table(groups))]))
    return blocks


def has_means(groups: Groups) -> bool:
    """Whether any group has a mean of several runs, and there are few enough for a table with a column a model."""
    return len(groups.table) <= MOST_SIDE_BY_SIDE and bool((groups.table[f"{groups.score}_n"] > 1).any())
