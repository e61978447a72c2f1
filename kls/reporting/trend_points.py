"""What a trend is made of: at each value of a setting a mean score, a gain, or the best value of another setting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kls.aggregate.tables import setting_text
from kls.aggregate.varying import SEEDS, is_number
from kls.errors import UserError
from kls.records import names
from kls.reporting.gain import PAIRED, difference
from kls.reporting.intervals import Interval, new_mean
from kls.reporting.selection import Selected, same_as
from kls.reporting.wording import ends, name_of, setting, signed, values_said, which_end

_ENDLESS = 10**12


@dataclass(frozen=True)
class Point:
    """A value of the setting: what is averaged there (n,), the mean with its interval, and cells of a table."""

    at: Any
    values: np.ndarray
    interval: Interval
    cells: dict[str, str]


def mean_point(score: str, at: Any, scores: pd.Series[float]) -> Point:
    """The mean score, as shown, with Student's interval: that of the mean of endlessly many new runs."""
    values = scores.to_numpy()
    return Point(at, values, new_mean(values, _ENDLESS), {"mean ± sd": values_said(score, values)})


def gain_point(
    score: str, at: Any, scores: pd.Series[float], frame: pd.DataFrame, of: str, kinds: Sequence[Any], head: str
) -> Point | None:
    """Scores of the second of two kinds minus those of the first; None where one has no runs."""
    seeds = [key for key in SEEDS if key in frame]
    sides = []
    for kind in kinds:
        own = scores[same_as(frame.loc[scores.index, of], kind)]
        drawn = [tuple(row) for row in frame.loc[own.index, seeds].itertuples(index=False, name=None)]
        sides.append(Selected(own.to_numpy(dtype=np.float64), drawn, ""))
    first, second = sides
    if not first.n or not second.n:
        return None
    interval, method = difference(second, first)
    gains = np.empty(0)
    if method == PAIRED:
        gains = second.values - first.values[[first.seeds.index(seed) for seed in second.seeds]]
    cells = {f"{head} {setting_text(k)}": values_said(score, s.values) for k, s in zip(kinds, sides, strict=True)}
    shown = f"{signed(score, interval.centre)}" + (f" ({ends(interval, 2)})" if interval.known else "")
    return Point(at, gains, interval, cells | {"gain (95 % interval)": shown, "method": method})


def best_point(score: str, at: Any, scores: pd.Series[float], frame: pd.DataFrame, of: str, head: str) -> Point:
    """The value of ``of`` with the best mean validation accuracy, and that of each seed alone.

    Whether it is the smallest or largest that was tried is told in its cell.

    Raises UserError where ``of`` is no number.
    """
    rows = frame.loc[scores.index]
    rows = rows[rows[of].map(is_number) & rows[names.VAL_ACCURACY].map(is_number)]
    if rows.empty:
        raise UserError(f"{head} is no number, so its best value has no trend")
    tried = rows[[of, names.VAL_ACCURACY, "seed"]].astype(np.float64)
    means = tried.groupby(of)[names.VAL_ACCURACY].mean()
    best = float(means.index.to_numpy()[means.to_numpy().argmax()])
    each = [_best_of_seed(own[of].to_numpy(), own[names.VAL_ACCURACY].to_numpy()) for _, own in tried.groupby("seed")]
    there = scores[same_as(frame.loc[scores.index, of], best)].to_numpy()
    end = which_end(best, float(means.index.min()), float(means.index.max()))
    cells = {
        f"best {head}": setting(best) + (f" ({end} tried)" if end else ""),
        "of each seed": ", ".join(map(setting, each)),
        f"{name_of(score)} there": values_said(score, there),
    }
    return Point(at, np.array(each), Interval(best, math.nan, math.nan), cells)


def _best_of_seed(values: np.ndarray, scores: np.ndarray) -> float:
    return float(values[scores.argmax()])
