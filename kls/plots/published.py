"""Published figures: ours minus published, a row a figure."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kls.plots.intervals import Point, Series, plot_intervals
from kls.plots.style import PNG

_FARTHEST = 3.0  # times the median of what the rows reach


@dataclass(frozen=True)
class PublishedRow:
    """A published figure: ours minus published (n,), n >= 1, in points, and what is known of both.

    low and high are the 95 % prediction interval of another run of ours, minus published, NaN if unknown; sd is that
    of the published figure; the verdict is a word or two, such as "inside" or "4 of 5 seeds learn".
    """

    label: str
    differences: np.ndarray
    low: float
    high: float
    sd: float | None
    verdict: str


def plot_published(rows: Sequence[PublishedRow], path: Path, title: str, formats: Sequence[str] = PNG) -> None:
    """Write a figure with a row for each published figure, the first on top; the published one is the line at 0.

    The mean and the verdict stand at the end of a row. The colour says whether the interval holds the published
    figure. Whatever lies far off the other rows is an arrow at the edge.
    """
    labels = ("published inside our interval", "published outside", "no interval", "published ± 1 sd")
    kinds: list[list[Point]] = [[] for _ in labels]
    for place, row in enumerate(rows):
        kind = 2 if np.isnan(row.low) else int(not row.low <= 0.0 <= row.high)
        kinds[kind].append(Point(place, row.differences, float(row.differences.mean()), row.low, row.high))
        if row.sd is not None:
            kinds[3].append(Point(place, np.empty(0), 0.0, -row.sd, row.sd))
    names = [(f"{r.label} (n={r.differences.size})", f"{r.differences.mean():+.2f}  {r.verdict}") for r in rows]
    reach = float(np.median([np.nanmax(np.abs([*row.differences, row.low, row.high])) for row in rows]))
    plot_intervals(
        [Series(*kind) for kind in zip(labels, kinds, strict=True)], "", "Ours minus published (percentage points)",
        path, title, formats, dot="one of our seeds", mean="our mean and 95 % prediction interval of a run",
        farthest=_FARTHEST * reach or np.inf, rows=names,
    )  # fmt: skip
