"""What the kinds of findings share: where they draw, and their data."""

import math
from pathlib import Path
from typing import NamedTuple

from kls.analysis.runs import DATA, Runs
from kls.analysis.wording import listed


class Context(NamedTuple):
    """Where the pictures of a finding go, and how their names begin.

    p: of the difference that it tests, by Holm's method for the ``tests`` of its study; NaN of other findings.
    """

    folder: Path
    stem: str
    p: float = math.nan
    tests: int = 0


def data_text(runs: Runs) -> str:
    """The names of the data sets."""
    return listed([str(name) for name in runs.frame[DATA].dropna().unique()])
