"""1,000 made-up experiments of known truth: how often intervals hold it, and how often nothing is called something.

Scores are accuracies as shares: noise of 0.3 to 0.6 points, and what a seed changes everywhere alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from kls.analysis.curve import optimum, seed_optima, top
from kls.analysis.statistics import (
    difference,
    holm,
    mean_interval,
    moments,
    new_mean,
    split_variance,
    trend,
    welch,
)

TIMES = 1000
NOISE, SEED = 0.005, 0.003  # standard deviations
CALLED = 0.05 + 2.0 * math.sqrt(0.05 * 0.95 / TIMES)  # two standard deviations of the simulation above 5 %

rng = np.random.default_rng


def share(outcomes: Iterable[bool]) -> float:
    return float(np.mean(list(outcomes)))


def covers(outcomes: Iterable[bool]) -> bool:
    return 0.93 <= share(outcomes) <= 0.97


def runs(draw: np.random.Generator, means: np.ndarray, n: int, noise: float = NOISE) -> np.ndarray:
    """Scores (n, k) of n seeds with these true means (k,)."""
    own = SEED * draw.standard_normal((n, 1))
    return means + own + noise * draw.standard_normal((n, means.size))


def of(values: np.ndarray, first: int = 0) -> pd.Series[float]:
    return pd.Series(values, index=range(first, first + len(values)))


@pytest.mark.parametrize("n", [3, 5, 10])
def test_the_interval_of_a_mean_holds_the_truth(n: int) -> None:
    draw = rng(0)
    assert covers(mean_interval(runs(draw, np.array([0.54]), n)[:, 0]).holds(0.54) for _ in range(TIMES))


@pytest.mark.parametrize("n", [3, 5])
def test_differences_by_pairs(n: int) -> None:
    draw, means = rng(1), np.array([0.54, 0.53])
    found = [difference(*map(of, runs(draw, means, n).T)) for _ in range(TIMES)]
    assert {each.method for each in found} == {"paired by seed"}
    assert covers(each.interval.holds(0.01) for each in found)
    same = [difference(*map(of, runs(draw, means[:1].repeat(2), n).T)) for _ in range(TIMES)]
    assert share(each.p < 0.05 for each in same) <= CALLED


def test_differences_of_other_seeds() -> None:
    draw, first, second = rng(2), np.array([0.54]), np.array([0.53])
    pairs = [(of(runs(draw, first, 5, 0.002)[:, 0]), of(runs(draw, second, 5, 0.006)[:, 0], 5)) for _ in range(TIMES)]
    found = [difference(a, b) for a, b in pairs]
    assert {each.method for each in found} == {"Welch"}
    assert covers(each.interval.holds(0.01) for each in found)
    assert share(difference(a - 0.01, b).p < 0.05 for a, b in pairs) <= CALLED


@pytest.mark.parametrize(("first", "dof"), [(0, 4), (5, 8)], ids=["paired", "Welch"])
def test_the_detectable_difference_is_found_in_four_of_five_cases(first: int, dof: int) -> None:
    draw, found = rng(3), []
    sd = math.sqrt(NOISE**2 + (SEED**2 if first else 0.0)) * math.sqrt(2.0)  # of a difference of two runs
    unit = difference(of(np.array([-1.0, 1.0, 0.0])), of(np.zeros(3))).detectable / math.sqrt(1.0 / 3.0)
    assert unit == pytest.approx(stats.t.ppf([0.975, 0.8], 2).sum())  # in standard errors
    true = stats.t.ppf([0.975, 0.8], dof).sum() * sd / math.sqrt(5.0)
    for _ in range(TIMES):
        (a, b), c = runs(draw, np.array([0.54 + true, 0.54]), 5).T, runs(draw, np.array([0.54]), 5)[:, 0]
        found.append(difference(of(a), of(c if first else b, first)).p < 0.05)
    assert share(found) == pytest.approx(0.8, abs=0.04)


def test_of_five_tests_without_a_difference_one_is_called_in_5_percent_of_cases() -> None:
    draw, called = rng(4), []
    for _ in range(TIMES):
        y = runs(draw, np.full(6, 0.54), 5)
        p = np.array([difference(of(y[:, 0]), of(y[:, i])).p for i in range(1, 6)])
        called.append(bool((holm(p) < 0.05).any()))
    assert share(called) <= CALLED


@pytest.mark.parametrize("pictures", [None, 5000], ids=["test", "validation"])
def test_a_published_run_lies_in_the_prediction_interval(pictures: int | None) -> None:
    """A validation accuracy also varies with the split, which all of our seeds share."""
    draw, inside = rng(5), []
    sd = math.sqrt(split_variance(0.54, pictures, pictures) / 2.0) if pictures else 0.0
    for _ in range(TIMES):
        ours, theirs = 0.54 + sd * draw.standard_normal(2)
        values = runs(draw, np.array([ours]), 5)[:, 0]
        variance = split_variance(float(values.mean()), pictures, pictures) if pictures else 0.0
        inside.append(new_mean(values, variance=variance).holds(float(runs(draw, np.array([theirs]), 1)[0, 0])))
    assert covers(inside)


def test_a_published_mean_and_standard_deviation() -> None:
    draw, inside = rng(6), []
    sd = math.sqrt(split_variance(0.54, 5000, 5000) / 2.0)
    for _ in range(TIMES):
        ours, theirs = 0.54 + sd * draw.standard_normal(2)
        sides = [moments(runs(draw, np.array([mean]), n)[:, 0]) for mean, n in ((ours, 5), (theirs, 3))]
        inside.append(welch(*sides, variance=2.0 * sd**2).interval.holds(0.0))
    assert covers(inside)


@pytest.mark.parametrize("own", [0.0, 0.002], ids=["one slope", "slopes of their own"])
def test_a_slope_over_seeds(own: float) -> None:
    draw, x, found = rng(7), np.array([2.0, 4.0, 6.0, 9.0, 12.0]), []
    for _ in range(TIMES):
        slopes = 0.003 + own * draw.standard_normal((5, 1))
        found.append(trend(x, pd.DataFrame(runs(draw, np.full(5, 0.5), 5) + slopes * (x - x.mean()))))
    assert covers(each.slope.holds(0.003) for each in found)
    assert share(not each.fits for each in found) <= CALLED


def test_a_bend_does_not_fit_a_line() -> None:
    draw, x = rng(8), np.array([2.0, 4.0, 6.0, 9.0, 12.0])
    bend = 0.5 + 0.03 * (1.0 - np.exp(-(x - 2.0) / 2.0))
    assert share(not trend(x, pd.DataFrame(runs(draw, bend, 5))).fits for _ in range(200)) > 0.95


def accuracy(x: np.ndarray, place: float) -> np.ndarray:
    """A curve like those of lambda: 54 %, within 0.2 points over a factor of 5, 50 % at 1e-5 and 25 % at 1e-1."""
    t = np.log10(x) - place
    left, right = 0.36 * np.logaddexp(0.0, (-t - 0.4) / 0.2), 3.0 * np.logaddexp(0.0, (t - 0.5) / 0.1)
    return (54.0 - left - right) / 100.0


DESIGNS = {"20 single runs": None, "9 lambdas, 6 seeds": (9, 6, -3.0), "11 lambdas, 3 seeds": (11, 3, -5.0)}


def places(design: tuple[int, int, float] | None, times: int) -> list[bool]:
    """Whether the interval of the optimum's place held it."""
    draw, fine, held = rng(9), np.geomspace(1e-5, 1e-1, 8001), []
    for _ in range(times):
        place, noise = draw.uniform(-2.7, -2.1), draw.uniform(0.004, 0.006)
        scores: np.ndarray | pd.DataFrame
        if design is None:
            x = 10.0 ** draw.uniform(-5.0, -1.0, 20)
            scores = accuracy(x, place) + noise * draw.standard_normal(20)
        else:
            x = np.logspace(design[2], -1.0, design[0])
            scores = pd.DataFrame(runs(draw, accuracy(x, place), design[1], noise))
        true = float(fine[accuracy(fine, place).argmax()])
        held.append(optimum(x, scores, log=True).place.holds(true))
    return held


@pytest.mark.parametrize("design", DESIGNS)
def test_the_place_of_an_optimum(design: str) -> None:
    assert share(places(DESIGNS[design], 50)) >= 0.88


@pytest.mark.slow
@pytest.mark.parametrize("design", DESIGNS)
def test_the_place_of_an_optimum_in_1000_searches(design: str) -> None:
    assert share(places(DESIGNS[design], TIMES)) >= 0.93


STAGES = {"the same seed and another": (0, 1), "other seeds": (1, 2), "a fifth missing": None}


def places_with_holes(seeds: tuple[int, int] | None, times: int) -> list[bool]:
    """Nine lambdas with seed 0, then seven around their top with two seeds; or 9 lambdas, 6 seeds with holes."""
    draw, fine, held = rng(11), np.geomspace(1e-5, 1e-1, 8001), []
    for _ in range(times):
        place, x = draw.uniform(-2.7, -2.1), np.logspace(-5.0 if seeds else -3.0, -1.0, 9)
        if seeds is None:
            scores = pd.DataFrame(runs(draw, accuracy(x, place), 6), columns=x).mask(draw.uniform(size=(6, 9)) < 0.2)
        else:
            own = SEED * draw.standard_normal(3)
            first = pd.DataFrame([accuracy(x, place) + own[0] + NOISE * draw.standard_normal(9)], columns=x)
            around = np.clip(top(x, first.iloc[0], log=True) * np.geomspace(1.0 / 6.0, 6.0, 7), 1e-5, 1e-1)
            noise = NOISE * draw.standard_normal((2, 7))
            second = [accuracy(around, place) + own[seed] + noise[i] for i, seed in enumerate(seeds)]
            near = pd.DataFrame(second, index=list(seeds), columns=around)
            scores = pd.concat([first, near.loc[:, ~near.columns.duplicated()]]).sort_index(axis="columns")
        true = float(fine[accuracy(fine, place).argmax()])
        held.append(optimum(scores.columns.to_numpy(), scores, log=True).place.holds(true))
    return held


@pytest.mark.parametrize("seeds", STAGES)
def test_the_place_of_an_optimum_with_holes(seeds: str) -> None:
    assert share(places_with_holes(STAGES[seeds], 30)) >= 0.85


@pytest.mark.slow
@pytest.mark.parametrize("seeds", STAGES)
def test_the_place_of_an_optimum_with_holes_in_400_searches(seeds: str) -> None:
    assert share(places_with_holes(STAGES[seeds], 400)) >= 0.93


def optimum_trends(power: float, times: int) -> list[bool]:
    """Whether the interval of the trend of optima over five widths, each seed a value, held the true exponent."""
    draw, widths, x = rng(10), np.array([4.2, 4.5, 4.8, 5.2, 5.6]), np.logspace(-3.0, -1.0, 9)
    held = []
    for _ in range(times):
        optima = {
            width: np.log10(seed_optima(x, pd.DataFrame(runs(draw, accuracy(x, place), 6)), log=True))
            for width, place in zip(widths, -2.2 + power * (widths - widths.mean()), strict=True)
        }
        held.append(trend(widths, pd.DataFrame(optima)).slope.holds(power))
    return held


@pytest.mark.slow
@pytest.mark.parametrize("power", [0.0, -0.17])
def test_the_trend_of_an_optimum(power: float) -> None:
    assert covers(optimum_trends(power, TIMES))
