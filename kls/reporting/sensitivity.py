"""The table of a sensitivity study: networks down, initial standard deviations across."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from kls.aggregate.columns import short_names
from kls.aggregate.group_table import group_text, setting_label, shown_keys
from kls.aggregate.heat_grid import SIGMA
from kls.aggregate.summarise import Summary
from kls.aggregate.tables import Column, Table, setting_text
from kls.aggregate.varying import sort_key, varying

_MOST_COLUMNS = 8


def sensitivity_table(groups: pd.DataFrame, summary: Summary, all_columns: Sequence[str]) -> Table | None:
    """Mean ± sd (n) of each network at each sigma; None where sigma does not vary with something else."""
    keys = varying(groups, shown_keys(groups, summary))
    others = [key for key in keys if key != SIGMA]
    sigmas = sorted(groups[SIGMA].unique(), key=sort_key, reverse=True) if SIGMA in keys else []
    if not others or not 1 < len(sigmas) <= _MOST_COLUMNS:
        return None
    heads = short_names([SIGMA, *others], all_columns)
    cells: dict[str, dict[str, str]] = {}
    for _, group in groups.iterrows():
        row = ", ".join(setting_label(heads[key], group[key]) for key in others)
        cells.setdefault(row, {})[setting_text(group[SIGMA])] = group_text(summary.metric, group)
    rows = sorted(cells)
    columns = [Column("network" if "model" in others else ", ".join(heads[key] for key in others), rows)]
    for sigma in sigmas:
        text = setting_text(sigma)
        columns.append(Column(f"{heads[SIGMA]} {text}", [cells[row].get(text, "-") for row in rows], number=True))
    return Table(columns, [])
