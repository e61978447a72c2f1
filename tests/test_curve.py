"""The place of an optimum: what the curve through exact and noisy scores says of it."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from kls.analysis.additive import additive
from kls.analysis.curve import optimum, seed_optima, top
from kls.errors import UserError

X = np.logspace(-3.0, -1.0, 9)


def peak(x: np.ndarray, place: float) -> np.ndarray:
    """An accuracy that falls by 2 points a decade squared from 54 % at 10^place."""
    return 0.54 - 0.02 * (np.log10(x) - place) ** 2


def noisy(shape: tuple[int, ...]) -> np.ndarray:
    return 0.005 * np.random.default_rng(0).standard_normal(shape)


def test_the_peak_of_exact_scores_is_found_between_the_places() -> None:
    found = optimum(X, peak(X, -2.1), log=True)
    assert np.log10([found.place.centre, found.place.low, found.place.high]) == pytest.approx(-2.1, abs=0.02)
    assert found.at_end is None
    np.testing.assert_allclose(found.mean, peak(found.x, -2.1), atol=1e-4)
    assert (found.x[0], found.x[-1], found.x.size) == (X[0], X[-1], 401)


def test_noise_widens_the_interval_and_the_flat_part() -> None:
    scores = pd.DataFrame(peak(X, -2.1) + noisy((6, 9)) + np.arange(6.0)[:, None])
    found = optimum(X, scores, log=True)
    low, centre, high = np.log10([found.place.low, found.place.centre, found.place.high])
    assert low < -2.1 < high
    assert 0.2 < high - low < 1.0
    assert centre == pytest.approx(-2.1, abs=0.3)
    assert found.flat[0] < found.place.centre < found.flat[1]
    # what a seed changes at all places alike is no noise: the band is that of noise of 0.5 points and six seeds
    assert np.all((found.low < found.mean) & (found.mean < found.high))
    assert np.median(found.high - found.low) < 4.0 * 0.005 / np.sqrt(6.0)


def test_the_scale_and_the_unit_of_the_scores_do_not_matter() -> None:
    scores = peak(X, -2.1) + noisy((9,))
    share, percent = optimum(X, scores, log=True), optimum(X, 100.0 * scores - 7.0, log=True)
    assert percent.place == share.place
    np.testing.assert_allclose(percent.high, 100.0 * share.high - 7.0)


def test_a_steep_fall_leaves_the_top_narrow() -> None:
    x = np.logspace(-4.0, -1.0, 13)
    scores = peak(x, -2.5) + noisy((13,)) - 0.3 * np.clip(np.log10(x) + 1.75, 0.0, None)
    assert scores[-1] < 0.3
    place = optimum(x, scores, log=True).place
    assert place.holds(10**-2.5)
    assert np.log10(place.high / place.low) < 0.75


@pytest.mark.parametrize(("place", "end"), [(-3.5, "smallest"), (-0.5, "largest"), (-2.0, None)])
def test_an_optimum_at_an_end_is_said(place: float, end: str | None) -> None:
    found = optimum(X, peak(X, place), log=True)
    assert found.at_end == end
    assert end is None or found.place.centre == (X[0] if end == "smallest" else X[-1])


def test_scores_that_say_nothing_leave_the_place_open() -> None:
    found = optimum(X, noisy((9,)), log=True)
    assert found.place.high / found.place.low > 30.0
    equal = optimum(X, np.full(9, 0.1), log=True)
    assert equal.place.high / equal.place.low > 30.0
    assert equal.flat == (X[0], X[-1])
    np.testing.assert_allclose([equal.low, equal.high], 0.1)


def test_x_need_not_be_logarithmic_and_may_be_zero() -> None:
    x = np.linspace(0.0, 1.0, 11)
    found = optimum(x, -((x - 0.3) ** 2), log=False)
    assert found.place.centre == pytest.approx(0.3, abs=0.01)
    with pytest.raises(UserError, match="needs results at two values, all above 0"):
        optimum(x, x, log=True)


def test_runs_without_a_score_are_left_out_and_seeds_with_gaps_have_no_optimum_of_their_own() -> None:
    scores = peak(X, -2.1) + noisy((4, 9))
    gap = scores.copy()
    gap[3, 2] = np.nan
    pd.testing.assert_series_equal(
        seed_optima(X, pd.DataFrame(gap), log=True), seed_optima(X, pd.DataFrame(scores[:3]), log=True)
    )
    single = np.r_[scores[0, :4], np.nan, scores[0, 5:]]
    assert optimum(X, single, log=True).place == optimum(np.delete(X, 4), np.delete(single, 4), log=True).place


def test_one_value_has_no_optimum() -> None:
    with pytest.raises(UserError, match="needs results at two values"):
        optimum(np.array([0.1, 0.1]), np.array([0.5, 0.6]), log=True)
    with pytest.raises(UserError, match="no seed has a result at every place"):
        seed_optima(X[:2], pd.DataFrame([[0.5, np.nan], [np.nan, 0.5]]), log=True)
    assert optimum(X[:2], np.array([0.5, 0.6]), log=True).place.holds(X[1])


def test_each_seed_has_its_own_optimum_between_the_places() -> None:
    own = pd.Series([-2.3, -2.1, -1.9], index=[7, 8, 9])
    scores = pd.DataFrame([peak(X, place) for place in own], index=own.index)
    found = np.log10(seed_optima(X, scores, log=True))
    pd.testing.assert_series_equal(found, own, atol=0.03, check_names=False)
    assert (seed_optima(X, pd.DataFrame([peak(X, -4.0), peak(X, -4.1)]), log=True) == X[0]).all()


def test_the_result_is_the_same_each_time_and_soon_there() -> None:
    x = 10.0 ** np.random.default_rng(1).uniform(-5.0, -1.0, 100)
    scores = peak(x, -2.5) + noisy((100,))
    first, start = optimum(x, scores, log=True), time.perf_counter()
    assert optimum(x, scores, log=True).place == first.place
    assert time.perf_counter() - start < 2.0
    assert np.log10(first.place.high / first.place.low) < 0.4


def test_the_place_alone_is_that_of_the_optimum() -> None:
    scores = pd.DataFrame(peak(X, -2.1) + noisy((3, 9)))
    scores.iloc[1, 4] = np.nan
    for some in (scores, scores.iloc[0].dropna()):
        x = X if isinstance(some, pd.DataFrame) else X[some.index]
        assert top(x, some, log=True) == optimum(x, some, log=True).place.centre


def test_a_gap_leaves_the_curve_as_it_is_and_costs_one_run() -> None:
    """What the seed of the gap changes everywhere, 20 points, does not move the place where it is missing."""
    widths = []
    for draw in range(10):
        noise = 0.005 * np.random.default_rng(draw).standard_normal((4, 9))
        scores = pd.DataFrame(peak(X, -2.1) + noise + np.array([[0.0], [0.0], [0.0], [0.2]]))
        whole, gap = optimum(X, scores, log=True), scores.copy()
        gap.iloc[3, 5] = np.nan
        found, three = optimum(X, gap, log=True), optimum(X, scores.iloc[:3], log=True)
        np.testing.assert_allclose(found.mean - found.mean.max(), whole.mean - whole.mean.max(), atol=0.003)
        assert np.log10(found.place.centre) == pytest.approx(np.log10(whole.place.centre), abs=0.1)
        widths.append([np.log10(each.place.high / each.place.low) for each in (whole, found, three)])
    complete, with_a_gap, without_the_seed = np.mean(widths, axis=0)
    assert with_a_gap < without_the_seed
    assert with_a_gap == pytest.approx(complete, abs=0.05)


def test_scores_in_parts_are_those_of_a_complete_table() -> None:
    scores = pd.DataFrame(peak(X, -2.1) + noisy((3, 9)))
    parts = pd.concat([scores.iloc[:, :4].reindex(columns=scores.columns), scores.iloc[:, 4:]])
    parts = parts.reindex(columns=scores.columns)  # six rows of three seeds, which stages of a search may be
    assert optimum(X, parts, log=True).place == optimum(X, scores, log=True).place


def test_a_place_with_100_runs_counts_as_100() -> None:
    """100 runs at 0.5 and 0.52, single ones elsewhere: the curve passes through the mean of the 100."""
    x, single = np.linspace(0.0, 1.0, 6), 0.5 + noisy((6,))
    many = pd.DataFrame([single] + [np.where(np.arange(6) == 3, value, np.nan) for value in [0.5, 0.52] * 50])
    for index in (np.zeros(101, int), np.arange(101)):  # one seed at each, or seeds that have been nowhere else
        found = additive(many.to_numpy(), index)
        assert found.weighted(np.eye(6)).diagonal().tolist() == [1.0, 1.0, 1.0, 101.0, 1.0, 1.0]
        assert found.noise == (pytest.approx(0.01**2 * 100 / 100, rel=0.05), 100)
        curve = optimum(x, many.set_axis(index), log=False)
        at = np.searchsorted(curve.x, x[3])
        assert curve.mean[at] == pytest.approx((51.0 + single[3]) / 101, abs=0.003)
        assert curve.high[at] - curve.low[at] < 0.5 * (curve.high[0] - curve.low[0])


def test_what_seeds_with_holes_change_is_removed() -> None:
    """Seeds that move all scores by up to 40 points: what is left is what places and noise make."""
    places, rng = np.array([0.1, 0.3, 0.2, 0.25, 0.05]), np.random.default_rng(4)
    scores = places + np.array([[0.0], [0.4], [0.1], [-0.3]]) + 0.001 * rng.standard_normal((4, 5))
    scores[[0, 1, 1, 2], [1, 0, 4, 2]] = np.nan
    found = additive(scores, np.arange(4))
    np.testing.assert_allclose(found.means - found.means[0], places - places[0], atol=0.003)
    variance, dof = found.noise
    assert dof == 16 - (4 + 5 - 1)
    assert 0.0004 < np.sqrt(variance) < 0.002
    assert found.weighted(np.eye(5)).sum() == pytest.approx(16.0)  # runs in all
    design = np.hstack([np.eye(5)[found.place], np.eye(4)[found.seed]])
    least_squares = np.linalg.pinv(design.T @ design)[:5, :5]
    contrasts = np.eye(5)[1:] - np.eye(5)[:1]
    expected = contrasts @ least_squares @ contrasts.T  # variances of differences between places
    np.testing.assert_allclose(contrasts @ np.linalg.inv(found.weighted(np.eye(5))) @ contrasts.T, expected, atol=1e-4)


def test_seeds_that_share_nothing_are_part_of_the_noise() -> None:
    diagonal = np.where(np.eye(9) > 0.0, peak(X, -2.1) + noisy((9,)), np.nan)
    found = additive(diagonal, np.arange(9))
    assert (found.seeds_apart, found.noise[1]) == (False, 0)
    single = optimum(X, np.diagonal(diagonal), log=True)
    assert optimum(X, pd.DataFrame(diagonal), log=True).place == single.place
