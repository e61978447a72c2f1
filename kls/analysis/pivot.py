"""Scores taken from groups: all as the cells of a table, or those of one group, chosen by its settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from kls.analysis.columns import equal_to, sort_key
from kls.analysis.groups import Groups, Sample, group_runs, refuse_several
from kls.analysis.runs import SECTION, Runs
from kls.analysis.wording import listed, setting_label, setting_text
from kls.errors import UserError


@dataclass(frozen=True)
class Pivot:
    """For each row and column the scores of a group, or None; places: its row in the table of groups, or -1.

    rows: labels, of the settings that differ among rows with the same values before them. columns: the values of the
    setting across, as texts; values: as they are; head: its short name.
    """

    rows: list[str]
    columns: list[str]
    cells: list[list[Sample | None]]
    places: list[list[int]]
    values: list[Any]
    head: str


def pivot(groups: Groups, rows: Sequence[str], columns: str) -> Pivot:
    """Rows and columns in the order of their values, without groups that have no score.

    Raises UserError if a name is no column, and with what differs if several groups would share a cell.
    """
    runs = groups.runs
    keys = [runs.column(name) for name in (*rows, columns)]
    heads = [runs.heads([key])[key] for key in keys]
    samples = {i: sample for i in groups.table.index if (sample := groups.samples(i)).n}
    values, places = dict[Any, Any](), dict[tuple[tuple[int, Any], ...], int]()
    for i in samples:
        own = runs.frame.loc[groups.first[i], keys].tolist()
        place = tuple(map(sort_key, own))
        if place in places:
            refuse_several(groups, [places[place], i], "runs in one cell", [*SECTION, *groups.keys])
        places[place] = i
        values |= zip(place, own, strict=True)
    down, across = sorted({place[:-1] for place in places}), sorted({place[-1] for place in places})
    labels = []
    for row in down:
        telling = [k for k in range(len(row)) if len({other[k] for other in down if other[:k] == row[:k]}) > 1]
        labels.append(", ".join(setting_label(heads[k], values[row[k]]) for k in telling))
    table = [[places.get((*row, column), -1) for column in across] for row in down]
    cells, tried = [[samples.get(i) for i in line] for line in table], [values[column] for column in across]
    return Pivot(labels, [setting_text(value) for value in tried], cells, table, tried, heads[-1])


def select(
    runs: Runs, where: Mapping[str, Any], score: str, rank: int | None = None, near: Mapping[str, float] | None = None
) -> Sample:
    """The scores of the runs with the values `where`, which must differ in seeds alone.

    rank: takes, of several groups of one section, the one at this place by validation accuracy.
    near: settings with numbers; takes the runs whose value is the closest on a log scale.
    Raises UserError if a name is no column, no run is there, or if they are of several groups: it says what differs.
    """
    chosen, choice = pd.Series(True, index=runs.frame.index), list[str]()
    for name, value in where.items():
        chosen &= equal_to(runs.frame[runs.column(name)], value)
    for name, wanted in (near or {}).items():
        tried = pd.to_numeric(runs.frame.loc[chosen, runs.column(name)], errors="coerce")
        away = np.log(tried[tried > 0] / wanted).abs()
        chosen &= away.eq(away.min()).reindex(chosen.index, fill_value=False)
        choice += [f"nearest: {name} {setting_text(tried[away.idxmin()])}"] if len(away) else []
    given = listed([f"{key} = {setting_text(value)}" for key, value in where.items()])
    ours = f" with {given}" if given else ""
    if not chosen.any():
        raise UserError(f"no run{ours}" + "".join(f" has a {name} above 0" for name in near or ()))
    groups = group_runs(runs.chosen(chosen), score)
    found = groups.table.index[groups.table[f"{score}_n"] > 0].tolist()
    if len(found) < (rank or 1):
        raise UserError(f"{len(found) or 'no'} settings{ours} have a result, so none is number {rank or 1}")
    refuse_several(groups, found, f"the runs{ours}", SECTION if rank else [*SECTION, *groups.keys])
    place = found[(rank or 1) - 1]
    if len(found) > 1:
        which = "best" if rank == 1 else f"number {rank}"
        choice.append(f"{which} of {len(found)} by validation: {groups.labels()[place]}")
    return replace(groups.samples(place), label=", ".join(choice))
