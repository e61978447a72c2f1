"""From measured seconds to the table: the smallest of the rounds, scaled to an epoch, and its ratios."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tabulate import tabulate

from kls.benchmark.cases import FLOOR, JAX, OURS, SKLEARN, TORCH
from kls.benchmark.task import STEPS_PER_EPOCH

LIBRARIES = (OURS, FLOOR, TORCH, JAX, SKLEARN)
RATIOS = (FLOOR, TORCH, JAX, SKLEARN)
CSV_COLUMNS = ("library", "model", "inputs", "members", "steps", "rounds", "epoch_seconds", "epoch_seconds_a_member")


@dataclass(frozen=True)
class Measurement:
    """Seconds that ``library`` took for ``steps`` steps of ``members`` networks, one number a round."""

    library: str
    model: str
    n_inputs: int
    members: int
    steps: int
    seconds: tuple[float, ...]

    @property
    def epoch_seconds(self) -> float:
        """Of an epoch of all members, by the fastest round."""
        return min(self.seconds) * STEPS_PER_EPOCH / self.steps

    @property
    def member_seconds(self) -> float:
        """Of an epoch of one member."""
        return self.epoch_seconds / self.members


def table_rows(measurements: Sequence[Measurement]) -> list[dict[str, Any]]:
    """One row a network and size of population, in the order measured, with what was not measured as None.

    Keys: model, inputs, members; each library with its seconds an epoch a member; and "ours/<library>", a ratio
    of these, below 1 where ours is faster.
    """
    works = list(dict.fromkeys((m.model, m.n_inputs, m.members) for m in measurements))
    times = {(m.library, m.model, m.n_inputs, m.members): m.member_seconds for m in measurements}
    rows = []
    for work in works:
        seconds = {library: times.get((library, *work)) for library in LIBRARIES}
        ratios = {f"{OURS}/{library}": _ratio(seconds[OURS], seconds[library]) for library in RATIOS}
        rows.append(dict(zip(("model", "inputs", "members"), work, strict=True)) | seconds | ratios)
    return rows


def _ratio(a: float | None, b: float | None) -> float | None:
    return a / b if a is not None and b is not None else None


def csv_rows(measurements: Sequence[Measurement]) -> list[dict[str, Any]]:
    """One row a measurement, with the columns CSV_COLUMNS."""
    cells = [
        (m.library, m.model, m.n_inputs, m.members, m.steps, len(m.seconds), m.epoch_seconds, m.member_seconds)
        for m in measurements
    ]
    return [dict(zip(CSV_COLUMNS, row, strict=True)) for row in cells]


def drawn(rows: Sequence[dict[str, Any]], style: str) -> str:
    """Rows as a table in one of tabulate's styles; columns without any number are left out."""
    heads = [key for key in rows[0] if any(row[key] is not None for row in rows)]
    cells = [[_cell(key, row[key]) for key in heads] for row in rows]
    alignment = ["left" if isinstance(rows[0][key], str) else "right" for key in heads]
    return tabulate(cells, headers=heads, tablefmt=style, colalign=alignment, disable_numparse=True)


def _cell(key: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.2f}" if "/" in key else f"{value:.3g}"
    return str(value)
