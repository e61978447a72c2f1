"""The look shared by every figure: palette, fonts, grid, and the one way a figure becomes a PNG file.

Figures are built with matplotlib's object-oriented API. Nothing here touches pyplot, and a user's own
matplotlibrc has no influence on the result.
"""

import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib.style
from matplotlib.figure import Figure

from kls.records.atomic import atomic_path
from kls.records.own_files import MARK

DPI = 150

# Okabe and Ito, "Color Universal Design" (2008): told apart with every common colour vision deficiency.
BLACK = "#000000"
ORANGE = "#E69F00"
SKY_BLUE = "#56B4E9"
GREEN = "#009E73"
YELLOW = "#F0E442"
BLUE = "#0072B2"
VERMILLION = "#D55E00"
PURPLE = "#CC79A7"
PALETTE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY_BLUE, BLACK, YELLOW)

GREY = "#505050"
LIGHT_GREY = "#DDDDDD"

TITLE_SIZE = 12.0
LABEL_SIZE = 9.5
SMALL_SIZE = 8.5

_RC: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": LABEL_SIZE,
    "figure.titlesize": TITLE_SIZE,
    "figure.titleweight": "bold",
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": LABEL_SIZE,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LIGHT_GREY,
    "grid.linewidth": 0.6,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": BLACK,
    "ytick.labelcolor": BLACK,
    "xtick.labelsize": SMALL_SIZE,
    "ytick.labelsize": SMALL_SIZE,
    "legend.frameon": False,
    "legend.edgecolor": LIGHT_GREY,
    "legend.framealpha": 0.9,
    "legend.fancybox": False,
    "legend.fontsize": SMALL_SIZE,
    "lines.linewidth": 1.5,
    "lines.markersize": 4.0,
}


@contextmanager
def figure_style() -> Iterator[None]:
    """Context, or decorator, to build and draw figures in: matplotlib's defaults with these settings."""
    with matplotlib.style.context(_RC, after_reset=True):
        yield


def new_figure(width_in: float, height_in: float) -> Figure:
    """An empty figure with constrained layout, its size in inches; `DPI` pixels per inch."""
    return Figure(figsize=(width_in, height_in), dpi=DPI, layout="constrained", facecolor="white")


def wrap_title(title: str, width_in: float) -> str:
    """`title` in lines that fit `width_in` inches at `TITLE_SIZE` points; its own line breaks stay."""
    points_per_character = 0.64 * TITLE_SIZE
    columns = max(int(width_in * 72 / points_per_character), 10)
    return "\n".join(textwrap.fill(line, columns) for line in title.splitlines())


def set_title(figure: Figure, title: str) -> None:
    """Write `title` above everything, flush left; dollar signs are text, not mathematics."""
    margin = 0.08 / figure.get_figwidth()
    text = wrap_title(title, figure.get_figwidth())
    figure.suptitle(text, x=margin, horizontalalignment="left", parse_math=False)


def save(figure: Figure, path: Path) -> None:
    """Write `figure` to `path` as PNG, whole or not at all; the bytes depend on nothing but the figure."""
    with figure_style(), atomic_path(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # signs of other scripts are drawn as boxes
        figure.savefig(temporary, format="png", metadata={"Software": MARK})
