"""Finding: the best value of a searched setting, how flat the optimum is, and what confirmed it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from kls.aggregate.columns import find_column, short_names
from kls.aggregate.summarise import Summary
from kls.aggregate.varying import DATA, is_number
from kls.errors import UserError
from kls.records import names
from kls.reporting.results import Runs
from kls.reporting.selection import same_as
from kls.reporting.wording import setting, spread, which_end
from kls.studies.definition import Optimum

_FLAT = 0.5  # points
_VALUE, _TEST = names.VAL_ACCURACY, names.metric("test", "accuracy")


@dataclass(frozen=True)
class Confirmed:
    """A value of the setting that was run again: its scores as said, and how far below the chosen run it is."""

    value: float
    validation: str
    test: str | None
    regress: float | None


@dataclass(frozen=True)
class Best:
    """The optimum of a search.

    Attributes:
        name: short name of the setting.
        value, validation: the best value and its score as said; ``stage`` where it was found.
        tried: how many runs and values it was chosen from, as said.
        reach, near, low, high: so many trials, between these values, lie within ``reach`` points of the best.
        edge: "smallest" or "largest" where the best is at the end of what was tried.
    """

    name: str
    data: str
    value: float
    validation: str
    stage: str | None
    tried: str
    reach: float
    near: int
    low: float
    high: float
    edge: str | None
    confirmed: Sequence[Confirmed]

    @property
    def flat(self) -> str:
        """For example "0.00326 to 0.0078"."""
        return setting(self.low) if self.low == self.high else f"{setting(self.low)} to {setting(self.high)}"

    def sentences(self) -> str:
        """All of it in words."""
        stage = f", stage {self.stage}" if self.stage else ""
        said = [f"The best {self.name} is {setting(self.value)} of {self.tried}: validation accuracy on {self.data} "
                f"{self.validation}{stage}."]  # fmt: skip
        if self.low == self.high:
            said.append(f"No other value tried lies within {self.reach:.1f} points of it.")
        else:
            factor = f", a factor of {self.high / self.low:.2g}" if self.low > 0 else ""
            said.append(
                f"{self.near} of the values tried, from {self.flat}{factor}, lie within {self.reach:.1f} points."
            )
        if self.edge:
            said.append(f"It is the {self.edge} value tried: the optimum may lie beyond.")
        for again in self.confirmed:
            test = f", test {again.test}" if again.test else ""
            said.append(f"Run again at {self.name} {setting(again.value)}: validation {again.validation}{test}.")
            if again.regress is not None and again.regress > 0:
                said.append(
                    f"The single run that was chosen had scored {again.regress:.1f} points more than this mean."
                )
        return " ".join(said)


def optimum(finding: Optimum, runs: Runs) -> Best:
    """The optimum by validation accuracy. Raises UserError where the setting was not searched."""
    key = find_column(finding.setting, runs.table.settings)
    summary = runs.summary(_VALUE)
    stages = [stage for sweep in runs.found.sweeps.values() for stage in sweep.stages]
    confirming = [stage.name for stage in stages if stage.confirm]
    if key not in summary.keys:
        raise UserError(f"only one value of {finding.setting} was tried")
    groups = summary.groups[(summary.groups[f"{_VALUE}_n"] > 0) & summary.groups[key].map(is_number)]
    tried = groups[~groups["stage"].isin(confirming)]
    if tried.empty:
        raise UserError("no trial has a result yet")
    searching = [stage.name for stage in stages if key in stage.params and (tried["stage"] == stage.name).any()]
    last = tried[tried["stage"] == searching[-1]] if searching else tried
    searched = {key for stage in stages for key in stage.params}
    comparable = _alike(tried, last.iloc[0], {"stage", key, *searched}, summary)  # groups stand best first
    best = comparable.iloc[0]
    sd = 100.0 * float(best[f"{_VALUE}_sd"])
    reach = _FLAT if math.isnan(sd) else max(_FLAT, sd)
    near = comparable[100.0 * comparable[f"{_VALUE}_mean"] >= 100.0 * best[f"{_VALUE}_mean"] - reach - 1e-9]
    n, values = int(comparable[f"{_VALUE}_n"].sum()), comparable[key].nunique()
    return Best(
        name=short_names([key], runs.table.settings)[key],
        data=str(best[DATA[0]]),
        value=float(best[key]),
        validation=_said(_VALUE, best),
        stage=best["stage"],
        tried=f"{n} runs at {values} values" if n != values else f"{n} values tried",
        reach=reach,
        near=near[key].nunique(),
        low=float(near[key].min()),
        high=float(near[key].max()),
        edge=which_end(float(best[key]), float(comparable[key].min()), float(comparable[key].max())),
        confirmed=[_confirmed(row, key, best) for _, row in groups[groups["stage"].isin(confirming)].iterrows()],
    )


def _alike(tried: pd.DataFrame, winner: pd.Series[Any], but: set[str], summary: Summary) -> pd.DataFrame:
    """The groups that differ from the winner in some settings alone: they trained as long, on the same data."""
    for key in summary.keys:
        if key not in but:
            tried = tried[same_as(tried[key], winner[key])]
    return tried


def _confirmed(row: pd.Series[Any], key: str, best: pd.Series[Any]) -> Confirmed:
    chosen = row[key] == best[key] and best[f"{_VALUE}_n"] == 1
    gap = 100.0 * float(best[f"{_VALUE}_mean"] - row[f"{_VALUE}_mean"])
    test = _said(_TEST, row) if row.get(f"{_TEST}_n", 0) > 0 else None
    return Confirmed(float(row[key]), _said(_VALUE, row), test, gap if chosen else None)


def _said(score: str, row: pd.Series[Any]) -> str:
    mean, sd, n = (float(row[f"{score}_{part}"]) for part in ("mean", "sd", "n"))
    return spread(score, 100.0 * mean, 100.0 * sd, int(n)).replace(" (n=", " % (n = ")
