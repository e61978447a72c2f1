"""Chooses what a heat map of the initial sigma shows: rows, columns and panels, and the mean in each cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kls.aggregate.columns import short_names
from kls.aggregate.group_table import setting_label
from kls.aggregate.summarise import Summary
from kls.aggregate.tables import score_scale, setting_text
from kls.aggregate.varying import DATA, determined, sort_key, varying
from kls.plots.heatmap import MOST_PANELS, HeatPanel

SIGMA = "model.init.sigma"
BATCH_NORM = "model.bn.enabled"

_MOST_VALUES = 12  # on an axis


@dataclass(frozen=True)
class HeatGrid:
    """Name and values of rows and columns, the panels, and the number of runs in all."""

    rows: tuple[str, list[str]]
    columns: tuple[str, list[str]]
    panels: list[HeatPanel]
    n: int


def heat_grid(groups: pd.DataFrame, summary: Summary, all_columns: Sequence[str]) -> HeatGrid | None:
    """Sigma across, batch norm (or the first other setting that varies) down, a panel for each value of the others.

    A group is a cell. None where sigma is the only setting that varies or does not, and where too many values
    do not make a map.
    """
    groups = groups[groups[f"{summary.metric}_n"] > 0]
    keys = [key for key in varying(groups, summary.keys) if key not in (*DATA, "evaluation.test")]
    others = sorted((key for key in keys if key != SIGMA), key=lambda key: key != BATCH_NORM)
    if SIGMA not in keys or not others:
        return None
    row_key, split = others[0], list[str]()
    for key in others[1:]:
        if not determined(groups, key, [SIGMA, row_key, *split]):
            split.append(key)
    rows, columns = (sorted(groups[key].unique(), key=sort_key) for key in (row_key, SIGMA))
    parts = [((), groups)] if not split else list(groups.groupby(split, dropna=False, sort=False))
    if len(parts) > MOST_PANELS or max(len(rows), len(columns)) > _MOST_VALUES:
        return None
    heads = short_names([SIGMA, row_key, *split], all_columns)
    panels = []
    for values, part in parts:
        title = ", ".join(setting_label(heads[key], value) for key, value in zip(split, values, strict=True))
        means, counts = np.full((len(rows), len(columns)), np.nan), np.zeros((len(rows), len(columns)), dtype=int)
        cells = part[[row_key, SIGMA, f"{summary.metric}_mean", f"{summary.metric}_n"]]
        for row, column, mean, n in cells.itertuples(index=False, name=None):
            cell = rows.index(row), columns.index(column)
            means[cell], counts[cell] = score_scale(summary.metric) * mean, n
        panels.append(HeatPanel(title, means, counts))
    return HeatGrid(
        (heads[row_key], [setting_text(value) for value in rows]),
        (heads[SIGMA], [setting_text(value) for value in columns]),
        panels,
        int(groups[f"{summary.metric}_n"].sum()),
    )
