"""The table of runs, and which of its settings vary."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from kls.aggregate.collect import Run
from kls.config.flat_settings import MANNER
from kls.records import names

IDENTITY = ("folder", "sweep", "stage", "trial", names.STATUS, "model")
DATA = ("data", "data_fingerprint")
SEEDS = ("seed", "order_seed")

_NO_SETTING = re.compile(r"runs|n_\w+|\w+_(loss|cost|accuracy)(_\w+)?")  # scores, and columns made of them


@dataclass(frozen=True)
class RunTable:
    """One row a run.

    Attributes:
        frame: columns of objects: those of `IDENTITY`, the settings, the metrics; None where a run has none.
        settings: dotted keys of all settings that decide what a run computes.
        metrics: keys of metrics.json, without the status.
    """

    frame: pd.DataFrame
    settings: list[str]
    metrics: list[str]

    def chosen(self, rows: Sequence[int]) -> RunTable:
        """The table of these rows alone."""
        return RunTable(self.frame.iloc[list(rows)].reset_index(drop=True), self.settings, self.metrics)

    def varying_settings(self) -> list[str]:
        """Settings with more than one value, in the order of conf/; a missing one equals null.

        A run that failed before it had settings says nothing here, unless all did.
        """
        known = self.frame[self.frame["data_fingerprint"].notna()]
        return varying(known if len(known) else self.frame, self.settings)

    def tidy(self) -> pd.DataFrame:
        """Identity (the model where it varies), settings that vary, and all metrics."""
        settings = self.varying_settings()
        identity = [c for c in IDENTITY if c != "model" or any(key.startswith("model.") for key in settings)]
        return self.frame[[*identity, *settings, *self.metrics]]


def run_table(runs: Sequence[Run]) -> RunTable:
    """All runs as a table."""
    known = [run for run in runs if "data_fingerprint" in run.metrics] or runs
    settings = _keys([run.settings for run in known], {*MANNER, *IDENTITY, *DATA})
    settings = [key for key in settings if _NO_SETTING.fullmatch(key) is None]
    metrics = _keys([dict.fromkeys(DATA), *(run.metrics for run in runs)], {*IDENTITY, *settings})
    rows = [
        [*map(run.identity.get, IDENTITY), *map(run.settings.get, settings), *map(run.metrics.get, metrics)]
        for run in runs
    ]
    return RunTable(pd.DataFrame(rows, columns=[*IDENTITY, *settings, *metrics], dtype=object), settings, metrics)


def _keys(rows: Iterable[Mapping[str, Any]], without: set[str]) -> list[str]:
    return [key for key in dict.fromkeys(key for row in rows for key in row) if key not in without]


def varying(frame: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Those of ``columns`` that have more than one value in ``frame``, null being one."""
    return [column for column in columns if frame[column].nunique(dropna=False) > 1]


def determined(frame: pd.DataFrame, column: str, by: Sequence[str]) -> bool:
    """Whether the values of ``by`` settle the one of ``column`` in every row."""
    distinct = frame.drop_duplicates([*by, column])
    return not distinct.duplicated(list(by)).any()


def is_number(value: Any) -> bool:
    """Whether a cell holds a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def sort_key(value: Any) -> tuple[int, Any]:
    """Orders cells of any kind: numbers, then texts, then true and false, then missing ones."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return 3, 0
    if isinstance(value, bool):
        return 2, value
    return (0, value) if is_number(value) else (1, str(value))
