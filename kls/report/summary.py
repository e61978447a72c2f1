"""The tables and pictures of `kls.aggregate`, which a sweep writes at its end."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from kls.analysis.columns import find_column, in_order
from kls.analysis.groups import Groups, group_runs
from kls.analysis.runs import read_runs
from kls.analysis.tables import group_table, latex, paper_table
from kls.analysis.where import matching
from kls.errors import UserError
from kls.plots.learning_curves import MOST_CURVES
from kls.records import names
from kls.records.escape import csv_cell, shortened
from kls.records.own_files import LATEX_MARK, MARKDOWN_MARK
from kls.report.document import Block, Heading, render_markdown, render_text
from kls.report.output import write_files
from kls.report.page import USUAL, Options, banner, grouped, has_means, runs_blocks

LATEX = "summary.tex"

_PICTURES = re.compile(r"(\d+-)?(search|curves|means)(-\d+)?\.(png|svg|pdf)")
_MOST_TOP = 10_000
_ROWS = 10_000  # made texts at once


def aggregate(paths: Sequence[Path], out: Path | None = None, options: Options = USUAL) -> str:
    """Write runs.csv, summary.csv, summary.md, summary.tex and pictures of all runs below ``paths`` to ``out``.

    Returns the text to print, which is all if there is no ``out``. Raises UserError if there are no runs, an option
    is not valid, or ``out`` cannot be written to.
    """
    if not 1 <= options.top <= _MOST_TOP or not 0 <= options.curves <= MOST_CURVES:
        given = shortened(f"top={options.top}, curves={options.curves}")
        raise UserError(f"{given}: top must be 1 to {_MOST_TOP:,}, curves 0 to {MOST_CURVES}")
    runs = read_runs(paths)
    if options.where is not None:
        n, runs = len(runs.frame), runs.chosen(matching(runs.frame, options.where))
        if runs.frame.empty:
            raise UserError(f"--where {shortened(repr(options.where))}: none of the {n:,} runs is so")
    scores = list(dict.fromkeys([names.VAL_ACCURACY, *runs.scores]))
    score = find_column(options.score or runs.objective, scores)
    options, groups = replace(options, score=score), group_runs(runs, score, options.by)
    found = grouped(runs, options)
    sort = [runs.column(options.sort.removeprefix("-"))] if options.sort else []
    order = in_order(runs.frame, sort, (options.sort or "").startswith("-"))
    blocks: list[Block] = [Heading(f"Runs of {', '.join(path.as_posix() for path in paths)}", 1), *banner([runs])]

    def files(folder: Path) -> dict[str, str]:
        blocks.extend(runs_blocks(runs, found, folder, "", options, level=2))
        return {
            names.RUNS_TABLE: _csv(runs.tidy().loc[order]),
            names.GROUPS_TABLE: _csv(groups.table),
            names.SUMMARY: f"{MARKDOWN_MARK}\n\n{render_markdown(blocks)}",
            LATEX: "\n".join([LATEX_MARK, *(_paper(*part, options) for part in found)]),
        }

    if out is None:
        blocks += runs_blocks(runs, found, None, "", options, level=2)
        return f"{render_text(blocks)}\n\nnothing is written; --out FOLDER writes these tables, and pictures"
    written = write_files(out, _PICTURES, files)
    return f"{render_text(blocks)}\n\nwritten to {out}: {', '.join(written)}"


def _paper(section: str, groups: Groups, options: Options) -> str:
    """Models as columns and settings as rows, if there are means; else the best groups."""
    if not options.by and has_means(groups):
        return latex(paper_table(groups), section)
    table = group_table(groups, groups.table.index[: options.top].tolist())
    return latex(table, section, f"{section}. {table.note}")


def _csv(frame: pd.DataFrame) -> str:
    """All digits; no cell is a formula."""
    texts = []
    for first in range(0, max(len(frame), 1), _ROWS):
        cells = frame.iloc[first : first + _ROWS].astype(object).map(csv_cell).rename(columns=csv_cell)
        texts.append(cells.to_csv(index=False, header=first == 0, lineterminator="\n"))
    return "".join(texts)
