"""The pictures that runs allow: of the search of a sweep, and of the groups of a section."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from kls.analysis.columns import differing, equal_to, is_number
from kls.analysis.groups import Groups, Sample, group_runs, modes_text
from kls.analysis.optima import shown_optimum
from kls.analysis.pivot import pivot
from kls.analysis.runs import BUDGET, SECTION, Runs, read_history
from kls.analysis.search import Search, searches
from kls.analysis.wording import capital, counted, listed, sample_text, scale, score_axis, score_name, setting_axis
from kls.errors import UserError
from kls.plots.intervals import MOST_SERIES, Point, Series, plot_intervals
from kls.plots.learning_curves import GroupCurve, plot_learning_curves
from kls.plots.search import MOST_PANELS, Mark, Peak, SearchPanel, plot_search
from kls.plots.style import Band
from kls.records import names
from kls.report.document import Picture

FORMATS = ("png", "svg", "pdf")

_MOST_MODELS = 4  # with a picture of learning curves each
_MOST_CATEGORIES = 12  # on an axis
_MOST_MEANS = 500  # in a picture, each with its runs
_LOG_FROM = 50.0  # the largest value over the smallest
_SCORES = [names.metric(split, quantity) for split in ("train", "val") for quantity in names.QUANTITIES]


def search_pictures(runs: Runs, folder: Path, stem: str, score: str, most: int) -> list[Picture]:
    """For each sweep its trials against the settings that it searched, unless they are a grid with other settings.

    most: how many of the sweeps are looked at.
    """
    drawn = list[Picture]()
    for sweep in runs.frame["sweep"].unique()[:most]:
        own = runs.chosen(equal_to(runs.frame["sweep"], sweep))
        stages = own.sweeps[sweep].stages if own.sweeps else []
        found = searches(own, score)[:MOST_PANELS]
        heads = {search.key: search.head for search in found}
        confirming = own.frame["stage"].isin([stage.name for stage in stages if stage.confirm])
        others = {*group_runs(own.chosen(~confirming), score).keys} - {"stage", *SECTION, *heads}
        grid = all(stage.sampler == "grid" for stage in stages)
        if not found or (grid and (others or (stages and len(heads) > 1))):
            continue
        confirmed = group_runs(own.chosen(confirming), score) if confirming.any() else None
        caption = [f"{capital(score_name(score))} of every trial; bars at the bottom are the intervals searched."]
        longest = [confirmed if search.section == found[0].section else None for search in found]
        panels = [_panel(*pair, caption) for pair in zip(found, longest, strict=True)]
        name, title = _name(stem, "search", drawn), f"Search of {listed(list(heads.values()))}"
        plot_search(panels, score_axis(score), folder / name, title, FORMATS, lower_is_better=scale(score) == 1)
        drawn.append(Picture(name, " ".join(caption), "Scores of trials against the settings searched", folder))
    return drawn


def _name(stem: str, kind: str, drawn: Sequence[Picture]) -> str:
    return f"{stem}{kind}{f'-{len(drawn) + 1}' if drawn else ''}.png"


def _panel(search: Search, confirmed: Groups | None, caption: list[str]) -> SearchPanel:
    """Trials, the best and the confirmed one; a single setting has a smooth curve, told in ``caption``."""
    factor, trials, mark, band, peak = scale(search.score), search.trials, None, None, None
    means = trials.groupby("x")["score"].mean()
    top = int(means.argmax() if factor > 1 else means.argmin())
    best = Mark(means.index[top], factor * means.iloc[top], f"best trial: {search.head} {means.index[top]:.4g}")
    if confirmed is not None and len(confirmed.table) and (sample := confirmed.samples(0)).n:
        at, (mean, low, high) = confirmed.runs.frame[search.key][confirmed.first[0]], _shown(sample, confirmed.runs)
        epochs = f"{confirmed.table[BUDGET].astype(float)[0]:.4g}"
        text = f"confirmed, {epochs} epochs: {sample_text(sample)}"
        mark = Mark(at, mean, text, low, high) if is_number(at) else None
    if (found := shown_optimum(search)) is not None:
        curve, place = found.curve, found.curve.place
        band = Band(curve.x, factor * curve.mean, factor * curve.low, factor * curve.high)
        height = factor * float(curve.mean[np.abs(curve.x - place.centre).argmin()])
        where = f"{search.head} {found.place} (95 % interval {found.interval})"
        peak = Peak(place.centre, height, place.low, place.high, *curve.flat)
        words = "highest" if factor > 1 else "lowest"
        caption.append(f"The smooth curve of {search.section} is {words} at {where}.")
        caption.append(f"From {found.flat} it cannot be told from that.")
    stage, diverged = trials["stage"].fillna("trials").to_numpy(), trials["diverged"].to_numpy(bool)
    values, axis = (trials["x"].to_numpy(), factor * trials["score"].to_numpy()), setting_axis(search.key, search.head)
    panel = SearchPanel(axis, search.log, search.section, *values, stage, diverged, search.ranges)
    return panel._replace(best=best, confirmed=mark, curve=band, peak=peak)


def _shown(sample: Sample, runs: Runs) -> tuple[float, float, float]:
    """Mean and interval as shown; the interval is NaN where only some seeds learn, for scores of two modes."""
    ends, factor = sample.interval, scale(sample.score)
    if modes_text(runs, sample):
        return factor * sample.mean, math.nan, math.nan
    return factor * sample.mean, factor * ends.low, factor * ends.high


def section_pictures(groups: Groups, folder: Path, stem: str, where: str, curves: int) -> list[Picture]:
    """Learning curves; and means against the setting with the most values, numbers first, of a few with several runs.

    where: the section, for titles. curves: how many groups a picture of learning curves shows, 0 for no such picture.
    A history that cannot be read adds a line to the warnings of the runs.
    """
    n = groups.table[f"{groups.score}_n"]
    places = n.index[n > 0].tolist()
    drawn = _learning_curves(groups, places, folder, stem, where, curves) if curves and places else []
    values = {key: groups.table[key].unique() for key in differing(groups.table.loc[places], groups.keys)}
    if values and n.gt(1).any() and len(places) <= _MOST_MEANS:
        numeric = [key for key, own in values.items() if len(own) > 2 and all(map(is_number, own))]
        column = max(numeric or values, key=lambda key: len(values[key]))
        title = f"{capital(score_name(groups.score))} by {groups.runs.heads([column])[column]}: {where}"
        rows = [key for key in values if key != column]
        drawn += means_picture(groups, rows, column, folder, f"{stem}means.png", title)
    return drawn


def _learning_curves(
    groups: Groups, places: list[int], folder: Path, stem: str, where: str, most: int
) -> list[Picture]:
    """All groups, if these are few; else a picture a model, if that shows all; else the best groups and the worst."""
    parts, labels, drawn = {"": places}, groups.labels(), list[Picture]()
    if len(places) > most:
        models = groups.table.loc[places].groupby("model").groups if "model" in groups.keys else {}
        fits = 1 < len(models) <= _MOST_MODELS and max(map(len, models.values())) <= most
        parts = {str(m): list(p) for m, p in models.items()} if fits else {"": [*places[: most - 1], places[-1]]}
    left_out = len(places) - sum(map(len, parts.values()))
    for model, part in parts.items():
        lines = [line for i in part if (line := _curve(groups, i, labels[i])) is not None]
        if lines:
            name, title = _name(stem, "curves", drawn), f"Learning curves: {where}{model and ', '}{model}"
            plot_learning_curves(lines, folder / name, title, FORMATS)
            bands = ", with bands of one standard deviation" if groups.averaged_over else ""
            caption = f"{title}; {groups.seeds_text}{bands}."
            caption += f" Not shown: {counted(left_out, 'group')} between the best and the worst." if left_out else ""
            drawn.append(Picture(name, caption, f"Learning curves, {counted(len(lines), 'line')}", folder))
    return drawn


def _curve(groups: Groups, place: int, label: str) -> GroupCurve | None:
    """The averaged runs of a group, at the epochs of any of them; None without a history."""
    histories = []
    for row in groups.values.index[(groups.member == place) & groups.values.notna().any(axis="columns")]:
        try:
            histories.append(read_history(groups.runs.frame["path"][row]).set_index("epoch"))
        except UserError as error:
            groups.runs.warnings.append(f"no curve: {error}")
    if not histories:
        return None
    scores = {s: scale(s) * pd.concat([h[s] for h in histories], axis="columns").sort_index() for s in _SCORES}
    text = f"{label} (n = {len(histories)})" if len(histories) > 1 else label
    return GroupCurve(text, scores[_SCORES[0]].index.to_numpy(), {s: table.to_numpy().T for s, table in scores.items()})


def means_picture(
    groups: Groups, rows: Sequence[str], column: str, folder: Path, name: str, title: str
) -> list[Picture]:
    """Means with intervals against the setting ``column``, a colour a row; none if there are too many of either."""
    cells, factor = pivot(groups, rows, column), scale(groups.score)
    numeric = len(cells.values) > 2 and all(map(is_number, cells.values))
    if len(cells.rows) > MOST_SERIES or (not numeric and len(cells.values) > _MOST_CATEGORIES):
        return []
    x, series = cells.values if numeric else range(len(cells.values)), []
    for label, line in zip(cells.rows, cells.cells, strict=True):
        shown = [(at, sample) for at, sample in zip(x, line, strict=True) if sample is not None]
        points = [Point(at, factor * s.values.to_numpy(), *_shown(s, groups.runs)) for at, s in shown]
        series.append(Series(label, points))
    left_out = any(len(point.values) > 1 and math.isnan(point.low) for one in series for point in one.points)
    log = numeric and min(x) >= 0 and max(x) >= _LOG_FROM * min(value for value in x if value > 0)
    plot_intervals(
        series, setting_axis(column, cells.head), score_axis(groups.score), folder / name, title, FORMATS, log_x=log,
        dot="one run", rows=() if numeric else [(text, "") for text in cells.columns],
    )  # fmt: skip
    caption = f"{title}; a bar is the 95 % interval of the mean" + ", left out where only some seeds learn" * left_out
    return [Picture(name, f"{caption}.", "Means with intervals", folder)]
