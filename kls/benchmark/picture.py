"""The benchmark's picture: an epoch by each library, and what a member costs in populations of growing size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from kls.benchmark.cases import FLOOR, JAX, OURS, SKLEARN, TORCH
from kls.benchmark.table import LIBRARIES
from kls.plots.style import BLUE, GREEN, GREY, ORANGE, VERMILLION, figure_style, new_figure, save, set_title

COLOURS = {OURS: BLUE, FLOOR: GREY, TORCH: VERMILLION, JAX: GREEN, SKLEARN: ORANGE}
_MARKERS = "osD^v<>*"


def plot_benchmark(
    rows: Sequence[dict[str, Any]], overheads: Sequence[dict[str, Any]], path: Path, title: str
) -> None:
    """Write the figure of `benchmark_figure` to `path` as PNG."""
    save(benchmark_figure(rows, overheads, title), path)


@figure_style()
def benchmark_figure(rows: Sequence[dict[str, Any]], overheads: Sequence[dict[str, Any]], title: str) -> Figure:
    """Panels of seconds an epoch alone, and, where there are some, of populations and of a trial's overhead.

    rows: of table.table_rows. overheads: of growth.time_growth, or none.
    """
    alone = [row for row in rows if row["members"] == 1]
    populated = len(rows) > len(alone)
    panels = 1 + populated + bool(overheads)
    figure = new_figure(1.5 + 4.6 * panels, 3.2 + 0.25 * len(alone))
    axes = figure.subplots(1, panels, squeeze=False)[0]
    _alone(axes[0], alone)
    if populated:
        _populations(axes[1], rows)
    if overheads:
        _overheads(axes[-1], overheads)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower left", ncols=len(LIBRARIES))
    set_title(figure, title)
    return figure


def _alone(axes: Axes, rows: Sequence[dict[str, Any]]) -> None:
    """A line a network with a dot a library; the scale is logarithmic, since the networks differ so."""
    places = np.arange(len(rows))
    for library in LIBRARIES:
        seconds = [np.nan if row[library] is None else row[library] for row in rows]
        if not np.isnan(seconds).all():
            axes.plot(seconds, places, "o", markersize=6.0, color=COLOURS[library], label=library)
    axes.set_yticks(places, [f"{row['model']}, {row['inputs']:,} inputs" for row in rows])
    axes.invert_yaxis()
    axes.set(xscale="log", xlabel="Seconds")
    axes.set_title("An epoch, one network alone, one core")


def _populations(axes: Axes, rows: Sequence[dict[str, Any]]) -> None:
    """A line a network and number of inputs; JAX's vmapped networks as single marks."""
    networks = list(dict.fromkeys((row["model"], row["inputs"]) for row in rows if row["members"] > 1))
    for (model, inputs), marker in zip(networks, _MARKERS, strict=False):
        members = [row for row in rows if (row["model"], row["inputs"]) == (model, inputs)]
        sizes = [row["members"] for row in members]
        for library, line in ((OURS, "-"), (FLOOR, ":"), (JAX, "")):
            seconds = [np.nan if row[library] is None else row[library] for row in members]
            label = f"{model}, {inputs:,} inputs" if library == OURS else None
            axes.plot(sizes, seconds, line, marker=marker, color=COLOURS[library], label=label)
    axes.set(xscale="log", yscale="log", xlabel="Networks in the population")
    axes.set_title("Seconds an epoch a member")
    sizes = sorted({row["members"] for row in rows})
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.legend(loc="upper right", title="lines: ours; dotted: floor; green: JAX")


def _overheads(axes: Axes, overheads: Sequence[dict[str, Any]]) -> None:
    axes.plot([row["trials"] for row in overheads], [row["overhead ms a trial"] for row in overheads], "o-", color=BLUE)
    axes.set(xscale="log", ylim=(0.0, None), xlabel="Trials of the sweep")
    axes.set_title("Overhead of a sweep (ms a trial)")
