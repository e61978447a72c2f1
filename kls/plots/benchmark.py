"""Seconds an epoch of each library at each network, against the floor."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kls.plots.intervals import Point, Series, plot_intervals
from kls.plots.style import PNG


def plot_benchmark(
    rows: Sequence[str], libraries: Sequence[str], seconds: np.ndarray, floor: np.ndarray,
    path: Path, title: str, formats: Sequence[str] = PNG,
) -> None:  # fmt: skip
    """Write a figure with a row for each label, such as "3-layer BN, 3,072 inputs, 10 together", the first on top.

    seconds (rows, libraries): an epoch's for a network, NaN if unknown. floor (rows,): those of the matrix products.
    """
    series = [
        Series(name, [Point(row, np.empty(0), float(s)) for row, s in enumerate(column) if np.isfinite(s)])
        for name, column in zip([*libraries, "floor: matrix products alone"], [*seconds.T, floor], strict=True)
    ]
    label = "Seconds an epoch and network, on one core"
    plot_intervals(series, "", label, path, title, formats, log_y=True, rows=[(row, "") for row in rows])
