"""Rules that make the next stage's interval of a parameter from the trials of an earlier one.

A trial is a pair (x, value): the parameter and the score, larger is better. A new rule is a class here, with its own
parameters, and its name in `AnyNarrow`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from kls.analysis.curve import Optimum
from kls.config.setting_types import Count, Group

Trials = Sequence[tuple[float, float]]
Interval = tuple[float, float]

Factor = Annotated[float, Field(gt=1, le=1e6)]


class Narrow(Group, ABC):
    """``narrow`` of a stage's parameter: the stage to learn from, the rule, and how far to go past an end.

    by_curve: whether it goes by the smooth curve through all trials of that stage's budget.
    """

    by_curve: ClassVar[bool] = False
    source: str = Field(alias="from")
    rule: str
    widen: Factor | None = None

    @abstractmethod
    def interval(self, trials: Trials, optimum: Optimum | None) -> Interval:
        """The next interval, from at least one trial; optimum: of the curve, for rules that go by it."""

    @property
    @abstractmethod
    def words(self) -> str:
        """What the rule does."""

    def possible(self, tried: Interval) -> Interval | None:
        """The widest interval that trials from ``tried`` can give; None if some of them give none."""
        return tried


class RangeOfBest(Narrow):
    """From the smallest to the largest x among the k best trials (all, if there are fewer)."""

    rule: Literal["range_of_best"]
    k: Count = 5

    def interval(self, trials: Trials, optimum: Optimum | None) -> Interval:
        best = sorted(trials, key=lambda trial: -trial[1])[: self.k]
        return min(x for x, _ in best), max(x for x, _ in best)

    @property
    def words(self) -> str:
        return f"range of the {self.k} best"


class AroundBest(Narrow):
    """From best / factor to best * factor, for the x of the best trial, which must be above 0."""

    rule: Literal["around_best"]
    factor: Factor = 3.0

    def interval(self, trials: Trials, optimum: Optimum | None) -> Interval:
        x = best_of(trials)
        return x / self.factor, x * self.factor

    @property
    def words(self) -> str:
        return f"the best / and * {self.factor:g}"

    def possible(self, tried: Interval) -> Interval | None:
        return None if tried[0] < 0 else (tried[0] / self.factor, tried[1] * self.factor)


class AroundOptimum(Narrow):
    """From place / factor to place * factor, for the place, above 0, at which the smooth curve is highest."""

    by_curve = True
    rule: Literal["around_optimum"]
    factor: Factor = 3.0

    def interval(self, trials: Trials, optimum: Optimum | None) -> Interval:
        assert optimum is not None
        return optimum.place.centre / self.factor, optimum.place.centre * self.factor

    @property
    def words(self) -> str:
        return f"the optimum of the curve / and * {self.factor:g}"

    def possible(self, tried: Interval) -> Interval | None:
        return None if tried[0] < 0 else (tried[0] / self.factor, tried[1] * self.factor)


class NeighboursOfBest(Narrow):
    """From the next smaller to the next larger x that was tried beside the best; the best itself at an end."""

    rule: Literal["neighbours_of_best"]

    def interval(self, trials: Trials, optimum: Optimum | None) -> Interval:
        x = best_of(trials)
        tried = sorted({other for other, _ in trials})
        place = tried.index(x)
        return tried[max(place - 1, 0)], tried[min(place + 1, len(tried) - 1)]

    @property
    def words(self) -> str:
        return "neighbours of the best"


AnyNarrow = Annotated[RangeOfBest | AroundBest | AroundOptimum | NeighboursOfBest, Field(discriminator="rule")]


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
