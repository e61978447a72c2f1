"""Chooses what the picture of a search shows: the settings searched, each stage's trials, and the winner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kls.aggregate.columns import short_names
from kls.aggregate.group_table import group_labels, group_said
from kls.aggregate.sections import Section
from kls.aggregate.summarise import Summary
from kls.aggregate.sweep_stages import Searched, SweepStages
from kls.aggregate.tables import score_scale
from kls.aggregate.varying import SEEDS, RunTable, is_number, varying
from kls.plots.search import MOST_PANELS, SearchPanel, SearchStage
from kls.records import names

_FEWEST_VALUES = 4  # of a setting whose values were listed, or that no sweep.json says was searched
_LOG_FROM = 50.0  # ratio of the largest value to the smallest above 0


@dataclass(frozen=True)
class SearchTrials:
    """Panels, the text on the winner, and the number of runs shown."""

    panels: list[SearchPanel]
    best: str
    n: int


def search_trials(
    section: Section, summary: Summary, sweeps: Mapping[str, SweepStages], table: RunTable
) -> SearchTrials | None:
    """Trials of the only sweep among the runs, or of runs outside sweeps; None where no number was searched."""
    metric = summary.metric
    runs = section.runs[summary.values.loc[section.runs.index, metric].notna()]
    found = runs["sweep"].dropna().unique()
    if len(found) > 1:
        return None
    sweep = sweeps[found[0]] if len(found) else SweepStages()
    runs = runs[runs["sweep"].notna()] if len(found) else runs
    searched = _searched(runs, sweep, table.settings)
    if not searched:
        return None
    stages = [s.name for s in sweep.stages if (runs["stage"] == s.name).any()]
    stages += [s for s in runs["stage"].dropna().unique() if s not in stages]
    heads = short_names(searched, list(table.frame.columns))
    winner = _winner(section.groups, metric, stages)
    panels = []
    for key, ranges in searched.items():
        x, best = _numbers(runs[key]), None
        parts = [_stage(runs[runs["stage"] == s], x, s, ranges.get(s), summary) for s in stages]
        if winner is not None and key in summary.keys and is_number(winner[key]):
            best = (float(winner[key]), score_scale(metric) * float(winner[f"{metric}_mean"]))
        panels.append(
            SearchPanel(heads[key], _is_log(x, ranges), parts or [_stage(runs, x, "trials", None, summary)], best)
        )
    text = ""
    if winner is not None:
        labels = group_labels(section.groups, summary, list(table.frame.columns), whole=True)
        label = labels[list(section.groups.index).index(winner.name)]
        text = f"best: {label}: {group_said(metric, winner)}"
    return SearchTrials(panels, text, len(runs))


def _searched(runs: pd.DataFrame, sweep: SweepStages, settings: Sequence[str]) -> dict[str, dict[str, Searched]]:
    """Numeric settings that vary, and what each stage searched of them."""
    searched: dict[str, dict[str, Searched]] = {}
    for stage in sweep.stages:
        for key, part in stage.params.items():
            searched.setdefault(key, {})[stage.name] = part
    searched = searched or {key: {} for key in varying(runs, settings)}
    kept = [
        key
        for key, parts in searched.items()
        if key in settings and key not in SEEDS and _numbers(runs[key]).nunique() >= _fewest(parts)
    ]
    return {key: searched[key] for key in kept[:MOST_PANELS]}


def _fewest(parts: Mapping[str, Searched]) -> int:
    """How many values make a search."""
    return 2 if any(part.values is None for part in parts.values()) else _FEWEST_VALUES


def _numbers(values: pd.Series[Any]) -> pd.Series[float]:
    """The numbers among the values, else NaN."""
    return values.map(lambda value: value if is_number(value) else np.nan).astype(np.float64)


def _is_log(x: pd.Series[float], ranges: Mapping[str, Searched]) -> bool:
    if (x < 0).any() or not (x > 0).any():
        return False
    if any(part.scale == "log" for part in ranges.values()):
        return True
    if any(part.values is None for part in ranges.values()):
        return False
    positive = x[x > 0]
    return bool(positive.max() / positive.min() >= _LOG_FROM)


def _stage(
    runs: pd.DataFrame, x: pd.Series[float], name: str, searched: Searched | None, summary: Summary
) -> SearchStage:
    x = x[runs.index].dropna()
    y = score_scale(summary.metric) * summary.values.loc[x.index, summary.metric]
    diverged = runs.loc[x.index, names.STATUS] == names.DIVERGED
    return SearchStage(name, x.to_numpy(), y.to_numpy(), diverged.to_numpy(dtype=bool), _interval(searched))


def _interval(searched: Searched | None) -> tuple[float, float] | None:
    if searched is None:
        return None
    values = [value for value in searched.values or () if is_number(value)]
    if values:
        return min(values), max(values)
    return None if searched.low is None or searched.high is None else (searched.low, searched.high)


def _winner(groups: pd.DataFrame, metric: str, stages: Sequence[str]) -> pd.Series[Any] | None:
    """The best group of the last stage that has a result; of all groups where the stages are not kept apart."""
    groups = groups[groups[f"{metric}_n"] > 0]
    for stage in reversed(stages if "stage" in groups else []):
        if (groups["stage"] == stage).any():
            return groups[groups["stage"] == stage].iloc[0]
    return groups.iloc[0] if len(groups) else None
