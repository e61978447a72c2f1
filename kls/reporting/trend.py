"""Finding: how a score, a gain, or the best value of a setting moves with another setting."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kls.aggregate.columns import find_column, short_names
from kls.aggregate.document import Block, Grid, Line, Picture
from kls.aggregate.tables import Column, Table, score_label, score_scale, setting_text
from kls.aggregate.varying import DATA, is_number, sort_key
from kls.errors import UserError
from kls.plots.trend import TrendAxes, TrendPoint, plot_trend
from kls.reporting.intervals import slope
from kls.reporting.results import Runs
from kls.reporting.selection import same_as
from kls.reporting.trend_points import Point, best_point, gain_point, mean_point
from kls.reporting.wording import capital, ends, is_accuracy, name_of, number, setting, signed
from kls.studies.definition import Trend

_FEWEST = 3  # values of the setting, for a slope
_DECADE = 10.0


@dataclass(frozen=True)
class _Moving:
    """What moves: its points in the order of the setting, the setting's short name, and words.

    quantity: such as "gain in test accuracy". best: whether it is the best value of a setting. shown: one as text.
    """

    points: Sequence[Point]
    head: str
    data: str
    quantity: str
    best: bool
    shown: Callable[[float], str]

    @property
    def numeric(self) -> bool:
        return all(is_number(point.at) for point in self.points)


def trend(finding: Trend, runs: Runs, folder: Path, stem: str) -> tuple[str, list[Block]]:
    """The sentence, a table and a picture. Raises UserError where there are not two values to compare."""
    moving = _moving(finding, runs)
    line = _power_said(moving) if moving.best else _slope_said(finding.score, moving)
    sentence = f"{capital(finding.what)}: {moving.quantity} on {moving.data} {_moves(moving)}{line}."
    return sentence, _shown(finding, moving, folder, stem)


def _moving(finding: Trend, runs: Runs) -> _Moving:
    frame, score = runs.table.frame, finding.score
    columns = list(frame.columns)
    key = find_column(finding.setting, columns)
    if score not in frame:
        raise UserError(f"no run has a {score}")
    values = score_scale(score) * runs.summary(score).values[score].replace([math.inf], np.nan).dropna()
    frame = frame.loc[values.index]
    places = sorted(frame[key].unique(), key=sort_key)
    parts = [(place, values[same_as(frame[key], place)]) for place in places]
    data = ", ".join(map(str, frame[DATA[0]].unique()))
    head = short_names([key], columns)[key]
    if len(places) < 2:
        raise UserError(f"{finding.setting} has fewer than two values with results")
    if finding.of is None:
        points = [mean_point(score, *part) for part in parts]
        return _Moving(points, head, data, name_of(score), False, _shown_by(number, score, " %"))
    of = find_column(finding.of, columns)
    name, kinds = short_names([of], columns)[of], sorted(frame[of].unique(), key=sort_key)
    if len(kinds) < 2:
        raise UserError(f"{finding.of} has one value only")
    if len(kinds) > 2:
        points = [best_point(score, *part, frame, of, name) for part in parts]
        return _Moving(points, head, data, f"best {name}", True, setting)
    gains = [gain_point(score, *part, frame, of, kinds, name) for part in parts]
    points = [point for point in gains if point is not None]
    if len(points) < 2:
        raise UserError(f"{finding.of} does not have both values at two of {finding.setting}")
    quantity = f"gain in {name_of(score)}"
    return _Moving(points, head, data, quantity, False, _shown_by(signed, score, " points"))


def _shown_by(form: Callable[[str, float], str], score: str, unit: str) -> Callable[[float], str]:
    return lambda value: form(score, value) + _unit(score, unit)


def _unit(score: str, unit: str) -> str:
    return unit if is_accuracy(score) else ""


def _moves(moving: _Moving) -> str:
    """For example "rises steadily from 51.20 % at n_s 500 to 53.10 % at n_s 4000"."""
    centres = [point.interval.centre for point in moving.points]
    ups = {np.sign(b - a) for a, b in itertools.pairwise(centres)}

    def at(i: int) -> str:
        value = setting_text(moving.points[i].at)
        return f"{moving.shown(centres[i])} {f'for {value}' if moving.head == 'model' else f'at {moving.head} {value}'}"

    if moving.numeric:
        if ups <= {0.0}:
            return f"is {moving.shown(centres[0])} at every value of {moving.head}"
        if ups <= {1.0, 0.0}:
            return f"rises steadily from {at(0)} to {at(-1)}"
        if ups <= {-1.0, 0.0}:
            return f"falls steadily from {at(0)} to {at(-1)}"
    low, high = int(np.argmin(centres)), int(np.argmax(centres))
    return f"is lowest, {at(low)}, and highest, {at(high)}" + (", without a steady trend" if moving.numeric else "")


def _slope_said(score: str, moving: _Moving) -> str:
    """The slope of the least-squares line through all runs; nothing where the setting is no number."""
    if not moving.numeric or len(moving.points) < _FEWEST:
        return ""
    runs = [(float(p.at), v) for p in moving.points for v in (p.values if p.values.size else [p.interval.centre])]
    x, y = np.array(runs).T
    log = bool((x > 0).all() and x.max() / x.min() >= _DECADE)
    line = slope(np.log10(x) if log else x, y)
    if not line.known:
        return ""
    each = f"a decade of {moving.head}" if log else f"a unit of {moving.head}"
    digits = max(2, 1 - math.floor(math.log10(abs(line.centre)))) if line.centre else 2
    return (
        f"; a straight line has slope {line.centre:+.{digits}f}{_unit(score, ' points')} {each} "
        f"(95 % interval {ends(line, digits)}; {x.size} values)" + _doubt(line.holds(0.0))
    )


def _power_said(moving: _Moving) -> str:
    """The exponent of a power law through the best values of all seeds; nothing where a value is not above 0."""
    runs = [(float(p.at), v) for p in moving.points for v in p.values] if moving.numeric else []
    if len(moving.points) < _FEWEST or min((min(pair) for pair in runs), default=0.0) <= 0.0:
        return ""
    x, y = np.log10(np.array(runs)).T
    power = slope(x, y)
    if not power.known:
        return ""
    return (
        f"; it goes as {moving.head} to the power {power.centre:+.2f} (95 % interval {ends(power, 2)}; the best of "
        f"each seed, {x.size} values)" + _doubt(power.holds(0.0))
    )


def _doubt(holds: bool) -> str:
    return ", which cannot be told from none" if holds else ""


def _shown(finding: Trend, moving: _Moving, folder: Path, stem: str) -> list[Block]:
    points = moving.points
    columns = [Column(moving.head, [setting_text(point.at) for point in points], number=moving.numeric)]
    columns += [Column(name, [p.cells.get(name, "-") for p in points], number=True) for name in points[0].cells]
    score = score_label(finding.score)
    unit = " (points)" if is_accuracy(finding.score) and not moving.best else ""
    label = score if finding.of is None else capital(moving.quantity) + unit
    x = np.array([float(point.at) for point in points]) if moving.numeric else None
    drawn = [
        TrendPoint(setting_text(p.at), p.values, p.interval.centre, p.interval.low, p.interval.high) for p in points
    ]
    name = f"{stem}trend.png"
    plot_trend(drawn, TrendAxes(x, moving.head, label, moving.best), folder / name, capital(finding.what))
    bars = " Bars are 95 % intervals of the mean." if any(point.interval.known for point in points) else ""
    caption = f"{capital(moving.quantity)} on {moving.data} against {moving.head}: it {_moves(moving)}.{bars}"
    picture = Picture(name, caption, f"Plot of {moving.quantity} against {moving.head}", folder)
    return [Line(f"{capital(finding.what)}:"), Grid(Table(columns, [])), picture]
