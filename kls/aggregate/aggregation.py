"""From folders of runs to tables, pictures and the text that is printed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from kls.aggregate import write
from kls.aggregate.collect import Collection, collect
from kls.aggregate.columns import find_column
from kls.aggregate.document import MARKDOWN_ROWS, Block, Heading, Line, as_markdown, as_text
from kls.aggregate.group_table import group_table, shown_keys
from kls.aggregate.ordering import Ordering
from kls.aggregate.pictures import Gallery
from kls.aggregate.sections import Section, data_blocks, sections, status_counts, sweep_blocks, trouble_blocks
from kls.aggregate.summarise import Summary, summarise
from kls.aggregate.tables import score_name
from kls.aggregate.varying import RunTable, is_number, run_table
from kls.aggregate.where import parse_where
from kls.errors import UserError
from kls.plots.comparison import MOST_CURVES
from kls.records import names
from kls.records.escape import shortened

_MOST_GALLERIES = 4  # data sets that get pictures
_MOST_TOP = 10_000


@dataclass(frozen=True)
class Wishes:
    """The options; empty or None where not given."""

    by: Sequence[str] = ()
    metric: str | None = None
    where: str | None = None
    sort: str | None = None
    top: int = 5
    curves: int = 5


def aggregate(paths: Sequence[Path], out: Path | None, wishes: Wishes, warn: Callable[[str], None]) -> str:
    """Read all runs under ``paths``, write tables and pictures to ``out``, if given, and return the printed text.

    ``warn`` gets a line for each folder that cannot be read. Raises UserError where nothing is found, where a
    name is no column, or where ``out`` cannot be written to.
    """
    if not 1 <= wishes.top <= _MOST_TOP or not 0 <= wishes.curves <= MOST_CURVES:
        given = shortened(f"top={wishes.top}, curves={wishes.curves}")
        raise UserError(f"{given}: top must be 1 to {_MOST_TOP:,}, curves 0 to {MOST_CURVES}")
    found = collect(paths, warn)
    table = run_table(found.runs)
    if wishes.where is not None:
        found, table = _chosen(found, table, wishes.where)
    summary = summarise(table, wishes.by, _metric(wishes.metric, found, table))
    stages = list(dict.fromkeys(stage.name for sweep in found.sweeps.values() for stage in sweep.stages))
    ordering = Ordering(wishes.sort, list(table.frame.columns), stages)
    parts = sections(table, summary, stages)
    blocks: list[Block] = [Heading(f"Runs of {', '.join(path.as_posix() for path in paths)}", 1)]
    for name, sweep in found.sweeps.items():
        if (table.frame["sweep"] == name).any():
            blocks += sweep_blocks(name, sweep, table.frame, summary)
    if len(parts) != 1 or len(parts[0].runs) < len(found.runs):
        blocks.append(Line(f"{status_counts(table.frame)}, in all."))
    latex, pictures = [], list[str]()
    with write.into(out):
        for number, section in enumerate(parts, start=1):
            ordered = ordering.groups(section.groups, shown_keys(section.groups, summary))
            blocks += data_blocks(section, table, summary, wishes.top, ordered)
            latex.append(_latex(section, ordered, table, summary, number))
            if out is not None and number <= _MOST_GALLERIES:
                gallery = Gallery(out, number, section, summary, found.runs, table, found.sweeps, warn)
                drawn = gallery.draw(wishes.curves)
                pictures += [picture.file_name for picture in drawn]
                blocks += drawn
        blocks += trouble_blocks(table.frame)
        if out is None:
            return f"{as_text(blocks)}\n\nnothing is written; --out FOLDER writes these tables, and pictures"
        runs = table.tidy().loc[ordering.runs(table.frame).index]
        groups = summary.groups.loc[[label for part in parts for label in part.groups.index]]
        write.write_tables(out, runs, groups, as_markdown(blocks), "\n".join(latex))
        write.remove_pictures(out, pictures)
    return f"{as_text(blocks)}\n\nwritten to {out}: {', '.join([*write.TABLES, *pictures])}"


def _chosen(found: Collection, table: RunTable, where: str) -> tuple[Collection, RunTable]:
    columns = list(table.frame.columns)
    condition = parse_where(where, columns)
    records = table.frame.itertuples(index=False, name=None)
    rows = [i for i, row in enumerate(records) if condition(dict(zip(columns, row, strict=True)))]
    if not rows:
        raise UserError(f"--where {shortened(repr(where))}: none of the {len(found.runs):,} runs is so")
    return Collection([found.runs[i] for i in rows], found.sweeps), table.chosen(rows)


def _metric(wish: str | None, found: Collection, table: RunTable) -> str:
    """The score asked for, else that of the sweep, else validation accuracy."""
    if wish is None:
        return next((sweep.metric for sweep in found.sweeps.values() if sweep.metric), names.VAL_ACCURACY)
    numeric = [metric for metric in table.metrics if table.frame[metric].map(is_number).any()]
    return find_column(wish, numeric)


def _latex(section: Section, ordered: pd.DataFrame, table: RunTable, summary: Summary, number: int) -> str:
    rows = group_table(ordered.head(MARKDOWN_ROWS), summary, list(table.frame.columns))
    caption = f"{score_name(summary.metric)}: mean ± standard deviation (n runs) on {section.name}"
    caption += f", fingerprint {section.fingerprint}" + "".join(f"; {line}" for line in rows.constant_line)
    return rows.latex(caption, f"tab:groups-{number}")
