"""Intervals, differences and trends against SciPy and values computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from kls.analysis.statistics import (
    Interval,
    Moments,
    difference,
    holm,
    interaction,
    learns,
    mean_interval,
    moments,
    new_mean,
    split_variance,
    trend,
    welch,
)
from kls.errors import UserError

A = np.array([51.0, 52.0, 53.0])
B = np.array([50.0, 49.0, 51.0, 50.0])
FLAT = np.full(3, 0.1)

# scipy.stats.t.ppf(0.975, dof), SciPy 1.17
QUANTILES = {
    1: 12.706204736174694,
    2: 4.302652729749462,
    3: 3.1824463052837078,
    4: 2.7764451051977934,
    5: 2.5705818356363146,
    9: 2.262157162798205,
    10: 2.228138851986274,
    29: 2.045229642132703,
    30: 2.0422724563012378,
    99: 1.9842169515864174,
    1000: 1.9623390808264083,
}


def of_seeds(values: np.ndarray, first: int = 0) -> pd.Series[float]:
    """Scores indexed by tuples of one seed, as the samples of groups are."""
    seeds = [(first + i,) for i in range(len(values))]
    return pd.Series(values, index=pd.Index(seeds, tupleize_cols=False))


@pytest.mark.parametrize(("dof", "quantile"), QUANTILES.items())
def test_the_interval_of_a_mean_is_students(dof: int, quantile: float) -> None:
    values = np.r_[np.zeros(dof), 1.0]
    interval = mean_interval(values)
    assert interval.centre == pytest.approx(1.0 / (dof + 1))
    assert interval.high - interval.centre == pytest.approx(quantile * stats.sem(values), rel=1e-12)
    assert interval.centre - interval.low == pytest.approx(interval.high - interval.centre, rel=1e-12)


def test_where_a_new_run_is_expected() -> None:
    # sd 1, n 3: 52 ± 4.302652729749462 * sqrt(1/3 + 1) = 52 ± 4.968275...
    one, four = new_mean(A), new_mean(A, 4)
    assert one.centre == 52.0
    assert one.high - 52.0 == pytest.approx(4.302652729749462 * math.sqrt(4.0 / 3.0), rel=1e-12)
    assert 52.0 - one.low == pytest.approx(one.high - 52.0, rel=1e-12)
    assert four.high - 52.0 == pytest.approx(4.302652729749462 * math.sqrt(1.0 / 3.0 + 0.25), rel=1e-12)


def test_the_mean_of_endlessly_many_new_runs_has_students_interval() -> None:
    low, high = stats.t.interval(0.95, 2, loc=52.0, scale=1.0 / math.sqrt(3.0))
    found = new_mean(A, 10**12)
    assert (found.low, found.high) == (pytest.approx(low, rel=1e-9), pytest.approx(high, rel=1e-9))


def test_another_split_widens_the_interval_of_a_new_run() -> None:
    # variance 4/3 with 2 degrees of freedom and 2/3 that is known: 2 in all, with 2 * (2 / (4/3))^2 = 4.5
    found = new_mean(A, variance=2.0 / 3.0)
    assert found.high - 52.0 == pytest.approx(stats.t.ppf(0.975, 4.5) * math.sqrt(2.0), rel=1e-12)
    assert new_mean(np.full(3, 0.5), variance=0.01).high == pytest.approx(0.5 + 1.959963984540054 * 0.1)
    # findings of 54 % on two splits of 5,000 pictures each differ by 1 point
    assert math.sqrt(split_variance(0.54, 5000, 5000)) == pytest.approx(math.sqrt(2.0 * 0.54 * 0.46 / 5000))


def test_welch_agrees_with_scipy() -> None:
    expected = stats.ttest_ind(A, B, equal_var=False)
    interval = expected.confidence_interval(0.95)
    found = difference(of_seeds(A), of_seeds(B))
    assert (found.method, found.interval.centre) == ("Welch", 2.0)
    assert (found.interval.low, found.interval.high) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert found.p == pytest.approx(expected.pvalue)
    error = (interval.high - 2.0) / stats.t.ppf(0.975, expected.df)
    assert found.detectable == pytest.approx(stats.t.ppf([0.975, 0.8], expected.df).sum() * error)


def test_welch_of_moments_agrees_with_scipy() -> None:
    sides = (52.3, 0.4, 5), (51.9, 0.2, 3)
    found = welch(Moments(*sides[0]), Moments(*sides[1]))
    assert found.p == pytest.approx(stats.ttest_ind_from_stats(*sides[0], *sides[1], equal_var=False).pvalue)
    assert found.interval.centre == pytest.approx(0.4)
    assert welch(moments(A), moments(B)) == difference(of_seeds(A), of_seeds(B))
    wider = welch(Moments(*sides[0]), Moments(*sides[1]), variance=1.0)
    assert wider.interval.high - 0.4 == pytest.approx(1.96 * math.sqrt(1.0 + 0.032 + 0.04 / 3), rel=0.01)


def test_the_same_seeds_are_paired_whatever_their_order() -> None:
    a, b = np.array([52.0, 53.0, 55.0]), np.array([51.0, 51.0, 52.0])
    expected = stats.ttest_rel(a, b)
    interval = expected.confidence_interval(0.95)
    found = difference(of_seeds(a), of_seeds(b)[::-1])
    # differences 1, 2, 3: 2 ± 4.302652729749462 / sqrt(3)
    assert found.method == "paired by seed"
    assert found.interval.high == pytest.approx(2.0 + 4.302652729749462 / math.sqrt(3.0), rel=1e-12)
    assert (found.interval.low, found.interval.high) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert found.p == pytest.approx(expected.pvalue)
    assert found.detectable == pytest.approx((4.302652729749462 + stats.t.ppf(0.8, 2)) / math.sqrt(3.0))


@pytest.mark.parametrize("other", [of_seeds(A, first=1), of_seeds(B), of_seeds(A).set_axis([(0,), (1,), (1,)])])
def test_other_seeds_are_not_paired(other: pd.Series[float]) -> None:
    assert difference(of_seeds(A), other).method == "Welch"
    assert difference(other, of_seeds(A)).method == "Welch"


def test_values_that_do_not_vary() -> None:
    same = difference(of_seeds(FLAT), of_seeds(FLAT))
    assert (same.interval, same.p, same.detectable) == (Interval(0.0, 0.0, 0.0), 1.0, 0.0)
    assert same.method == "paired by seed"
    apart = difference(of_seeds(FLAT + 0.2), of_seeds(FLAT))
    assert (apart.interval.low, apart.interval.high, apart.p) == (apart.interval.centre, apart.interval.centre, 0.0)
    assert apart.interval.centre == pytest.approx(0.2)
    assert difference(of_seeds(np.full(4, 0.1)), of_seeds(FLAT)).p == 1.0
    assert new_mean(FLAT) == mean_interval(FLAT) == Interval(0.1, 0.1, 0.1)
    assert new_mean(FLAT).holds(0.1)


def test_pairs_with_one_difference_are_compared_by_their_own_variances() -> None:
    a = np.array([0.51, 0.52, 0.54])
    found = difference(of_seeds(a), of_seeds(a - 0.01))  # the differences are 0.01 up to rounding
    assert found.method == "Welch"
    assert found.interval.holds(0.0)


@pytest.mark.parametrize(
    "unknown",
    [
        mean_interval(A[:1]),
        new_mean(A[:1]),
        new_mean(A[:1], variance=1.0),
        difference(of_seeds(A[:1]), of_seeds(B)).interval,
        difference(of_seeds(A), of_seeds(B[:1])).interval,
        difference(of_seeds(A[:1]), of_seeds(B[:1])).interval,
        trend(np.arange(3.0), pd.DataFrame([A])).slope,
    ],
)
def test_too_few_values_give_no_interval(unknown: Interval) -> None:
    assert not unknown.known
    assert math.isfinite(unknown.centre)
    assert not unknown.holds(unknown.centre)


def test_a_difference_of_single_runs_has_no_p() -> None:
    found = difference(of_seeds(A[:1]), of_seeds(B[:1]))
    assert found.interval.centre == 1.0
    assert math.isnan(found.p)
    assert math.isnan(found.detectable)


def test_holm_adjusts_by_how_many_tests_are_left() -> None:
    # sorted: 4 * 0.01, 3 * 0.015, 2 * 0.03, then 0.2; none below the one before
    p = np.array([0.03, 0.01, math.nan, 0.2, 0.015])
    np.testing.assert_allclose(holm(p), [0.06, 0.04, math.nan, 0.2, 0.045])
    np.testing.assert_allclose(holm(np.array([0.02, 0.019, 0.9])), [0.057, 0.057, 0.9])
    np.testing.assert_allclose(holm(np.array([0.7, 0.8])), [1.0, 1.0])
    assert np.isnan(holm(np.array([math.nan]))).all()
    np.testing.assert_array_equal(holm(p, 3), holm(np.r_[p, 1.0, 1.0, 1.0])[: len(p)])


def test_a_slope_is_that_of_the_seeds() -> None:
    x = np.array([0.0, 1.0, 2.0, 3.0])
    scores = pd.DataFrame([[1.0, 3.0, 5.0, 8.0], [2.0, 2.5, 3.0, 3.5], [0.0, 1.0, 2.0, 3.0], [5.0, np.nan, 1.0, 1.0]])
    found = trend(x, scores)
    slopes = [stats.linregress(x, row).slope for row in scores.to_numpy()[:3]]
    np.testing.assert_allclose(slopes, [2.3, 0.5, 1.0])
    low, high = stats.t.interval(0.95, 2, loc=np.mean(slopes), scale=stats.sem(slopes))
    assert (found.slope.centre, found.slope.low, found.slope.high) == pytest.approx((3.8 / 3.0, low, high))
    assert found.n_seeds == 3
    # means 1, 13/6, 10/3, 29/6, of mean 17/6
    np.testing.assert_allclose(found.line, 17.0 / 6.0 + 3.8 / 3.0 * (x - 1.5))


def test_lack_of_fit_is_tested_against_the_interaction() -> None:
    x, noise = np.arange(4.0), np.array([[0.1, -0.2, 0.3, 0.0], [0.0, 0.1, -0.1, 0.2], [-0.2, 0.1, 0.0, 0.1]])
    scores = pd.DataFrame(x**2 + noise + np.array([[5.0], [0.0], [-5.0]]))
    found = trend(x, scores)
    means, (n, k) = scores.to_numpy().mean(axis=0), scores.shape
    misfit = n * ((means - np.polyval(np.polyfit(x, means, 1), x)) ** 2).sum() / (k - 2)
    rest = scores.to_numpy() - scores.to_numpy().mean(axis=1, keepdims=True) - means + means.mean()
    assert interaction(scores.to_numpy()) == (pytest.approx((rest**2).sum() / 6), 6)
    assert found.p_fit == pytest.approx(stats.f.sf(misfit / ((rest**2).sum() / 6), 2, 6))
    assert not found.fits
    assert trend(x, scores - x**2).fits


def test_a_line_of_two_places_or_one_seed_is_not_tested() -> None:
    for found in (trend(np.arange(2.0), pd.DataFrame([A[:2], A[1:]])), trend(np.arange(3.0), pd.DataFrame([A]))):
        assert math.isnan(found.p_fit)
        assert found.fits


def test_seeds_that_agree_fit_a_line_or_do_not() -> None:
    assert trend(np.arange(3.0), pd.DataFrame([A, A])).p_fit == 1.0
    assert trend(np.arange(3.0), pd.DataFrame([A**2, A**2])).p_fit == 0.0


def test_no_trend_without_whole_seeds_or_different_places() -> None:
    with pytest.raises(UserError, match="no seed has a result at every place"):
        trend(np.arange(2.0), pd.DataFrame([[1.0, np.nan], [np.nan, 1.0]]))
    with pytest.raises(ValueError, match="all x are the same"):
        trend(np.ones(3), pd.DataFrame([A]))


def test_learning_is_more_than_guessing_can_score() -> None:
    # 0.1 + 5 sqrt(0.09 / 10000) = 0.115; of 500 pictures 0.167
    assert learns(np.array([0.1, 0.115, 0.1151]), 0.1, 10_000).tolist() == [False, False, True]
    assert learns(np.array([0.16, 0.17]), 0.1, 500).tolist() == [False, True]
