"""Intervals of differences, new runs and slopes, against hand-computed values and SciPy."""

import math

import numpy as np
import pytest
from scipy import stats

from kls.reporting.intervals import (
    Interval,
    new_mean,
    paired,
    slope,
    spread_ratio,
    welch,
    welch_from_moments,
)

A = np.array([51.0, 52.0, 53.0])
B = np.array([50.0, 49.0, 51.0, 50.0])


def test_where_a_new_run_is_expected() -> None:
    # sd 1, n 3: 52 ± 4.302652729749462 * sqrt(1/3 + 1) = 52 ± 4.968275...
    found = new_mean(A)
    assert found.centre == 52.0
    assert found.high - 52.0 == pytest.approx(4.302652729749462 * math.sqrt(4.0 / 3.0), rel=1e-12)
    assert 52.0 - found.low == pytest.approx(found.high - 52.0, rel=1e-12)
    of_four = new_mean(A, 4)
    assert of_four.high - 52.0 == pytest.approx(4.302652729749462 * math.sqrt(1.0 / 3.0 + 0.25), rel=1e-12)


def test_the_mean_of_endlessly_many_new_runs_has_students_interval() -> None:
    low, high = stats.t.interval(0.95, 2, loc=52.0, scale=1.0 / math.sqrt(3.0))
    found = new_mean(A, 10**12)
    assert (found.low, found.high) == (pytest.approx(low, rel=1e-9), pytest.approx(high, rel=1e-9))


def test_welch_agrees_with_scipy_and_with_moments() -> None:
    expected = stats.ttest_ind(A, B, equal_var=False).confidence_interval(0.95)
    found = welch(A, B)
    assert found.centre == 2.0
    assert (found.low, found.high) == (pytest.approx(expected.low), pytest.approx(expected.high))
    sides = [(float(v.mean()), float(v.std(ddof=1)), v.size) for v in (A, B)]
    assert welch_from_moments(*sides) == found


def test_pairs_agree_with_scipy() -> None:
    a, b = np.array([52.0, 53.0, 55.0]), np.array([51.0, 51.0, 52.0])
    expected = stats.ttest_rel(a, b).confidence_interval(0.95)
    found = paired(a, b)
    # differences 1, 2, 3: 2 ± 4.302652729749462 / sqrt(3)
    assert found.high == pytest.approx(2.0 + 4.302652729749462 / math.sqrt(3.0), rel=1e-12)
    assert (found.low, found.high) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_a_slope_agrees_with_scipy() -> None:
    x, y = np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.0, 3.0, 5.0, 8.0])
    # slope 2.3; residuals 0.2, -0.1, -0.4, 0.3: s^2 = 0.3 / 2, standard error sqrt(0.15 / 5)
    found = slope(x, y)
    assert found.centre == pytest.approx(2.3)
    assert found.high - found.centre == pytest.approx(4.302652729749462 * math.sqrt(0.03))
    with pytest.raises(ValueError, match="all x are the same"):
        slope(np.ones(3), y[:3])


@pytest.mark.parametrize(
    "unknown", [new_mean(A[:1]), welch(A[:1], B), welch(A, B[:1]), paired(A[:1], B[:1]), slope(A[:2], B[:2])]
)
def test_too_few_values_give_no_interval(unknown: Interval) -> None:
    assert not unknown.known
    assert math.isfinite(unknown.centre)
    assert not unknown.holds(unknown.centre)


def test_values_without_spread_give_an_interval_of_no_width() -> None:
    flat = np.full(3, 10.0)
    assert welch(flat, flat) == Interval(0.0, 0.0, 0.0)
    assert welch(flat + 1.0, flat) == Interval(1.0, 1.0, 1.0)
    assert new_mean(flat) == Interval(10.0, 10.0, 10.0)
    assert new_mean(flat).holds(10.0)


def test_the_spread_of_published_figures_over_ours() -> None:
    ratio, p = spread_ratio(np.array([50.0, 52.0, 54.0]), np.array([53.0, 53.5, 54.0]))
    assert ratio == pytest.approx(4.0)
    assert p == pytest.approx(1.0 / 17.0)  # F of (2, 2): P(F > f) = 1 / (1 + f)
