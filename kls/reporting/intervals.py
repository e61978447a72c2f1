"""95 % intervals by Student's t: of a difference of means, of a new run, and of a slope."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.95


@dataclass(frozen=True)
class Interval:
    """An estimate and the ends of its interval, NaN where there are too few values for one."""

    centre: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        return math.isfinite(self.low) and math.isfinite(self.high)

    def holds(self, value: float) -> bool:
        """Whether ``value`` is between the ends, or one of them."""
        return self.low <= value <= self.high


def new_mean(values: np.ndarray, n_new: int = 1) -> Interval:
    """Where the mean of ``n_new`` new runs is to be expected, from the mean and sd of ``values`` (n,).

    m ± t(n - 1) s sqrt(1 / n + 1 / n_new), the prediction interval (Hahn and Meeker, Statistical Intervals, 1991,
    4.8); unknown for n = 1.
    """
    n = values.size
    spread = float(values.std(ddof=1)) * math.sqrt(1.0 / n + 1.0 / n_new) if n > 1 else math.nan
    return _around(float(values.mean()), spread, n - 1)


def welch(a: np.ndarray, b: np.ndarray) -> Interval:
    """mean(a) - mean(b) of independent values (n,) and (m,) with variances of their own; unknown if n or m is 1."""
    sides = [(float(v.mean()), float(v.std(ddof=1)) if v.size > 1 else math.nan, v.size) for v in (a, b)]
    return welch_from_moments(*sides)


def welch_from_moments(a: tuple[float, float, int], b: tuple[float, float, int]) -> Interval:
    """`welch` from mean, standard deviation and number of each side.

    Degrees of freedom of Welch (1947) and Satterthwaite (1946). Sides without any spread give an interval of
    width 0.
    """
    parts = [sd**2 / n if n > 1 else math.nan for _, sd, n in (a, b)]
    variance, dof = sum(parts), 1.0
    if variance > 0.0:
        dof = variance**2 / sum(part**2 / (n - 1) for part, (_, _, n) in zip(parts, (a, b), strict=True))
    return _around(a[0] - b[0], math.sqrt(variance), dof)


def paired(a: np.ndarray, b: np.ndarray) -> Interval:
    """mean(a - b) of values (n,) that belong together one by one; unknown for n = 1."""
    differences = a - b
    n = differences.size
    spread = float(differences.std(ddof=1)) / math.sqrt(n) if n > 1 else math.nan
    return _around(float(differences.mean()), spread, n - 1)


def slope(x: np.ndarray, y: np.ndarray) -> Interval:
    """Slope of the least-squares line of y (n,) over x (n,); unknown for n < 3.

    Raises ValueError where all x are the same.
    """
    if np.ptp(x) == 0.0:
        raise ValueError("all x are the same")
    fit = stats.linregress(x, y)
    return _around(float(fit.slope), float(fit.stderr) if x.size > 2 else math.nan, x.size - 2)


def spread_ratio(published: np.ndarray, ours: np.ndarray) -> tuple[float, float]:
    """sd of ``published`` (k,) over sd of ``ours`` (n,), and the p value of an F test that it is not above 1."""
    ratio = float(published.std(ddof=1) / ours.std(ddof=1))
    return ratio, float(stats.f.sf(ratio**2, published.size - 1, ours.size - 1))


def _around(centre: float, spread: float, dof: float) -> Interval:
    half = float(stats.t.ppf(0.5 + LEVEL / 2, dof)) * spread if math.isfinite(spread) else math.nan
    return Interval(centre, centre - half, centre + half)
