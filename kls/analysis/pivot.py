"""Groups as the cells of a table: the values of one setting across, those of others down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kls.analysis.columns import sort_key
from kls.analysis.groups import Groups, Sample, refuse_several
from kls.analysis.runs import SECTION
from kls.analysis.wording import setting_label, setting_text

_Keys = tuple[tuple[int, Any], ...]  # of the values of a row


@dataclass(frozen=True)
class Pivot:
    """For each row and column a group, or none.

    Attributes:
        rows: labels, of the settings that differ among rows with the same values before them.
        columns: the values of the setting across, as texts; values: as they are; head: its short name.
        cells: the scores, None without a group; places: the rows of the groups in their table, -1 for none.
    """

    rows: list[str]
    columns: list[str]
    cells: list[list[Sample | None]]
    places: list[list[int]]
    values: list[Any]
    head: str


def pivot(groups: Groups, rows: Sequence[str], columns: str, score: str | None = None) -> Pivot:
    """Rows and columns in the order of their values, without groups that have no score.

    Raises UserError if a name is no column, and with what differs if several groups would share a cell.
    """
    runs = groups.runs
    keys = [runs.column(name) for name in (*rows, columns)]
    heads = [runs.heads([key])[key] for key in keys]
    samples = {i: sample for i in groups.table.index if (sample := groups.samples(i, score)).n}
    values, places = dict[Any, Any](), dict[_Keys, int]()
    for i in samples:
        own = runs.frame.loc[groups.first[i], keys].tolist()
        place = tuple(map(sort_key, own))
        refuse_several(groups, [places.get(place, i), i], "runs in one cell", [*SECTION, *groups.keys])
        places[place] = i
        values |= zip(place, own, strict=True)
    down, across = sorted({place[:-1] for place in places}), sorted({place[-1] for place in places})
    table = [[places.get((*row, column), -1) for column in across] for row in down]
    labels, tried = [_label(row, down, heads, values) for row in down], [values[column] for column in across]
    cells = [[samples.get(i) for i in line] for line in table]
    return Pivot(labels, [setting_text(value) for value in tried], cells, table, tried, heads[-1])


def _label(row: _Keys, rows: Sequence[_Keys], heads: Sequence[str], values: Mapping[Any, Any]) -> str:
    alike = [{other[i] for other in rows if other[:i] == row[:i]} for i in range(len(row))]
    parts = zip(heads, row, alike, strict=False)
    return ", ".join(setting_label(head, values[key]) for head, key, others in parts if len(others) > 1)
