"""Groups of runs that differ in their seeds alone: counts, mean, standard deviation and interval of the mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kls.aggregate.columns import find_column
from kls.aggregate.student import t_quantile
from kls.aggregate.varying import DATA, IDENTITY, SEEDS, RunTable, determined
from kls.records import names

RESULTS = (names.FINISHED, names.DIVERGED)
COUNTED = (names.DIVERGED, names.FAILED, names.RUNNING, names.INTERRUPTED, names.PRUNED)

_ALSO = (names.VAL_ACCURACY, names.metric("test", "accuracy"))
_TEST_PICTURES = "data.test_augmentation."


@dataclass(frozen=True)
class Summary:
    """Groups of runs.

    Attributes:
        groups: one row a group, best first; the keys, `runs`, ``n_<status>`` for each of `COUNTED`, and for each
            score ``<score>_n`` (runs averaged), ``_mean``, ``_sd`` (n - 1 in the denominator), ``_low95`` and
            ``_high95`` (95 % interval of the mean, Student's t). NaN where n is too small.
        keys: columns that tell the groups apart, the data set's first.
        metric: the score that groups are compared by.
        scores: all scores, `metric` first.
        group: for each run the index of its group in ``groups``, -1 without one.
        values: (runs, scores) of the runs that are averaged, else NaN.
        mixed: other settings than seeds that differ within a group.
        repeated: runs left out of the averages since another one has the same settings, seeds and data.
    """

    groups: pd.DataFrame
    keys: list[str]
    metric: str
    scores: list[str]
    group: pd.Series[int]
    values: pd.DataFrame
    mixed: list[str]
    repeated: int


def lower_is_better(metric: str) -> bool:
    """Whether a smaller value is the better one."""
    return metric.endswith(("loss", "cost", "seconds"))


def summarise(table: RunTable, by: Sequence[str], metric: str) -> Summary:
    """Group the runs by data set and stage and all settings that vary, but the seeds; or by data set and ``by``.

    Finished and diverged runs are averaged, others counted. A loss or cost that a diverged run has no number for
    is infinite. Raises UserError where a name in ``by`` is no column.
    """
    keys = _keys(table, by)
    orphan = table.frame["data_fingerprint"].isna() & (table.frame[names.STATUS] == names.FAILED)
    frame = _placed(table.frame, orphan, keys)
    kept = frame[frame["data_fingerprint"].notna() | ~orphan]
    number = kept.groupby(keys, dropna=False, sort=False).ngroup()

    averaged = frame[frame[names.STATUS].isin(RESULTS)]
    repeated = averaged.duplicated(list(dict.fromkeys([*keys, *table.settings])))
    averaged = averaged[~repeated]
    columns = {score: _numbers(averaged, score) for score in dict.fromkeys([metric, *_ALSO]) if score in averaged}
    values = pd.DataFrame(columns, dtype=np.float64).dropna(axis="columns", how="all").reindex(frame.index)
    scores = [metric, *(score for score in columns if score != metric and score in values)]
    values = values.reindex(columns=scores)

    labels = list(dict.fromkeys([*keys, *(["model"] if any(key.startswith("model.") for key in keys) else [])]))
    first = number[~orphan[number.index]].drop_duplicates()
    groups = table.frame.loc[first.index, labels].set_axis(first.to_numpy())
    groups = groups.join(_counts(kept, number)).join([_statistics(values[s], number) for s in scores])
    order = groups.sort_values(f"{metric}_mean", ascending=lower_is_better(metric), kind="stable").index
    place = pd.Series(range(len(order)), index=order)
    group = number.map(place).reindex(frame.index, fill_value=-1)
    groups = groups.loc[order].reset_index(drop=True)
    mixed = [key for key in table.varying_settings() if key not in SEEDS and not determined(averaged, key, keys)]
    return Summary(groups, keys, metric, scores, group, values, mixed, int(repeated.sum()))


def _keys(table: RunTable, by: Sequence[str]) -> list[str]:
    settings = table.varying_settings()
    pictures = [key for key in settings if key.startswith(_TEST_PICTURES)]
    if by:
        others = [find_column(name, [*IDENTITY, *table.settings, *table.metrics]) for name in by]
    else:
        others = ["stage", *(key for key in settings if key not in SEEDS)]
    return list(dict.fromkeys([*DATA, *pictures, *others]))


def _placed(frame: pd.DataFrame, orphan: pd.Series[bool], keys: list[str]) -> pd.DataFrame:
    """Give a run that failed before it had read its data the keys of the only group that it can belong to, if any."""
    frame, groups = frame.copy(), frame.loc[~orphan, keys].drop_duplicates()
    known_keys = frame.loc[orphan, keys].notna().apply(tuple, axis="columns", result_type="reduce")
    for pattern in known_keys.unique():
        rows = known_keys.index[[known == pattern for known in known_keys]]
        known = [key for key, is_known in zip(keys, pattern, strict=True) if is_known]
        if known:
            unlike = groups.drop_duplicates(known, keep=False)
            frame.loc[rows, keys] = frame.loc[rows, known].merge(unlike, "left", known)[keys].to_numpy()
        elif len(groups) == 1:
            frame.loc[rows, keys] = groups.to_numpy()
    return frame


def _numbers(frame: pd.DataFrame, score: str) -> pd.Series[float]:
    numbers = pd.to_numeric(frame[score], errors="coerce").astype(np.float64)
    if score.endswith(("loss", "cost")):
        numbers = numbers.mask(numbers.isna() & (frame[names.STATUS] == names.DIVERGED), math.inf)
    return numbers


def _counts(kept: pd.DataFrame, number: pd.Series[int]) -> pd.DataFrame:
    statuses = {f"n_{status}": (kept[names.STATUS] == status).groupby(number).sum() for status in COUNTED}
    return pd.DataFrame({"runs": number.groupby(number).size()} | statuses)


def _statistics(values: pd.Series[float], number: pd.Series[int]) -> pd.DataFrame:
    """n, mean, sd and the ends of the 95 % interval of each group; an infinite value has no sd."""
    finite = values.replace(math.inf, np.nan)[number.index].groupby(number)
    n = values[number.index].groupby(number).count()
    infinite = finite.count() < n
    mean = finite.mean().mask(infinite, math.inf)
    sd = finite.std(ddof=1).mask(infinite)
    t = pd.Series([t_quantile(k - 1) if k > 1 else math.nan for k in n], index=n.index, dtype=np.float64)
    half: pd.Series[float] = t * sd / np.sqrt(n)
    columns = {"n": n, "mean": mean, "sd": sd, "low95": mean - half, "high95": mean + half}
    return pd.DataFrame({f"{values.name}_{name}": column for name, column in columns.items()})
