"""What the kinds of findings share: where they draw, which seeds have learned, and how a p value is written."""

import math
from pathlib import Path
from typing import NamedTuple

from kls.analysis.groups import Sample
from kls.analysis.runs import DATA, Runs
from kls.analysis.wording import is_accuracy, listed, number, unit


class Context(NamedTuple):
    """Where the pictures of a finding go, and how their names begin.

    p: of the difference that it tests, by Holm's method for the ``tests`` of its study; NaN of other findings.
    """

    folder: Path
    stem: str
    p: float = math.nan
    tests: int = 0


def learn_text(runs: Runs, sample: Sample) -> tuple[int, str]:
    """How many seeds learn, and the range of their scores, such as "29.00 to 47.00 %"; "" if none does."""
    own = sample.values[runs.learned(sample.score, sample.values.to_numpy())]
    ends = dict.fromkeys(number(sample.score, end) for end in (own.min(), own.max()))
    return len(own), " to ".join(ends) + unit(sample.score) if len(own) else ""


def modes_text(runs: Runs, sample: Sample) -> str:
    """For example "4 of 5 seeds learn: 29.00 to 47.00 %"; "" if all or none learn, so that a mean describes them."""
    learn, ends = learn_text(runs, sample) if is_accuracy(sample.score) else (0, "")
    return f"{learn} of {sample.n} seeds learn: {ends}" if 0 < learn < sample.n else ""


def data_text(runs: Runs) -> str:
    """The names of the data sets."""
    return listed([str(name) for name in runs.frame[DATA].dropna().unique()])


def p_text(p: float) -> str:
    """For example "p = 0.034" or "p < 0.001"."""
    return f"p = {p:.2g}" if p >= 0.001 else "p < 0.001"
