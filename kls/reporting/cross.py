"""Finding: mean scores over one setting across and others down: a table, a heat map, and where each column is best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kls.aggregate.columns import find_column, short_names
from kls.aggregate.document import Block, Grid, Line, Picture
from kls.aggregate.group_table import setting_label
from kls.aggregate.tables import Column, Table, score_label, score_scale, setting_text
from kls.aggregate.varying import DATA, sort_key
from kls.errors import UserError
from kls.plots.heatmap import HeatPanel, plot_heatmap
from kls.reporting.results import Runs
from kls.reporting.selection import same_as
from kls.reporting.wording import capital, mean_said, name_of, values_said
from kls.studies.definition import Cross

Cells = Mapping[tuple[str, Any], np.ndarray]  # scores as shown, by row and value of the setting


def cross(finding: Cross, runs: Runs, folder: Path, stem: str) -> tuple[str, list[Block]]:
    """A sentence for each value of the setting, the table and the heat map. Raises UserError without two rows."""
    frame, score = runs.table.frame, finding.score
    columns = list(frame.columns)
    key, *by = (find_column(name, columns) for name in (finding.setting, *finding.by))
    if score not in frame:
        raise UserError(f"no run has a {score}")
    values = score_scale(score) * runs.summary(score).values[score].dropna()
    frame = frame.loc[values.index]
    heads = short_names([key, *by], columns)
    rows = _rows(frame, by, heads)
    if len(rows) < 2:
        raise UserError(f"{' and '.join(heads[name] for name in by)}: fewer than two values have results")
    places = sorted(frame[key].unique(), key=sort_key)
    cells = {
        (label, place): values[own & same_as(frame[key], place)].to_numpy()
        for label, own in rows.items()
        for place in places
    }
    data = ", ".join(map(str, frame[DATA[0]].unique()))
    sentences = [_extremes(score, f"{heads[key]} {setting_text(p)}", {r: cells[r, p] for r in rows}) for p in places]
    said = f"{capital(finding.what)}, {name_of(score)} on {data}: {'; '.join(sentences)}."
    return said, _shown(finding, heads[key], list(rows), places, cells, data, folder, stem)


def _rows(frame: pd.DataFrame, by: Sequence[str], heads: Mapping[str, str]) -> dict[str, pd.Series[bool]]:
    """Which runs belong to each combination; it is told by the settings that vary under those before them."""
    rows: dict[str, pd.Series[bool]] = {}

    def descend(own: pd.Series[bool], left: Sequence[str], told: Sequence[str]) -> None:
        if not left:
            rows[", ".join(told)] = own
            return
        values = sorted(frame.loc[own, left[0]].unique(), key=sort_key)
        for value in values:
            label = [setting_label(heads[left[0]], value)] if len(values) > 1 else []
            descend(own & same_as(frame[left[0]], value), left[1:], [*told, *label])

    descend(pd.Series(True, index=frame.index), by, [])
    return rows


def _extremes(score: str, where: str, scores: Mapping[str, np.ndarray]) -> str:
    """For example "at batch_size 20 it is highest with ..., 50.2 ± 0.3 %, and lowest with ..., 41.0 ± 2.0 %"."""
    there = {label: values for label, values in scores.items() if values.size}
    best, worst = (pick(there, key=lambda label: float(there[label].mean())) for pick in (max, min))
    high, low = (f"{label}, {mean_said(score, there[label])}" for label in (best, worst))
    return f"at {where} it is highest with {high}" + (f", and lowest with {low}" if best != worst else "")


def _shown(
    finding: Cross, head: str, rows: Sequence[str], places: Sequence[Any], cells: Cells, data: str, folder: Path,
    stem: str,
) -> list[Block]:  # fmt: skip
    score, across = finding.score, [setting_text(place) for place in places]
    columns = [Column("", list(rows))]
    for place, text in zip(places, across, strict=True):
        told = [values_said(score, cells[row, place]) if cells[row, place].size else "-" for row in rows]
        columns.append(Column(f"{head} {text}", told, number=True))
    counts = np.array([[cells[row, place].size for place in places] for row in rows])
    means = np.array([[cells[row, p].mean() if cells[row, p].size else np.nan for p in places] for row in rows])
    name, title = f"{stem}cross.png", capital(finding.what)
    plot_heatmap([HeatPanel("", means, counts)], ("", rows), (head, across), score_label(score), folder / name, title)
    low, high = float(np.nanmin(means)), float(np.nanmax(means))
    caption = f"{title}: {name_of(score)} on {data}, means from {low:.4g} to {high:.4g}. Darker is higher."
    picture = Picture(name, caption, f"Heat map of mean {name_of(score)} against {head}", folder)
    return [Line(f"{title}, mean ± sd:"), Grid(Table(columns, [])), picture]
