"""The look that all figures share, whatever a user's own matplotlibrc says, and the one way in which they become files.

A figure is as wide as the text of a printed page, so that its fonts are legible there and on a screen of 390 pixels.
"""

import io
import logging
import math
import textwrap
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from kls.plots.colours import BLACK, DPI, GREY, LABEL_SIZE, LIGHT_GREY, SMALL_SIZE, TITLE_SIZE, WIDTH
from kls.records.atomic import write_bytes
from kls.records.escape import printable
from kls.records.own_files import MARK

logging.getLogger("fontTools").setLevel(logging.WARNING)  # it reports each font that a PDF takes over

PNG = ("png",)

_CHARACTER, _LINE = 0.58, 1.3  # width of a typical character and height of a line, of the font's size
_MOST_TICKS, _CLOSEST = 8, 0.09  # values as ticks: how many, and how far apart as a share of the range
_NAMES, _VALUES = 2.8, 1.4  # inches beside rows
_RC: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana"],  # of equal widths: a reader has one of them to show an SVG with
    "text.parse_math": False,  # dollar signs are text
    "font.size": LABEL_SIZE, "axes.titlesize": LABEL_SIZE, "axes.labelsize": LABEL_SIZE,
    "figure.titlesize": TITLE_SIZE, "figure.titleweight": "bold",
    "axes.titleweight": "bold", "axes.titlelocation": "left",
    "axes.edgecolor": GREY, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "axes.axisbelow": True, "grid.color": LIGHT_GREY, "grid.linewidth": 0.6,
    "xtick.color": GREY, "xtick.labelcolor": BLACK, "xtick.labelsize": SMALL_SIZE,
    "ytick.color": GREY, "ytick.labelcolor": BLACK, "ytick.labelsize": SMALL_SIZE,
    "legend.frameon": False, "legend.fontsize": SMALL_SIZE, "legend.handlelength": 2.8,
    "lines.linewidth": 1.6, "lines.markersize": 5.0,
    "svg.fonttype": "none", "svg.hashsalt": "kls", "pdf.fonttype": 42,
}  # fmt: skip
figure_style = partial(matplotlib.style.context, _RC, after_reset=True)  # a decorator of what draws figures
_METADATA: dict[str, dict[str, Any]] = {"png": {"Software": MARK}, "svg": {"Creator": MARK, "Date": None}}
_METADATA["pdf"] = {"Creator": MARK, "Producer": None, "CreationDate": None}


class Band(NamedTuple):
    """A line with its interval: x, mean, low and high of shape (n,), in the units of the axes."""

    x: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def new_figure(height: float = 3.3, width: float = WIDTH) -> Figure:
    """An empty figure with constrained layout, in inches; `save` adds the height of title and legend."""
    return Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")


def wrap(text: str, inches: float, size: float = LABEL_SIZE) -> str:
    """Printable `text` in four lines at most that fit so many inches at `size` points; its own line breaks stay."""
    columns = max(int(72.0 * inches / (_CHARACTER * size)), 8)
    lines = printable(text).splitlines()
    return "\n".join(textwrap.fill(line, columns, max_lines=4, placeholder=" ...") for line in lines)


def limits(values: np.ndarray, padding: float = 0.06) -> tuple[float, float]:
    """Limits that hold all values (n,), n >= 0, with so much of their range to both sides."""
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    margin = padding * (high - low) or 0.05 * max(abs(high), 1.0)
    return low - margin, high + margin


def draw_band(axes: Axes, band: Band, colour: str, label: str) -> None:
    """Draw a line and shade its interval."""
    axes.fill_between(band.x, band.low, band.high, color=colour, alpha=0.15, linewidth=0, zorder=1)
    axes.plot(band.x, band.mean, color=colour, zorder=2, label=label)


def set_x_axis(axes: Axes, values: np.ndarray, log: bool, padding: float = 0.05) -> None:
    """Scale, limits and ticks of the x axis for values (n,) of a setting, n >= 1.

    A logarithmic axis has a place for 0, at the left end. A few values that lie apart become the ticks themselves.
    `padding` is the margin at both ends, as a share of the range.
    """
    values = np.unique(values)
    positive = values[values > 0.0]
    if log and values[0] > 0.0:
        axes.set_xscale("log")
    elif log and positive.size:
        axes.set_xscale("symlog", linthresh=positive[0], linscale=1.0)
    scale = axes.xaxis.get_transform()
    steps = scale.transform(values)
    span = float(np.ptp(steps)) or 1.0
    axes.set_xlim(*scale.inverted().transform(steps[[0, -1]] + padding * span * np.array([-1.0, 1.0])))
    if axes.get_xscale() != "linear":
        axes.xaxis.set(major_formatter="{x:g}", minor_formatter="")
    if values.size <= _MOST_TICKS and (np.diff(steps) >= _CLOSEST * span).all():
        axes.set_xticks(values, [f"{value:g}" for value in values])


def set_rows(figure: Figure, names: Sequence[str], values: Sequence[str], least: float = 0.0) -> list[Text]:
    """Rows at 0, 1, ... down the y axis: names on its left, values on the right; returns the texts of the values.

    The figure becomes as high as they need, each `least` inches at least.
    """
    axes = figure.axes[0]
    labels = [wrap(name, _NAMES, SMALL_SIZE) for name in names]
    height = max(0.12 + 0.16 * max(label.count("\n") + 1 for label in labels), least)
    figure.set_figheight(max(0.6 + height * len(labels), 1.5))
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_yticks(range(len(labels)), labels)
    right = axes.secondary_yaxis("right")
    right.set_yticks(range(len(values)), [wrap(value, _VALUES, SMALL_SIZE) for value in values])
    right.spines[:].set_visible(False)
    right.tick_params(length=0, pad=9)  # arrows at the edge need room
    axes.tick_params(axis="y", length=0, pad=7, grid_alpha=0.0)
    return right.get_yticklabels()


def save(figure: Figure, path: Path, title: str, formats: Sequence[str] = PNG) -> None:
    """Add the title above and a legend of all labels below, and write `path` with the suffix of each of the formats.

    Each file appears whole or not at all, has the mark of this project, and depends on nothing but the figure.
    """
    with figure_style(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # signs of other scripts are boxes
        _add_legend(figure)
        width, height = figure.get_size_inches()
        text = wrap(title, 0.9 * width, TITLE_SIZE)  # bold letters are wider
        figure.suptitle(text, x=0.08 / width, ha="left")
        figure.set_figheight(height + (text.count("\n") + 1) * _LINE * TITLE_SIZE / 72.0)
        for kind in formats:
            file = io.BytesIO()
            figure.savefig(file, format=kind, metadata=_METADATA[kind])
            content = _with_palette(file) if kind == "png" and not figure.images else file.getvalue()
            write_bytes(path.with_suffix(f".{kind}"), content)


def _add_legend(figure: Figure) -> None:
    """Each label once, in as many columns as fit."""
    (width, height), first = figure.get_size_inches(), dict[str, Any]()
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            first.setdefault(wrap(label, width - 0.8, SMALL_SIZE), handle)
    if first:
        longest = max(len(line) for label in first for line in label.splitlines())
        columns = max(int(width / (0.65 + _CHARACTER * SMALL_SIZE * longest / 72.0)), 1)
        rows = math.ceil(len(first) / columns)
        figure.legend(first.values(), first, loc="outside lower center", ncols=math.ceil(len(first) / rows))
        lines = 1.2 * rows + "".join(first).count("\n") / columns + 1.5
        figure.set_figheight(height + lines * _LINE * SMALL_SIZE / 72.0)


def _with_palette(file: io.BytesIO) -> bytes:
    """A PNG with a palette of 256 colours, which takes a third of the bytes."""
    with Image.open(file) as picture:
        few = picture.convert("RGB").quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    software, shrunk = PngInfo(), io.BytesIO()
    software.add_text("Software", MARK)
    few.save(shrunk, "PNG", optimize=True, pnginfo=software)
    return shrunk.getvalue()
