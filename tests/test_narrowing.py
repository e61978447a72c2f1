"""The rules that make an interval from trials, at points computed by hand."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from kls.sweep.narrowing import AnyNarrow, best_of, edge, steps_between, widen

# (x, value); in the order of their values: 0.01, 0.02, 0.1, 0.001, 0.5
TRIALS = [(0.1, 0.50), (0.001, 0.40), (0.01, 0.54), (0.5, 0.10), (0.02, 0.53)]


def narrowed(trials: list[tuple[float, float]], rule: str, **parameters: float) -> tuple[float, float]:
    narrow = TypeAdapter(AnyNarrow).validate_python({"from": "coarse", "rule": rule, **parameters})
    return narrow.interval(trials, None)


@pytest.mark.parametrize(
    ("k", "interval"),
    [(1, (0.01, 0.01)), (2, (0.01, 0.02)), (3, (0.01, 0.1)), (4, (0.001, 0.1)), (5, (0.001, 0.5)), (99, (0.001, 0.5))],
)
def test_range_of_best(k: int, interval: tuple[float, float]) -> None:
    assert narrowed(TRIALS, "range_of_best", k=k) == interval


def test_range_of_best_takes_the_earlier_of_equal_trials() -> None:
    trials = [(3.0, 0.5), (1.0, 0.6), (2.0, 0.5), (9.0, 0.5)]
    assert narrowed(trials, "range_of_best", k=2) == (1.0, 3.0)


def test_around_best() -> None:
    assert narrowed(TRIALS, "around_best", factor=4.0) == (0.0025, 0.04)


@pytest.mark.parametrize(
    ("trials", "interval"),
    [
        (TRIALS, (0.001, 0.02)),
        ([(1.0, 0.1), (2.0, 0.2), (3.0, 0.3)], (2.0, 3.0)),
        ([(1.0, 0.3), (2.0, 0.2), (3.0, 0.1)], (1.0, 2.0)),
        ([(2.0, 0.1), (2.0, 0.3), (1.0, 0.2), (3.0, 0.2)], (1.0, 3.0)),
        ([(7.0, 0.1)], (7.0, 7.0)),
    ],
)
def test_neighbours_of_best(trials: list[tuple[float, float]], interval: tuple[float, float]) -> None:
    assert narrowed(trials, "neighbours_of_best") == interval


def test_best_of_equal_trials_is_the_first() -> None:
    assert best_of([(1.0, 0.2), (5.0, 0.7), (4.0, 0.7)]) == 5.0


@pytest.mark.parametrize(
    ("trials", "side"),
    [
        (TRIALS, 0),
        ([(1.0, 0.3), (2.0, 0.2), (3.0, 0.1)], -1),
        ([(1.0, 0.1), (2.0, 0.2), (3.0, 0.3)], 1),
        ([(2.0, 0.3)], 0),
        ([(2.0, 0.3), (2.0, 0.4)], 0),
        ([(2.0, 0.3), (3.0, 0.3)], 0),
        ([(2.0, 0.3), (2.0, 0.4), (3.0, 0.4), (4.0, 0.4), (4.0, 0.3)], 0),
        ([(2.0, 0.3), (3.0, 0.3), (4.0, 0.2)], -1),
    ],
)
def test_edge(trials: list[tuple[float, float]], side: int) -> None:
    assert edge(trials) == side


@pytest.mark.parametrize(
    ("interval", "side", "scale", "wider"),
    [
        ((0.25, 8.0), -1, "log", (0.0625, 8.0)),
        ((0.25, 8.0), 1, "log", (0.25, 32.0)),
        ((2.0, 2.0), 1, "log", (2.0, 8.0)),
        ((1.0, 3.0), -1, "linear", (-5.0, 3.0)),
        ((1.0, 3.0), 1, "linear", (1.0, 9.0)),
        ((2.0, 2.0), -1, "linear", (-4.0, 2.0)),
        ((2.0, 2.0), 1, "linear", (2.0, 8.0)),
        ((-2.0, -2.0), 1, "linear", (-2.0, 4.0)),
    ],
)
def test_widening_by_a_factor_of_4(
    interval: tuple[float, float], side: int, scale: str, wider: tuple[float, float]
) -> None:
    assert widen(interval, side, 4.0, scale) == wider


@pytest.mark.parametrize(
    ("low", "high", "n", "scale", "values"),
    [
        (1e-9, 1.0, 10, "log", [1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0]),
        (5e-3, 5e-2, 10, "linear", [0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.035, 0.04, 0.045, 0.05]),
        (1.0, 16.0, 3, "log", [1.0, 4.0, 16.0]),
        (-1.0, 1.0, 3, "linear", [-1.0, 0.0, 1.0]),
        (0.3, 0.7, 2, "log", [0.3, 0.7]),
        (0.3, 0.7, 1, "linear", [0.3]),
    ],
)
def test_steps_between(low: float, high: float, n: int, scale: str, values: list[float]) -> None:
    assert steps_between(low, high, n, scale) == values


@pytest.mark.parametrize("scale", ["log", "linear"])
def test_steps_begin_and_end_exactly(scale: str) -> None:
    low, high = 0.1 + 0.2, 10 * (0.1 + 0.2)  # 0.30000000000000004 and 3.0000000000000004
    steps = steps_between(low, high, 7, scale)
    assert (steps[0], steps[-1]) == (low, high)
    assert steps == sorted(set(steps))
