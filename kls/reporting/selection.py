"""Which runs of a step a figure or a finding speaks of, and their scores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kls.aggregate.columns import find_column, short_names
from kls.aggregate.group_table import setting_label, telling_keys
from kls.aggregate.summarise import lower_is_better
from kls.aggregate.tables import score_scale, setting_text
from kls.aggregate.varying import DATA, SEEDS, is_number, sort_key
from kls.errors import UserError
from kls.records import names
from kls.reporting.results import Runs

Where = Mapping[str, Any]


@dataclass(frozen=True)
class Selected:
    """Scores of runs that differ in their seeds alone, as they are shown (accuracies in percent).

    Attributes:
        values: (n,) finite, in the order of ``seeds``.
        seeds: for each run what was drawn: seed, order of mini-batches, split.
        data: name of the data set.
        choice: how these runs were chosen among several settings; empty where there was one alone.
    """

    values: np.ndarray
    seeds: list[tuple[Any, ...]]
    data: str
    choice: str = ""

    @property
    def n(self) -> int:
        return self.values.size

    @property
    def mean(self) -> float:
        return float(self.values.mean())

    @property
    def sd(self) -> float:
        return float(self.values.std(ddof=1)) if self.n > 1 else math.nan


def rows_where(runs: Runs, where: Where) -> pd.Series[bool]:
    """Which rows of the table of runs have these values.

    Raises UserError where a name is no column, or no run has the values.
    """
    frame = runs.table.frame
    chosen = pd.Series(True, index=frame.index)
    for name, wanted in where.items():
        column = frame[find_column(name, list(frame.columns))]
        chosen &= column.map(lambda value, wanted=wanted: _same(value, wanted)).astype(bool)
        if not chosen.any():
            said = ", ".join(f"{key} = {value}" for key, value in where.items())
            raise UserError(f"no run has {said}")
    return chosen


def select(runs: Runs, where: Where, score: str, rank: int = 1, near: Mapping[str, float] | None = None) -> Selected:
    """The scores of the runs that ``where`` names; of several settings, those of the ``rank``-th best by validation.

    near: settings with a value; only runs with the value that is closest on a log scale are looked at.
    Raises UserError where there are none.
    """
    chosen, closest = rows_where(runs, where), list[str]()
    frame = runs.table.frame
    for name, wanted in (near or {}).items():
        chosen, value = _nearest(frame, chosen, name, wanted)
        closest.append(f"nearest: {name} {setting_text(value)}")
    if score not in frame:
        raise UserError(f"no run has a {score}")
    summary = runs.summary(score)
    values = (score_scale(score) * summary.values.loc[chosen, score]).replace([math.inf], np.nan).dropna()
    if values.empty:
        raise UserError("no run has a result yet")
    places = summary.group[values.index]
    groups = summary.groups.loc[sorted(places.unique())]
    if rank > len(groups):
        raise UserError(f"there are {len(groups)} settings with a result, so none is number {rank}")
    if len(groups) > 1:
        by = names.VAL_ACCURACY if f"{names.VAL_ACCURACY}_mean" in groups else score
        best = groups.sort_values(f"{by}_mean", ascending=lower_is_better(by), kind="stable").index[rank - 1]
        values = values[places == best]
        keys = [key for key in telling_keys(groups, summary) if key != "stage"]
        heads = short_names(keys, list(frame.columns))
        row = dict(zip(groups.columns, groups.loc[best], strict=True))
        said = ", ".join(setting_label(heads[key], row[key]) for key in keys)
        which = "best" if rank == 1 else f"number {rank}"
        closest.append(f"{which} of {len(groups)} by validation" + (f": {said}" if said else ""))
    keys = [key for key in (*SEEDS, "data.split_seed") if key in frame]
    seeds = [tuple(row) for row in frame.loc[values.index, keys].itertuples(index=False, name=None)]
    data = ", ".join(map(str, frame.loc[values.index, DATA[0]].unique()))
    return Selected(values.to_numpy(dtype=np.float64), seeds, data, ", ".join(closest))


def _nearest(frame: pd.DataFrame, chosen: pd.Series[bool], name: str, wanted: float) -> tuple[pd.Series[bool], float]:
    """Those of the chosen rows whose setting is closest to ``wanted`` on a log scale, and its value there."""
    column = frame[find_column(name, list(frame.columns))]
    tried = [value for value in column[chosen].unique() if is_number(value) and value > 0]
    if not tried:
        raise UserError(f"no run has a {name} above 0")
    closest = min(tried, key=lambda value: abs(math.log(value / wanted)))
    return chosen & column.map(lambda value: _same(value, closest)).astype(bool), closest


def same_as(column: pd.Series[Any], wanted: Any) -> pd.Series[bool]:
    """Which entries are ``wanted``, null and NaN being the same."""
    target = sort_key(wanted)
    return column.map(lambda value: sort_key(value) == target).astype(bool)


def _same(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, str) and is_number(value):  # YAML 1.1 reads 1e-1 as a text
        try:
            wanted = float(wanted)
        except ValueError:
            return False
    if is_number(value) and is_number(wanted):
        return math.isclose(value, wanted, rel_tol=1e-9)
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    if wanted is None or value is None:
        return wanted is None and (value is None or value != value)
    return bool(value == wanted)
