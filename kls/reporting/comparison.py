"""Published figures beside ours: the difference, and whether the published one lies inside our spread."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kls.aggregate.summarise import lower_is_better
from kls.errors import UserError
from kls.reporting.intervals import Interval, new_mean, welch_from_moments
from kls.reporting.results import StepResult
from kls.reporting.selection import Selected, select
from kls.reporting.wording import LEARNT, is_accuracy, listed
from kls.studies.definition import Figure

INSIDE, ABOVE, BELOW, CHANCE, UNKNOWN, NOT_RUN = "inside", "above", "below", "both at chance", "one run", "not run"

PUBLISHED_ON = "CIFAR-10"

_CLOSE = 1.0  # points of accuracy
_SAME = 1e-9

DEFINITION = (
    "Published lies: inside where the published figure is in the 95 % interval in which our runs expect a new one, "
    "mean ± t(n - 1) sd sqrt(1/n + 1/m) for a mean of m published runs (m = 1 unless said); where a standard deviation "
    "was published, where the 95 % interval of Welch's t test for the difference of the means holds 0; else above or "
    "below ours. n counts seeds, ± is one standard deviation of runs (n - 1 in the denominator), the difference is "
    "ours minus published."
)


@dataclass(frozen=True)
class Compared:
    """A published figure and our runs, or why there are none."""

    figure: Figure
    ours: Selected | None
    reason: str = ""

    @property
    def difference(self) -> float:
        """Ours minus published, as shown; NaN without ours."""
        return math.nan if self.ours is None else self.ours.mean - self.figure.published

    @property
    def expected(self) -> Interval:
        """Where our runs expect the published figure; unknown with fewer than two of ours."""
        figure = self.figure
        if self.ours is None or self.ours.n < 2:
            return Interval(math.nan, math.nan, math.nan)
        if figure.sd is None or figure.n < 2:
            return new_mean(self.ours.values, figure.n)
        mean, sd, n = self.ours.mean, self.ours.sd, self.ours.n
        around = welch_from_moments((mean, sd, n), (figure.published, figure.sd, figure.n))
        half = around.high - around.centre
        return Interval(mean, mean - half, mean + half)

    @property
    def verdict(self) -> str:
        """One of the words above."""
        figure, ours = self.figure, self.ours
        if ours is None:
            return NOT_RUN
        if is_accuracy(figure.score) and figure.published < LEARNT and bool(np.all(ours.values < LEARNT)):
            return CHANCE
        expected = self.expected
        if not expected.known:
            return UNKNOWN
        if expected.low - _SAME <= figure.published <= expected.high + _SAME:
            return INSIDE
        return ABOVE if figure.published > ours.mean else BELOW

    @property
    def close(self) -> bool:
        """Whether the accuracies differ by at most 1 point."""
        return is_accuracy(self.figure.score) and abs(self.difference) <= _CLOSE

    @property
    def beaten(self) -> bool:
        """Whether our mean is the better one."""
        return self.difference < 0.0 if lower_is_better(self.figure.score) else self.difference > 0.0


def compare(figures: Sequence[Figure], results: Mapping[str, StepResult]) -> list[Compared]:
    """Each figure beside the runs of its step; ``results`` by the names of steps."""
    return [_compared(figure, results[figure.step]) for figure in figures]


def _compared(figure: Figure, result: StepResult) -> Compared:
    if result.runs is None:
        return Compared(figure, None, "not run yet")
    try:
        return Compared(figure, select(result.runs, figure.where, figure.score, figure.rank, figure.near))
    except UserError as error:
        return Compared(figure, None, str(error))


def counted(compared: Sequence[Compared]) -> str:
    """How many published figures lie inside our spread, are close, and are beaten, as a sentence."""
    if not compared:
        return "This study has no published figures to compare with."
    done = [c for c in compared if c.ours is not None]
    others = sorted({c.ours.data for c in done if c.ours is not None and c.ours.data != PUBLISHED_ON})
    figures = "published figure" if len(compared) == 1 else "published figures"
    if not done:
        return f"None of the {len(compared)} {figures} can be compared yet: the runs are not there."
    if others:
        return f"{len(compared)} {figures}, of {PUBLISHED_ON}, and our runs, of {listed(others)}: they cannot agree."
    judged = [c for c in done if c.verdict != UNKNOWN]
    inside = sum(c.verdict == INSIDE for c in judged)
    chance = sum(c.verdict == CHANCE for c in judged)
    accuracies = [c for c in done if is_accuracy(c.figure.score)]
    parts = [f"{inside} of {len(judged)} lie inside the spread of our seeds"] if judged else []
    parts += [f"{chance} {'is' if chance == 1 else 'are'} at chance level on both sides"] if chance else []
    parts += (
        [f"{sum(c.close for c in accuracies)} of {len(accuracies)} are within 1 point of ours"] if accuracies else []
    )
    parts.append(f"our mean is better than {sum(c.beaten and c.verdict != CHANCE for c in done)} of {len(done)}")
    missing = len(compared) - len(done)
    rest = f" {missing} {'is' if missing == 1 else 'are'} not compared, for want of runs." if missing else ""
    return f"Of {len(compared)} {figures}, {', '.join(parts[:-1])}, and {parts[-1]}.{rest}"
