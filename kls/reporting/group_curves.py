"""Chooses which groups of runs get learning curves, and reads their histories."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from kls.aggregate.document import Picture
from kls.aggregate.group_table import group_labels, mean_text, shown_keys
from kls.aggregate.ordering import Ordering
from kls.aggregate.run_values import read_history
from kls.aggregate.sections import Section
from kls.aggregate.summarise import Summary
from kls.errors import UserError
from kls.plots.group_curves import GroupCurve, plot_group_curves
from kls.records import names
from kls.reporting.results import Runs
from kls.reporting.wording import capital, listed, name_of, number

_MOST_LINES = 8  # in a picture
_MOST_PICTURES = 4
_SCORES = tuple(names.metric(split, quantity) for split in ("train", "val") for quantity in names.QUANTITIES)


def curve_pictures(runs: Runs, section: Section, summary: Summary, folder: Path, stem: str) -> list[Picture]:
    """One picture of all groups, in the order of their settings; one a model or a stage where these are many.

    Of a long search, the best of each stage.
    """
    metric, columns = summary.metric, list(runs.table.frame.columns)
    groups = section.groups[section.groups[f"{metric}_n"] > 0]
    parts = _parts(groups, summary)
    ordering = Ordering(None, columns, runs.stages)
    pictures = []
    for place, (what, part, left_out) in enumerate(parts, start=1):
        ordered = ordering.groups(part, shown_keys(part, summary))
        labels = group_labels(ordered, summary, columns)
        curves = [_curve(runs, summary, group, label) for group, label in zip(ordered.index, labels, strict=True)]
        drawn = [curve for curve in curves if curve is not None]
        if not drawn:
            continue
        name = f"{stem}curves.png" if len(parts) == 1 else f"{stem}curves-{place}.png"
        title = f"Learning curves on {section.name}" + (f", {what}" if what else "")
        plot_group_curves(drawn, folder / name, title)
        pictures.append(Picture(name, _caption(ordered, labels, metric, section, left_out), _alt(drawn), folder))
    return pictures


def _parts(groups: pd.DataFrame, summary: Summary) -> list[tuple[str, pd.DataFrame, int]]:
    """Name and groups of each picture, and how many groups it leaves out."""
    if len(groups) <= _MOST_LINES:
        return [("", groups, 0)] if len(groups) else []
    for key in ("model", "stage"):
        if key in groups and (groups[f"{summary.metric}_n"] > 1).all():
            packed = _packed([(str(value), part) for value, part in groups.groupby(key, dropna=False)])
            if packed is not None:
                return packed
    best = groups.groupby("stage", sort=False, dropna=False).head(1).index
    worst = groups[f"{summary.metric}_mean"].idxmin()
    chosen = groups.loc[groups.index.isin([*best[: _MOST_LINES - 1], worst])]
    which = "the best of each stage and the worst of all" if len(best) > 1 else "the best and the worst group"
    return [(which, chosen, len(groups) - len(chosen))]


def _packed(parts: Sequence[tuple[str, pd.DataFrame]]) -> list[tuple[str, pd.DataFrame, int]] | None:
    """Neighbouring parts in one picture as far as they fit; None where that takes too many pictures, or one is long."""
    if max(len(part) for _, part in parts) > _MOST_LINES:
        return None
    bins: list[list[tuple[str, pd.DataFrame]]] = []
    for part in parts:
        if bins and sum(len(frame) for _, frame in bins[-1]) + len(part[1]) <= _MOST_LINES:
            bins[-1].append(part)
        else:
            bins.append([part])
    if len(bins) > _MOST_PICTURES:
        return None
    return [(listed([name for name, _ in members]), pd.concat([part for _, part in members]), 0) for members in bins]


def _curve(runs: Runs, summary: Summary, group: int, label: str) -> GroupCurve | None:
    """All runs of a group that are averaged, at the epochs of any of them; None without histories."""
    averaged = summary.values.loc[summary.group == group, summary.metric].dropna().index
    histories = []
    for row in averaged:
        try:
            histories.append(read_history(runs.found.runs[row].path))
        except UserError as error:
            runs.warnings.append(f"no curve: {error}")
    if not histories:
        return None
    epochs = sorted({row["epoch"] for history in histories for row in history})
    place = {epoch: i for i, epoch in enumerate(epochs)}
    scores = {score: np.full((len(histories), len(epochs)), np.nan) for score in _SCORES}
    for k, history in enumerate(histories):
        at = [place[row["epoch"]] for row in history]
        for score, values in scores.items():
            values[k, at] = [row[score] for row in history]
    n = f" (n={len(histories)})" if len(histories) > 1 else ""
    return GroupCurve(label + n, np.array(epochs), scores)


def _caption(part: pd.DataFrame, labels: Sequence[str], metric: str, section: Section, left_out: int) -> str:
    """What ends best and worst, in numbers."""
    means = part[f"{metric}_mean"]
    top, last = int(np.argmax(means)), int(np.argmin(means))
    scores = [
        mean_text(metric, mean, sd, n, " %")
        for mean, sd, n in part[[f"{metric}_{key}" for key in ("mean", "sd", "n")]].itertuples(index=False, name=None)
    ]
    several = (part[f"{metric}_n"] > 1).any()
    lines = ["Mean over seeds; bands are one standard deviation." if several else "One run each."]
    quantity = f"{capital(name_of(metric))} on {section.name} at the end"
    if len(part) == 1:
        lines.append(f"{quantity}: {scores[0]}.")
    else:
        gap = number(metric, 100.0 * float(means.iloc[top] - means.iloc[last]))
        highest, lowest = (f"{labels[i]}, {scores[i]}" for i in (top, last))
        lines.append(f"{quantity} is highest for {highest}, lowest for {lowest}: {gap} points apart.")
    if left_out:
        lines.append(f"The other {left_out} groups are left out here.")
    return " ".join(lines)


def _alt(curves: Sequence[GroupCurve]) -> str:
    return (
        "Six panels of cost, loss and accuracy against the epoch, above for training, below for validation; "
        f"{len(curves)} {'line' if len(curves) == 1 else 'lines'}: {'; '.join(curve.label for curve in curves)}"
    )
