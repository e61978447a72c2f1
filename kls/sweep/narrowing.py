"""Rules that make the next stage's interval of a parameter from the trials of an earlier one.

A trial is a pair (x, value): the parameter and the score, larger is better. Each rule is a pure function.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kls.sweep.stages import Narrow

Trials = Sequence[tuple[float, float]]
Interval = tuple[float, float]


def range_of_best(trials: Trials, k: int) -> Interval:
    """From the smallest to the largest x among the k best trials (all, where there are fewer)."""
    best = sorted(trials, key=lambda trial: -trial[1])[:k]
    return min(x for x, _ in best), max(x for x, _ in best)


def around_best(trials: Trials, factor: float) -> Interval:
    """From best / factor to best * factor, for the x of the best trial, which must be above 0."""
    x = best_of(trials)
    return x / factor, x * factor


def neighbours_of_best(trials: Trials) -> Interval:
    """From the next smaller to the next larger x that was tried beside the best; the best itself at an end."""
    x = best_of(trials)
    tried = sorted({other for other, _ in trials})
    place = tried.index(x)
    return tried[max(place - 1, 0)], tried[min(place + 1, len(tried) - 1)]


@dataclass(frozen=True)
class Rule:
    """A rule as a stage names it.

    interval: of an earlier stage's trials. told: what it does, in words.
    possible: what ``interval`` can give at most, where all trials lie in an interval.
    """

    interval: Callable[[Trials, Narrow], Interval]
    told: Callable[[Narrow], str]
    possible: Callable[[Interval, Narrow], Interval]


RULES = {
    "range_of_best": Rule(
        lambda trials, by: range_of_best(trials, by.k), lambda by: f"range of the {by.k} best", lambda tried, by: tried
    ),
    "around_best": Rule(
        lambda trials, by: around_best(trials, by.factor),
        lambda by: f"the best / and * {by.factor:g}",
        lambda tried, by: (tried[0] / by.factor, tried[1] * by.factor),
    ),
    "neighbours_of_best": Rule(
        lambda trials, by: neighbours_of_best(trials), lambda by: "neighbours of the best", lambda tried, by: tried
    ),
}


def best_of(trials: Trials) -> float:
    """The x of the best trial; of equal ones the first."""
    return max(trials, key=lambda trial: trial[1])[0]


def edge(trials: Trials) -> int:
    """-1 where the best x is the smallest of all that were tried, 1 where it is the largest, else 0.

    0 also where both ends are equally the best, as of a parameter that does not matter.
    """
    x, tried = best_of(trials), [other for other, _ in trials]
    low, high = min(tried), max(tried)
    top = max(value for _, value in trials)
    best = {other for other, value in trials if value == top}
    if {low, high} <= best:
        return 0
    return -1 if x == low else 1 if x == high else 0


def widen(interval: Interval, side: int, factor: float, scale: str) -> Interval:
    """The interval with the end on ``side`` (-1 low, 1 high) moved outwards.

    On a log scale the end is divided or multiplied by ``factor``; on a linear one it moves by
    (factor - 1) times the interval's length, or the end's own size where the interval is a point.
    """
    low, high = interval
    if scale == "log":
        return (low / factor, high) if side < 0 else (low, high * factor)
    reach = (factor - 1.0) * ((high - low) or abs(high))
    return (low - reach, high) if side < 0 else (low, high + reach)


def clip(interval: Interval, limits: Interval) -> Interval:
    """The part of an interval, or the nearest end of it, that lies within ``limits``."""
    low, high = limits
    return min(max(interval[0], low), high), min(max(interval[1], low), high)


def steps_between(low: float, high: float, n: int, scale: str) -> list[float]:
    """n values from low to high, equally spaced on a linear or log scale; both ends are exact."""
    if n == 1:
        return [low]
    if scale == "log":
        inner = [math.exp(math.log(low) + i * (math.log(high) - math.log(low)) / (n - 1)) for i in range(1, n - 1)]
        return [low, *(float(f"{x:.12g}") for x in inner), high]
    return [low, *(float(f"{low + i * (high - low) / (n - 1):.12g}") for i in range(1, n - 1)), high]
