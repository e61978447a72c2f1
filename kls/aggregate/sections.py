"""What a report says: the sweep and its stages, then each data set with its best and all of its groups."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from kls.aggregate.document import Block, Grid, Heading, Items, Line
from kls.aggregate.group_table import group_table, group_text
from kls.aggregate.run_values import STATUSES
from kls.aggregate.summarise import COUNTED, Summary
from kls.aggregate.sweep_stages import SweepStages
from kls.aggregate.tables import Column, make_table, score_name
from kls.aggregate.varying import DATA, RunTable
from kls.records import names

_SPLITS = (("n_train", "training"), ("n_val", "validation"), ("n_test", "test"))


@dataclass(frozen=True)
class Section:
    """The runs on one data set: its name and fingerprint, the rows of its runs and those of its groups."""

    name: str
    fingerprint: str
    runs: pd.DataFrame
    groups: pd.DataFrame


def sections(table: RunTable, summary: Summary, stages: Sequence[str]) -> list[Section]:
    """One for each data set, that with the most runs first; in each the groups of the last of ``stages`` first.

    Later stages train for longer, with more seeds: their groups are not to be compared with those before.
    """
    place = {stage: -number for number, stage in enumerate(stages)}
    groups = summary.groups
    if "stage" in groups:
        groups = groups.loc[groups["stage"].map(lambda stage: place.get(stage, 0)).sort_values(kind="stable").index]
    found = []
    for (name, fingerprint), part in groups.groupby(list(DATA), dropna=False, sort=False):
        runs = table.frame[summary.group.isin(part.index)]
        found.append(Section(str(name), str(fingerprint), runs, part))
    return sorted(found, key=lambda section: -len(section.runs))


def sweep_blocks(name: str, sweep: SweepStages, runs: pd.DataFrame, summary: Summary) -> list[Block]:
    """The sweep's command, a table of its stages, and a loud line for each best value at the end of its interval."""
    blocks: list[Block] = [Heading(f"Sweep {name}" + (f", {sweep.status}" if sweep.status else ""), 2)]
    if sweep.overrides:
        blocks.append(Line(f"overrides: {' '.join(sweep.overrides)}"))
    by_stage = {stage.name: runs[(runs["sweep"] == name) & (runs["stage"] == stage.name)] for stage in sweep.stages}
    stages = [stage for stage in sweep.stages if len(by_stage[stage.name])]
    if stages:
        rows = [by_stage[stage.name] for stage in stages]
        columns = [
            Column("stage", [s.name for s in stages]),
            Column("status", [s.status or "-" for s in stages]),
            Column("sampler", [s.sampler or "-" for s in stages], 2),
            Column("runs", [_counted(part, s.trials) for part, s in zip(rows, stages, strict=True)], number=True),
            Column(f"best {score_name(summary.metric)}", [_best(part, summary) for part in rows], number=True),
        ]
        blocks.append(Grid(make_table(columns)))
        searched = [f"{stage.name} searched {text}" for stage in stages for text in stage.searched]
        blocks += [Items(searched)] if searched else []
    blocks += [Line(f"EDGE: stage {stage.name}: {edge}") for stage in sweep.stages for edge in stage.edge]
    return blocks


def data_blocks(section: Section, table: RunTable, summary: Summary, top: int, ordered: pd.DataFrame) -> list[Block]:
    """The data set, its best groups, and, where there are more, all of them in the order of ``ordered``."""
    runs, columns = section.runs, list(table.frame.columns)
    heading, n = data_set_said(section), len(section.groups)
    best = section.groups.head(top)
    by = score_name(summary.metric).removesuffix(" %")
    blocks: list[Block] = [Heading(heading, 2), Line(f"{status_counts(runs)}."), Line(explanation(runs, summary))]
    order = ", later stages first" if "stage" in best and best["stage"].nunique() > 1 else ""
    which = f"Best {len(best)} of {n:,} groups" if n > 1 else "The only group"
    blocks.append(Heading(f"{which}, by {by}{order}", 3))
    blocks.append(Grid(group_table(best, summary, columns)))
    if n > top:
        blocks += [Heading(f"All {n:,} groups", 3), Grid(group_table(ordered, summary, columns))]
    return blocks


def trouble_blocks(runs: pd.DataFrame) -> list[Block]:
    """Runs that diverged or have no result, each with its message."""
    troubled = runs[runs[names.STATUS].isin(COUNTED)]
    if troubled.empty:
        return []
    messages = troubled[names.MESSAGE] if names.MESSAGE in troubled else [None] * len(troubled)
    lines = [
        f"{folder}: {status}" + (f": {' '.join(str(message).split())}" if message else "")
        for folder, status, message in zip(troubled["folder"], troubled[names.STATUS], messages, strict=True)
    ]
    return [Heading("Runs that diverged or have no result", 2), Items(lines)]


def status_counts(runs: pd.DataFrame) -> str:
    """For example "12 runs: 10 finished, 2 failed"."""
    counts = [(status, int((runs[names.STATUS] == status).sum())) for status in STATUSES]
    parts = [f"{n:,} {status}" for status, n in counts if n]
    return f"{len(runs):,} {'run' if len(runs) == 1 else 'runs'}: {', '.join(parts)}"


def data_set_said(section: Section) -> str:
    """Name, fingerprint and numbers of pictures of the data set."""
    sizes = [(section.runs[key].dropna(), word) for key, word in _SPLITS if key in section.runs]
    pictures = ", ".join(f"{values.iloc[0]:,} {word}" for values, word in sizes if len(values))
    return f"{section.name}, fingerprint {section.fingerprint}" + (f": {pictures} pictures" if pictures else "")


def explanation(runs: pd.DataFrame, summary: Summary) -> str:
    """How the runs were averaged."""
    parts = [f"Mean ± standard deviation over n {'runs' if summary.mixed else 'seeds'}"]
    if summary.mixed:
        parts.append(f"averaged over seeds and {', '.join(summary.mixed)}")
    if (runs[names.STATUS] == names.DIVERGED).any():
        infinite = summary.metric.endswith(("loss", "cost"))
        parts.append("diverged runs count at chance level" + (", and their loss is infinite" if infinite else ""))
    if summary.repeated:
        parts.append(f"runs that repeat settings and seeds of another, left out of the means: {summary.repeated:,}")
    return "; ".join(parts) + "."


def _counted(runs: pd.DataFrame, planned: int | None) -> str:
    return f"{len(runs)} of {planned}" if planned and planned != len(runs) else str(len(runs))


def _best(runs: pd.DataFrame, summary: Summary) -> str:
    places = summary.group[runs.index]
    best = places[places >= 0].min()  # groups stand best first; NaN where there is none
    return "-" if math.isnan(best) else group_text(summary.metric, summary.groups.iloc[int(best)])
