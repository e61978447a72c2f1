"""The trials of a search against the settings that were searched."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kls.analysis.columns import differing, is_number
from kls.analysis.groups import group_runs, sections
from kls.analysis.runs import Runs
from kls.config.flat_settings import SEEDS
from kls.records import names
from kls.records.sweep_stages import Sweep

_FEWEST = 4  # values that make a search of listed ones, or of runs without a record of what was searched
_LOG_FROM = 50.0  # ratio of the largest value to the smallest


@dataclass(frozen=True)
class Search:
    """Trials of one section against the setting ``key``, with its short name, and whether its scale is logarithmic.

    trials: columns x, score (record units; of a diverged run that of chance), stage (None outside sweeps), diverged,
    repeated (an earlier stage has the same run) and seeds (a tuple), without those of confirming stages. ranges: for
    each stage the interval searched, if known. others: short names of further settings, but for seeds, that differ.
    """

    key: str
    head: str
    log: bool
    score: str
    section: str
    trials: pd.DataFrame
    ranges: dict[str, tuple[float, float]]
    others: list[str]


def searches(runs: Runs, score: str | None = None) -> list[Search]:
    """For each section and each number that was searched there, its trials. score: by default the `Runs.objective`."""
    found, score = list[Search](), score or runs.objective
    for section in sections(runs):
        frame, groups = section.runs.frame, group_runs(section.runs, score)
        stages = next(iter(section.runs.sweeps.values()), Sweep()).stages
        confirming = frame["stage"].isin([stage.name for stage in stages if stage.confirm])
        tried = frame[groups.values[score].notna() & ~confirming]
        asked = dict.fromkeys(key for stage in stages for key in stage.params if key in frame)
        coded = section.runs.coded
        for key in [*asked] or differing(coded.loc[tried.index], section.runs.settings):
            parts = {s.name: s.params[key] for s in stages if key in s.params and (tried["stage"] == s.name).any()}
            own = tried[tried["stage"].isin(parts)] if asked else tried
            own = own[own[key].map(is_number).astype(bool)]
            scales = {part.scale for part in parts.values() if part.values is None}  # of intervals
            if key in SEEDS or own[key].nunique() < (2 if scales else _FEWEST):
                continue
            x, diverged = own[key].astype(np.float64), own[names.STATUS] == names.DIVERGED
            columns = {"x": x, "stage": own["stage"], "score": groups.values[score], "diverged": diverged}
            columns["repeated"] = coded.loc[own.index, section.runs.differing()].duplicated()
            trials = pd.DataFrame({**columns, "seeds": groups.seeds}, index=own.index)
            ends = {name: [*filter(is_number, part.values or (part.low, part.high))] for name, part in parts.items()}
            ranges = {name: (min(values), max(values)) for name, values in ends.items() if values}
            log = "log" in scales if scales else bool(x.min() >= 0 and x.max() >= _LOG_FROM * x[x > 0].min())
            others = [k for k in differing(coded.loc[own.index], section.runs.settings) if k not in (key, *SEEDS)]
            heads = runs.heads([key, *others])
            found.append(Search(key, heads.pop(key), log, score, section.name, trials, ranges, [*heads.values()]))
    return found
