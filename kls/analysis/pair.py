"""The difference of two samples of scores, as a sentence."""

from __future__ import annotations

from typing import NamedTuple

from kls.analysis import statistics
from kls.analysis.groups import Sample
from kls.analysis.wording import p_text, points, sample_text, signed


class Pair(NamedTuple):
    """Two samples, and for each how many seeds learn if some do not (see `groups.modes_text`)."""

    a: Sample
    b: Sample
    modes: tuple[str, str]

    @property
    def difference(self) -> statistics.Difference | None:
        """mean(a) - mean(b); None if means do not describe them, since only some seeds learn."""
        return None if any(self.modes) else statistics.difference(self.a.values, self.b.values)

    def sentence(self, what: str, where: str, p: float, tests: int) -> str:
        """For example "{what} raises {where} by 9.6 points (95 % interval ...): 53.41 ± 0.21 % (n = 5) against ...".

        p: of the difference, corrected by Holm's method for that many tests.
        """
        sides = " against ".join(modes or sample_text(s) for s, modes in zip(self[:2], self.modes, strict=True))
        sides, found, score = f"{sides} on {self.a.data}", self.difference, self.a.score
        if found is None:
            return f"{what}, {where}: {sides}. Means are not compared, since only some seeds learn."
        change, low, high = found.interval.centre, found.interval.low, found.interval.high
        changes = f"{what} {'raises' if change >= 0 else 'lowers'} {where} by {points(score, change)}"
        if not found.interval.known:
            return f"{changes} (one run on a side: no interval, this may be noise): {sides}."
        holm = f" by Holm's method for {tests} differences" if tests > 1 else ""
        ends = f"95 % interval {signed(score, low)} to {signed(score, high)}"
        evidence = f"{ends}; {p_text(p)}{holm}; {found.method}"
        if p < 1.0 - statistics.LEVEL:
            return f"{changes} ({evidence}): {sides}."
        seen = f" A difference of {points(score, found.detectable)} would have been seen with 80 %." * (high > low)
        noise = f"{what} makes no difference to {where} that can be told from noise: {signed(score, change)}"
        return f"{noise} ({evidence}); {sides}.{seen}"
