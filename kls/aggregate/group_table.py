"""The table of groups as people read it: keys, scores as mean ± sd, interval, and counts of what went wrong."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from kls.aggregate.columns import short_names
from kls.aggregate.summarise import COUNTED, Summary
from kls.aggregate.tables import Column, Table, make_table, score_name, score_text, setting_text
from kls.aggregate.varying import DATA, determined, varying

_KEY, _COUNT, _OTHER_SCORE, _INTERVAL = 1, 2, 3, 4  # ranks of columns
_UNSAID = (*DATA, "evaluation.test")  # the heading tells the data set, a blank test accuracy the other


def shown_keys(groups: pd.DataFrame, summary: Summary) -> list[str]:
    """Keys worth a column: the model's name stands for the settings that it settles."""
    keys = [key for key in summary.keys if key not in _UNSAID]
    if "model" in groups:
        keys = [key for key in keys if not (key.startswith("model.") and determined(groups, key, ["model"]))]
        keys = ["model", *(key for key in keys if key != "model")]
    return sorted(keys, key=lambda key: key != "stage")


def telling_keys(groups: pd.DataFrame, summary: Summary) -> list[str]:
    """Keys that tell the groups apart, without those that others settle."""
    keys = list[str]()
    for key in varying(groups, shown_keys(groups, summary)):
        if not keys or not determined(groups, key, keys):
            keys.append(key)
    return keys


def group_table(groups: pd.DataFrame, summary: Summary, all_columns: Sequence[str], whole: bool = True) -> Table:
    """Rows of ``groups`` in their order; if not ``whole``, without keys that others settle."""
    keys = shown_keys(groups, summary) if whole else telling_keys(groups, summary)
    heads = short_names(keys, all_columns)
    columns = [Column(heads[key], [setting_text(value) for value in groups[key]], _KEY) for key in keys]
    for score in summary.scores:
        rank = 0 if score == summary.metric else _OTHER_SCORE
        cells = [mean_text(score, *row) for row in _rows(groups, _parts(score))]
        columns.append(Column(score_name(score), cells, rank, number=True))
        if score == summary.metric:
            cells = [_interval_text(score, *row) for row in _rows(groups, [f"{score}_low95", f"{score}_high95"])]
            columns.append(Column("95 % interval", cells, _INTERVAL, number=True))
    for status in COUNTED:
        cells = [str(n) if n else "" for n in groups[f"n_{status}"]]
        columns.append(Column(status, cells, _COUNT, number=True))
    return make_table(columns)


def group_labels(groups: pd.DataFrame, summary: Summary, all_columns: Sequence[str], whole: bool = False) -> list[str]:
    """For each group what tells it from the others, such as "lam 0.01, sigma 0.1"; if ``whole``, all that varies."""
    keys = varying(groups, shown_keys(groups, summary)) if whole else telling_keys(groups, summary)
    heads = short_names(keys, all_columns)
    labels = []
    for _, *values in groups[keys].itertuples(name=None):
        parts = [setting_label(heads[key], value) for key, value in zip(keys, values, strict=True)]
        labels.append(", ".join(parts) or "all runs")
    return labels


def setting_label(head: str, value: Any) -> str:
    """Name and value; a model or a stage speaks for itself."""
    return setting_text(value) if head in ("model", "stage") and value else f"{head} {setting_text(value)}"


def mean_text(score: str, mean: float, sd: float, n: float, unit: str = "") -> str:
    """For example "53.41 ± 0.21 (n=5)"; the unit stands before the bracket."""
    if not n:
        return "-"
    spread = "" if math.isnan(sd) else f" ± {score_text(score, sd)}"
    return f"{score_text(score, mean)}{spread}{unit} (n={n:.0f})"


def group_text(score: str, group: pd.Series[Any]) -> str:
    """`mean_text` of a group's row."""
    return mean_text(score, *group[_parts(score)])


def group_said(score: str, group: pd.Series[Any]) -> str:
    """For example "val accuracy 53.41 ± 0.21 % (n=5)"."""
    name, percent, _ = score_name(score).partition(" %")
    mean, sd, n = group[_parts(score)]
    return f"{name} {mean_text(score, mean, sd, n, percent)}"


def _parts(score: str) -> list[str]:
    return [f"{score}_{part}" for part in ("mean", "sd", "n")]


def _interval_text(score: str, low: float, high: float) -> str:
    return "-" if math.isnan(low) else f"{score_text(score, low)} to {score_text(score, high)}"


def _rows(groups: pd.DataFrame, columns: list[str]) -> Iterable[tuple[Any, ...]]:
    return groups[columns].itertuples(index=False, name=None)
