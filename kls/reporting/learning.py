"""Finding: at which values of a setting networks learn, and at which they stay at chance."""

from __future__ import annotations

from collections.abc import Mapping
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

Counts = Mapping[str, tuple[int, int]]  # by value of the setting: how many of how many runs learn


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
    counts = {
        _kind(heads[by], kind): {
            setting_text(setting): _count(cells[kind, setting]) for setting in settings if cells[kind, setting].size
        }
        for kind in kinds
    }
    columns = [Column(heads[by], [_kind(heads[by], kind) for kind in kinds])]
    for setting in settings:
        texts = [_cell(cells[kind, setting]) for kind in kinds]
        columns.append(Column(f"{heads[key]} {setting_text(setting)}", texts, number=True))
    data = ", ".join(map(str, frame[DATA[0]].unique()))
    explained = (
        f"How many runs learn, which is to end above {LEARNT:g} % {name_of(finding.score)} on {data}, 2 points above "
        f"chance:"
    )
    return " ".join(_sentences(counts, heads[by], heads[key])), [Line(explained), Grid(Table(columns, []))]


def _kind(head: str, value: Any) -> str:
    """A model speaks for itself, batch norm is said in words."""
    if isinstance(value, bool):
        return (
            f"{'with' if value else 'without'} batch norm" if head == "bn.enabled" else f"{head} {str(value).lower()}"
        )
    return str(value) if head == "model" else f"{head} {setting_text(value)}"


def _sentences(counts: Mapping[str, Counts], head: str, setting: str) -> list[str]:
    """One for all kinds with the same counts."""
    alike: dict[tuple[tuple[str, tuple[int, int]], ...], list[str]] = {}
    for kind, own in counts.items():
        alike.setdefault(tuple(own.items()), []).append(kind)
    found = []
    for verdict, kinds in alike.items():
        first, *others = kinds
        subject = listed([first, *(kind.removeprefix(f"{head} ") for kind in others)])
        found.append(capital(f"{subject} {_verdict(dict(verdict), setting, several=bool(others))}."))
    return found


def _verdict(counts: Counts, setting: str, several: bool) -> str:
    """For example "learns at sigma 0.1 (all 5 runs) and stays at chance at sigma 0.001 and 0.0001 (10 runs)"."""
    learns, stays, each = ("learn", "stay", " each") if several else ("learns", "stays", "")
    n = sum(size for _, size in counts.values())
    every = f"{setting} {next(iter(counts))}"
    if len(counts) > 1:
        every = f"every {setting} ({listed(list(counts))}; {_runs(n)}{each})"
    if all(learnt == size for learnt, size in counts.values()):
        return f"{learns} at {every}"
    if not any(learnt for learnt, _ in counts.values()):
        return f"{stays} at chance at {every}"
    parts = []
    full = [value for value, (learnt, size) in counts.items() if learnt == size]
    if full:
        n = sum(counts[value][1] for value in full)
        parts.append(f"{learns} at {setting} {listed(full)} ({'all ' if n > 1 else ''}{_runs(n)}{each})")
    parts += [
        f"{learns} in {learnt} of {size} runs{each} at {setting} {value}"
        for value, (learnt, size) in counts.items()
        if 0 < learnt < size
    ]
    none = [value for value, (learnt, _) in counts.items() if not learnt]
    if none:
        n = sum(counts[value][1] for value in none)
        parts.append(f"{stays} at chance at {setting} {listed(none)} ({_runs(n)}{each})")
    return listed(parts)


def _runs(n: int) -> str:
    return f"{n} run{'s' * (n > 1)}"


def _count(scores: np.ndarray) -> tuple[int, int]:
    return int((scores > LEARNT).sum()), scores.size


def _cell(scores: np.ndarray) -> str:
    return "{} of {}".format(*_count(scores)) if scores.size else "-"
