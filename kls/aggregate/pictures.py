"""Draws the pictures that the runs on one data set allow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from kls.aggregate.collect import Run
from kls.aggregate.document import Picture
from kls.aggregate.group_table import group_labels
from kls.aggregate.heat_grid import heat_grid
from kls.aggregate.run_values import read_history
from kls.aggregate.search_trials import search_trials
from kls.aggregate.sections import Section
from kls.aggregate.summarise import Summary, lower_is_better
from kls.aggregate.sweep_stages import SweepStages
from kls.aggregate.tables import score_label, score_said, score_scale
from kls.aggregate.varying import RunTable
from kls.errors import UserError
from kls.plots.comparison import Curve, plot_comparison
from kls.plots.heatmap import plot_heatmap
from kls.plots.search import plot_search
from kls.plots.seeds import plot_seeds

_FEWEST_SEEDS = 3
_MOST_BOXES = 12
_FARTHEST = 25.0  # from the best mean, in typical standard deviations; farther groups would flatten the boxes


@dataclass(frozen=True)
class Gallery:
    """Where the pictures of one data set go, and what all of them need.

    Attributes:
        number: 1, 2, ... of the data set; from 2 on it is part of the file names.
        runs: all runs, one a row of ``table``; the section's by the index of its rows.
        prefix: what the file names begin with.
    """

    out: Path
    number: int
    section: Section
    summary: Summary
    runs: Sequence[Run]
    table: RunTable
    sweeps: Mapping[str, SweepStages]
    warn: Callable[[str], None]
    prefix: str = ""

    def draw(self, n_curves: int) -> list[Picture]:
        """Draw what makes sense for these runs."""
        drawn = [self.search(), self.heatmap(), self._curves(n_curves), self.seeds()]
        return [picture for picture in drawn if picture is not None]

    @property
    def _columns(self) -> list[str]:
        return list(self.table.frame.columns)

    @property
    def _over(self) -> str:
        return "runs" if self.summary.mixed else "seeds"

    def _file(self, kind: str) -> str:
        return self.prefix + (f"{kind}.png" if self.number == 1 else f"{kind}-{self.number}.png")

    def search(self) -> Picture | None:
        """Scores against the settings that were searched; None where no number was."""
        trials = search_trials(self.section, self.summary, self.sweeps, self.table)
        if trials is None:
            return None
        metric, name = self.summary.metric, self._file("search")
        title = f"Search on {self.section.name}, {trials.n:,} runs"
        plot_search(trials.panels, score_label(metric), trials.best, self.out / name, title, lower_is_better(metric))
        return Picture(name, title, folder=self.out)

    def heatmap(self) -> Picture | None:
        """Means over the initial sigma and another setting; None where these do not make a map."""
        grid = heat_grid(self.section.groups, self.summary, self._columns)
        if grid is None:
            return None
        name, title = self._file("heatmap"), f"Mean over {self._over} on {self.section.name}, {grid.n:,} runs"
        label = score_label(self.summary.metric)
        plot_heatmap(grid.panels, grid.rows, grid.columns, label, self.out / name, title)
        return Picture(name, title, folder=self.out)

    def _curves(self, n_curves: int) -> Picture | None:
        metric = self.summary.metric
        groups = self.section.groups.dropna(subset=[f"{metric}_mean"])
        best = groups.head(n_curves)
        curves = []
        for group, label, mean in zip(
            best.index, group_labels(best, self.summary, self._columns), best[f"{metric}_mean"], strict=True
        ):
            values = self._values(group)
            run = int(np.argmin(np.nan_to_num(np.abs(values.to_numpy() - mean), nan=np.inf)))
            score = score_said(metric, float(values.iloc[run]))
            of = f" (nearest the mean of {len(values)})" if len(values) > 1 else ""
            try:
                curve = _curve(self.runs[values.index[run]], f"{label}: {score}{of}")
            except UserError as error:
                self.warn(f"no curve: {error}")
                continue
            curves.append(curve)
        if not curves:
            return None
        which = f"one run of each of the {len(curves)} best of {len(groups):,} groups" if len(groups) > 1 else "one run"
        name, title = self._file("curves"), f"Learning curves on {self.section.name}, {which}"
        plot_comparison(curves, self.out / name, title)
        return Picture(name, title, folder=self.out)

    def seeds(self) -> Picture | None:
        """A box for each of the best groups; None where no group has three runs, or of several one alone is near."""
        metric = self.summary.metric
        groups = self.section.groups
        labels = dict(zip(groups.index, group_labels(groups, self.summary, self._columns), strict=True))
        groups = groups[(groups[f"{metric}_n"] >= _FEWEST_SEEDS) & np.isfinite(groups[f"{metric}_mean"])]
        if groups.empty:
            return None
        gaps = (groups[f"{metric}_mean"] - groups[f"{metric}_mean"].iloc[0]).abs()
        spread = groups[f"{metric}_sd"].median()
        best = groups[(gaps <= _FARTHEST * spread) | (spread == 0)].head(_MOST_BOXES)
        if len(best) == 1 < len(groups):
            return None
        boxes = [(labels[group], score_scale(metric) * self._values(group).to_numpy()) for group in best.index]
        sizes = sorted({values.size for _, values in boxes})
        n = f"n = {sizes[0]}" if len(sizes) == 1 else f"n = {sizes[0]} to {sizes[-1]}"
        which = f", best {len(best)} of {len(groups):,} groups" if len(groups) > len(best) else ""
        name, title = self._file("seeds"), f"Spread over {self._over} on {self.section.name}, {n} a group{which}"
        plot_seeds(boxes, score_label(metric), self.out / name, title)
        return Picture(name, title, folder=self.out)

    def _values(self, group: int) -> pd.Series[float]:
        """The averaged values of a group, by the rows of their runs."""
        return self.summary.values.loc[self.summary.group == group, self.summary.metric].dropna()


def _curve(run: Run, label: str) -> Curve:
    rows = read_history(run.path)
    epoch, accuracy, loss = (np.array([row[c] for row in rows]) for c in ("epoch", "val_accuracy", "val_loss"))
    return Curve(label, epoch, accuracy, loss)
