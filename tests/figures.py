"""The figures that plots write, caught for tests before they become files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kls.plots.style import figure_style


def figure_of(plot: Callable[..., None], *data: Any, title: str = "t", **options: Any) -> Figure:
    """The figure that a plot function makes of what it is given but path and title, its texts within its frame."""
    figures: list[Figure] = []
    with (
        patch("kls.plots.style.write_bytes"), patch("kls.plots.style._with_palette"),
        patch.object(Figure, "savefig", lambda self, file, **how: figures.append(self)),
    ):  # fmt: skip
        plot(*data, path=Path("a.png"), title=title, **options)
    (figure,) = figures
    with figure_style():
        figure.draw_without_rendering()
        occupied = figure.get_tightbbox()
    assert occupied.x0 >= 0.0
    assert occupied.x1 <= figure.get_figwidth()
    assert occupied.y0 >= 0.0
    assert occupied.y1 <= figure.get_figheight()
    return figure


def title_of(figure: Figure) -> str:
    return figure.get_suptitle().replace("\n", " ")


def legend_of(figure: Figure) -> list[str]:
    return [text.get_text().replace("\n", " ") for legend in figure.legends for text in legend.get_texts()]


def points_of(axes: Axes, marker: str) -> list[list[float]]:
    """Places of all marks of a kind, in the units of the lines' own axes."""
    lines = [np.asarray(line.get_xydata()) for line in axes.get_lines() if line.get_marker() == marker]
    return np.concatenate([*lines, np.empty((0, 2))]).tolist()


def labels_of(axes: Axes, axis: str = "y") -> list[str]:
    return [text.get_text().replace("\n", " ") for text in getattr(axes, f"get_{axis}ticklabels")()]
