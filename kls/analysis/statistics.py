"""Intervals, differences and trends of scores, in the units of the scores; the level is 95 % everywhere."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from kls.errors import UserError

LEVEL = 0.95
_POWER = 0.8
_ROUNDING = 1e-12  # relative to the scores: smaller differences between them are none
_SURE = 5.0  # standard deviations above chance


@dataclass(frozen=True)
class Interval:
    """An estimate and the ends of its 95 % interval, which are NaN if there are too few values for one."""

    centre: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        return math.isfinite(self.low) and math.isfinite(self.high)

    def holds(self, value: float) -> bool:
        """Whether ``value`` is in the interval, ends included."""
        return self.low <= value <= self.high


class Moments(NamedTuple):
    """Mean, standard deviation (n - 1 in the denominator; NaN for n = 1) and number of values."""

    mean: float
    sd: float
    n: int


def moments(values: np.ndarray, scale: float | None = None) -> Moments:
    """Of values (n,); the sd is 0 if they differ by rounding alone, relative to ``scale``, by default their size."""
    n = values.size
    if n > 1 and np.ptp(values) <= _ROUNDING * (np.abs(values).max() if scale is None else scale):
        return Moments(float(values[0]), 0.0, n)
    return Moments(float(values.mean()) if n else math.nan, float(values.std(ddof=1)) if n > 1 else math.nan, n)


def mean_interval(values: np.ndarray) -> Interval:
    """The mean of values (n,) with Student's interval; unknown for n = 1."""
    mean, sd, n = moments(values)
    return _student(mean, sd / math.sqrt(max(n, 1)), n - 1)


def share_interval(k: int, n: int) -> Interval:
    """Of the share k / n, n > 0, by Wilson's score interval (1927)."""
    ends = stats.binomtest(k, n).proportion_ci(LEVEL, "wilson")
    return Interval(k / n, float(ends.low), float(ends.high))


def new_mean(values: np.ndarray, n_new: int = 1, variance: float = 0.0) -> Interval:
    """Where the mean of ``n_new`` new runs is expected, from the values (n,) of runs; unknown for n = 1.

    m ± t sqrt(s^2 (1 / n + 1 / n_new) + variance): the prediction interval of Hahn and Meeker, Statistical Intervals
    (1991), 4.8, with a known variance that the new runs have besides, and degrees of freedom by Satterthwaite (1946).
    """
    mean, sd, n = moments(values)
    total, dof = _satterthwaite((sd**2 * (1.0 / max(n, 1) + 1.0 / n_new), n - 1), (variance, math.inf))
    return _student(mean, math.sqrt(total), dof)


def split_variance(p: float, n_ours: int, n_theirs: int) -> float:
    """Variance of the difference of two accuracies near ``p`` (0..1) on independent splits of so many pictures."""
    return p * (1.0 - p) * (1.0 / n_ours + 1.0 / n_theirs)


@dataclass(frozen=True)
class Difference:
    """mean(a) - mean(b), by ``method`` "paired by seed" or "Welch".

    p: of the two-sided test that it is 0. detectable: the smallest true difference that a test at the 5 % level finds
    in 80 % of cases, with these standard deviations and numbers of values. Both are NaN if the interval is unknown.
    """

    interval: Interval
    p: float
    method: str
    detectable: float


def difference(a: pd.Series[float], b: pd.Series[float]) -> Difference:
    """mean(a) - mean(b) of scores (n,) and (m,), indexed by seed.

    Scores of the same two or more seeds are paired: Student's t of their differences, as `scipy.stats.ttest_rel`.
    Others, and pairs that all have the same difference although the scores vary, are compared by `welch`.
    """
    ours, theirs = dict(zip(a.index, a, strict=True)), dict(zip(b.index, b, strict=True))
    if ours.keys() == theirs.keys() and len(ours) == len(a) == len(b) > 1:
        changes = np.array([value - theirs[seed] for seed, value in ours.items()])
        change = moments(changes, scale=max(a.abs().max(), b.abs().max()))
        if change.sd > 0.0 or change.mean == 0.0:
            return replace(welch(change, Moments(0.0, 0.0, change.n)), method="paired by seed")
    return welch(moments(a.to_numpy()), moments(b.to_numpy()))


def welch(a: Moments, b: Moments, variance: float = 0.0) -> Difference:
    """a.mean - b.mean of independent values, each side with a variance of its own; unknown if n = 1 on a side.

    Welch (1947), as `scipy.stats.ttest_ind` with ``equal_var=False``. variance: of the difference, known besides. A
    difference of moments that do not vary is certain.
    """
    parts = [(side.sd**2 / max(side.n, 1), side.n - 1) for side in (a, b)]
    total, dof = _satterthwaite(*parts, (variance, math.inf))
    centre, error, p, detectable = a.mean - b.mean, math.sqrt(total), math.nan, math.nan
    interval = _student(centre, error, dof)
    if interval.known:
        p = 2.0 * float(stats.t.sf(abs(centre) / error, dof)) if error > 0.0 else float(centre == 0.0)
        detectable = error * float(stats.t.ppf([0.5 + LEVEL / 2, _POWER], dof).sum())
    return Difference(interval, p, "Welch", detectable)


def holm(p: np.ndarray, others: int = 0) -> np.ndarray:
    """p values (m,) adjusted for the number of tests by Holm's method (1979); NaN is no test.

    others: how many more tests there are, with larger p.
    """
    adjusted, order = np.full(p.size, np.nan), np.argsort(p)
    order = order[: np.isfinite(p).sum()]
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(order.size + others, others, -1)), 1.0)
    return adjusted


@dataclass(frozen=True)
class Trend:
    """A straight line through scores over x: its slope per unit of x, and its value at each x (k,).

    p_fit: of the test that the mean scores are on a line, which ``fits`` if that is not rejected at the 5 % level; NaN
    for fewer than 3 places or 2 seeds. n_seeds: those with a score at each x.
    """

    slope: Interval
    line: np.ndarray
    p_fit: float
    fits: bool
    n_seeds: int


def trend(x: np.ndarray, scores: pd.DataFrame) -> Trend:
    """The least-squares slope of each seed over x (k,), and Student's interval of their mean.

    The unit is the seed, since scores of one seed are not independent. Lack of fit: F test of the mean scores around
    the line against the interaction of seeds and places (Draper and Smith, Applied Regression Analysis (1998), 2.1,
    with the seeds as blocks).

    scores: (n, k), a row for each seed, columns in the order of x. Raises UserError if no seed has all scores,
    ValueError if all x are the same.
    """
    y = complete(scores).to_numpy()
    (n, k), shift = y.shape, x - x.mean()
    if not shift.any():
        raise ValueError("all x are the same")
    slope = mean_interval(y @ shift / (shift @ shift))
    means, p_fit = y.mean(axis=0), math.nan
    line = means.mean() + slope.centre * shift
    if n > 1 and k > 2:
        misfit, (error, dof) = n * float(((means - line) ** 2).sum()) / (k - 2), interaction(y)
        exact = (_ROUNDING * float(np.abs(y).max())) ** 2
        p_fit = float(stats.f.sf(misfit / error, k - 2, dof)) if error > exact else float(misfit <= n * exact)
    return Trend(slope, line, p_fit, not p_fit <= 1.0 - LEVEL, n)


def complete(scores: pd.DataFrame) -> pd.DataFrame:
    """The rows without a missing value, as float64. Raises UserError if there are none."""
    whole = scores.astype(np.float64).dropna()
    if whole.empty:
        raise UserError("no seed has a result at every place")
    return whole


def interaction(scores: np.ndarray) -> tuple[float, int]:
    """Mean square of the interaction of seeds and places in scores (n, k), and its degrees of freedom (n - 1)(k - 1).

    It is the variance of a run, without what a seed changes at all places alike; NaN for 0 degrees of freedom.
    """
    rest = scores - scores.mean(axis=1, keepdims=True) - scores.mean(axis=0) + scores.mean()
    dof = (scores.shape[0] - 1) * (scores.shape[1] - 1)
    return (float((rest**2).sum()) / dof if dof else math.nan), dof


def learns(values: np.ndarray, chance: float, n_pictures: int) -> np.ndarray:
    """Which accuracies (n,) on so many pictures are more than 5 binomial standard deviations above chance, bool."""
    return values > chance + _SURE * math.sqrt(chance * (1.0 - chance) / n_pictures)


def _satterthwaite(*parts: tuple[float, float]) -> tuple[float, float]:
    """Sum of variances, each with its degrees of freedom, and the degrees of freedom of the sum."""
    total, below = sum(part for part, _ in parts), sum(part**2 / dof for part, dof in parts if part > 0.0)
    return total, total**2 / below if below > 0.0 else math.inf


def _student(centre: float, error: float, dof: float) -> Interval:
    """centre ± t(dof) times its standard error."""
    half = float(stats.t.ppf(0.5 + LEVEL / 2, dof)) * error if math.isfinite(error) else math.nan
    return Interval(centre, centre - half, centre + half)
