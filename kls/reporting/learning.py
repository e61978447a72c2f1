"""Finding: at which values of a setting networks learn, and at which they stay at chance."""

from __future__ import annotations

from typing import Any

import numpy as np

from kls.aggregate.columns import find_column, short_names
from kls.aggregate.document import Block, Grid, Line
from kls.aggregate.tables import Column, Table, score_scale, setting_text
from kls.aggregate.varying import DATA, sort_key
from kls.errors import UserError
from kls.reporting.results import Runs
from kls.reporting.selection import same_as
from kls.reporting.wording import LEARNT, capital, is_accuracy, listed, name_of
from kls.studies.definition import Learning


def learning(finding: Learning, runs: Runs) -> tuple[str, list[Block]]:
    """The sentences, and a table of means with the number of runs that learn. Raises UserError without results."""
    if not is_accuracy(finding.score):
        raise UserError(f"{finding.score} is no accuracy, so it has no chance level")
    frame = runs.table.frame
    key, by = (find_column(name, list(frame.columns)) for name in (finding.setting, finding.by))
    values = score_scale(finding.score) * runs.summary(finding.score).values[finding.score].dropna()
    if values.empty:
        raise UserError("no run has a result yet")
    frame = frame.loc[values.index]
    heads = short_names([key, by], list(frame.columns))
    settings = sorted(frame[key].unique(), key=sort_key, reverse=True)
    kinds = sorted(frame[by].unique(), key=sort_key)
    cells = {
        (kind, setting): values[same_as(frame[by], kind) & same_as(frame[key], setting)].to_numpy()
        for kind in kinds
        for setting in settings
    }
    sentences = [
        _sentence(
            _kind(heads[by], kind),
            heads[key],
            {setting_text(s): cells[kind, s] for s in settings if cells[kind, s].size},
        )
        for kind in kinds
    ]
    columns = [Column(heads[by], [_kind(heads[by], kind) for kind in kinds])]
    for setting in settings:
        texts = [_cell(cells[kind, setting]) for kind in kinds]
        columns.append(Column(f"{heads[key]} {setting_text(setting)}", texts, number=True))
    data = ", ".join(map(str, frame[DATA[0]].unique()))
    explained = (
        f"How many runs learn, which is to end above {LEARNT:g} % {name_of(finding.score)} on {data}, 2 points above "
        f"chance:"
    )
    return " ".join(sentences), [Line(explained), Grid(Table(columns, []))]


def _kind(head: str, value: Any) -> str:
    """A model speaks for itself, batch norm is said in words."""
    if isinstance(value, bool):
        return (
            f"{'with' if value else 'without'} batch norm" if head == "bn.enabled" else f"{head} {str(value).lower()}"
        )
    return str(value) if head == "model" else f"{head} {setting_text(value)}"


def _sentence(kind: str, setting: str, cells: dict[str, np.ndarray]) -> str:
    """For example "3layer learns at sigma 0.1 (5 of 5 runs) and stays at chance at 0.001 and 0.0001 (0 of 10)."."""
    counts = {value: (int((scores > LEARNT).sum()), scores.size) for value, scores in cells.items()}
    n = sum(size for _, size in counts.values())
    every = (
        f"every {setting} ({listed(list(counts))}; {n} runs)" if len(counts) > 1 else f"{setting} {next(iter(counts))}"
    )
    if all(learnt == size for learnt, size in counts.values()):
        return capital(f"{kind} learns at {every}.")
    if not any(learnt for learnt, _ in counts.values()):
        return capital(f"{kind} stays at chance at {every}.")
    parts = []
    full = [value for value, (learnt, size) in counts.items() if learnt == size]
    if full:
        parts.append(f"learns at {setting} {listed(full)} (all {sum(counts[value][1] for value in full)} runs)")
    parts += [
        f"learns in {learnt} of {size} runs at {setting} {value}"
        for value, (learnt, size) in counts.items()
        if 0 < learnt < size
    ]
    none = [value for value, (learnt, _) in counts.items() if not learnt]
    if none:
        parts.append(f"stays at chance at {setting} {listed(none)} ({sum(counts[value][1] for value in none)} runs)")
    return capital(f"{kind} {listed(parts)}.")


def _cell(scores: np.ndarray) -> str:
    return f"{int((scores > LEARNT).sum())} of {scores.size}" if scores.size else "-"
