"""How reports write numbers: accuracies in percent with two decimals, losses with four digits."""

from __future__ import annotations

import math

import numpy as np

from kls.aggregate.tables import score_name, score_scale
from kls.reporting.intervals import Interval
from kls.reporting.selection import Selected

CHANCE = 10.0  # percent; both data sets have ten classes
LEARNT = CHANCE + 2.0  # percent; a constant guess scores at most about 11 on a split, for classes differ in size


def is_accuracy(score: str) -> bool:
    """Whether the score is shown in percent."""
    return score_scale(score) == 100.0


def number(score: str, value: float) -> str:
    """A score as shown, without unit."""
    if math.isnan(value):
        return "-"
    return f"{value:.2f}" if is_accuracy(score) else f"{value:.3f}"


def signed(score: str, value: float) -> str:
    """A difference, always with its sign."""
    if math.isnan(value):
        return "-"
    return f"{value:+.2f}" if is_accuracy(score) else f"{value:+.3f}"


def spread(score: str, mean: float, sd: float, n: int) -> str:
    """For example "53.41 ± 0.21 (n=5)"."""
    return number(score, mean) + ("" if math.isnan(sd) else f" ± {number(score, sd)}") + f" (n={n})"


def mean_of(score: str, ours: Selected) -> str:
    """`spread` of selected runs."""
    return spread(score, ours.mean, ours.sd, ours.n)


def mean_said(score: str, values: np.ndarray) -> str:
    """Mean and sd of scores as shown, with their unit, for example "53.41 ± 0.21 %"."""
    unit = " %" if is_accuracy(score) else ""
    sd = f" ± {number(score, float(values.std(ddof=1)))}" if values.size > 1 else ""
    return f"{number(score, float(values.mean()))}{sd}{unit}"


def values_said(score: str, values: np.ndarray) -> str:
    """`mean_said` with the number of values."""
    return f"{mean_said(score, values)} (n = {values.size})"


def name_of(score: str) -> str:
    """For example "validation accuracy"."""
    words = score_name(score).removesuffix(" %")
    return words.replace("val ", "validation ").replace("train ", "training ")


def ends(interval: Interval, digits: int = 1) -> str:
    """For example "8.9 to 10.3"."""
    return f"{interval.low:.{digits}f} to {interval.high:.{digits}f}"


def setting(value: float) -> str:
    """A setting's value with three digits."""
    return f"{value:.3g}"


def which_end(best: float, low: float, high: float) -> str | None:
    """"smallest" or "largest" where the best of several values tried, from low to high, is at their end."""
    ends_tried = {high: "largest", low: "smallest"}
    return ends_tried.get(best) if len(ends_tried) > 1 else None


def listed(parts: list[str]) -> str:
    """For example "a, b and c"."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


def capital(text: str) -> str:
    """The text with its first letter a capital."""
    return text[:1].upper() + text[1:]
