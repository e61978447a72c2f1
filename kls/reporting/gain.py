"""Finding: how much one network has more than another, with the 95 % interval of the difference."""

from __future__ import annotations

from kls.reporting.intervals import Interval, paired, welch
from kls.reporting.results import Runs
from kls.reporting.selection import Selected, select
from kls.reporting.wording import capital, ends, is_accuracy, mean_said, name_of
from kls.studies.definition import Gain

PAIRED, WELCH = "paired by seed", "Welch"


def difference(a: Selected, b: Selected) -> tuple[Interval, str]:
    """mean(a) - mean(b) with its 95 % interval, and the method.

    Runs with the same seeds on both sides are pairs; other runs are independent, with variances of their own, and so
    are pairs whose differences happen to be all the same.
    """
    if a.n > 1 and sorted(map(str, a.seeds)) == sorted(map(str, b.seeds)) and len(set(a.seeds)) == a.n:
        order = [b.seeds.index(seed) for seed in a.seeds]
        pairs = paired(a.values, b.values[order])
        if pairs.low < pairs.high or pairs.centre == 0.0 or not (a.sd or b.sd):
            return pairs, PAIRED
    return welch(a.values, b.values), WELCH


def gain_said(gain: Gain, runs: Runs) -> str:
    """The sentence of a gain. Raises UserError where a side has no runs."""
    a, b = select(runs, gain.a, gain.score), select(runs, gain.b, gain.score_b or gain.score)
    interval, method = difference(a, b)
    n, what, change = f"n = {a.n} and {b.n}", capital(gain.what), interval.centre
    scores = name_of(gain.score) + (f" and {name_of(gain.score_b)}" if gain.score_b else "")
    sides = f"{_side(gain.score, a)} against {_side(gain.score, b)} {scores} on {a.data}"
    if not interval.known:
        return f"{what} {_verb(gain, change)}: {sides} ({n}: no interval, this may be noise)."
    if not interval.holds(0.0):
        return f"{what} {_verb(gain, change)}: {sides} (95 % interval {_size(gain.score, interval)}; {n}, {method})."
    if interval.low == interval.high:
        return f"{what} makes no difference to {gain.to}: {sides}, the same for all seeds ({n})."
    digits = _digits(gain.score, change)
    said = f"{change:+.{digits}f}{_points(gain.score, change)}, 95 % interval {ends(interval, digits)}"
    return f"{what} makes no difference to {gain.to} that can be told from noise: {sides} ({said}; {n}, {method})."


def _verb(gain: Gain, change: float) -> str:
    """For example "adds 9.6 points to the 9-layer net"."""
    if not is_accuracy(gain.score):
        direction = "raises" if change > 0 else "lowers"
        return f"{direction} the {name_of(gain.score)} of {gain.to} by {abs(change):.3f}"
    amount = f"{abs(change):.{_digits(gain.score, change)}f}{_points(gain.score, change)}"
    return f"adds {amount} to {gain.to}" if change >= 0 else f"costs {gain.to} {amount}"


def _size(score: str, interval: Interval) -> str:
    """The ends of an interval that does not hold 0, without signs."""
    low, high = sorted((abs(interval.low), abs(interval.high)))
    return ends(Interval(interval.centre, low, high), _digits(score, interval.centre))


def _digits(score: str, change: float) -> int:
    return 3 if not is_accuracy(score) else 1 if abs(change) >= 1.0 else 2


def _points(score: str, change: float) -> str:
    if not is_accuracy(score):
        return ""
    return " point" if f"{abs(change):.1f}" == "1.0" else " points"


def _side(score: str, side: Selected) -> str:
    return mean_said(score, side.values) + (f" ({side.choice})" if side.choice else "")
