"""From a stage's definition and the trials before it to the points or intervals that it searches."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass
from itertools import count, islice
from typing import Any

from kls.analysis.columns import is_number
from kls.analysis.where import matching_points
from kls.config.flat_settings import SEEDS, shown
from kls.config.setting_ranges import setting_range
from kls.errors import UserError
from kls.sweep import narrowing
from kls.sweep.found import Found, Trial
from kls.sweep.stages import Parameter, Stage

_MOST_VALUES = 12  # listed one by one


@dataclass(frozen=True)
class Range:
    """What a stage searches of one parameter: an interval, or listed values; ``source`` says why."""

    low: float | None
    high: float | None
    scale: str
    values: list[Any] | None
    source: str
    integer: bool = False

    def record(self) -> dict[str, Any]:
        """As it stands in sweep.json."""
        return {key: value for key, value in asdict(self).items() if key != "integer"}

    @property
    def words(self) -> str:
        """For example "in [1e-05, 0.1], log (given)"."""
        if self.values is None:
            return f"in [{self.low:.4g}, {self.high:.4g}], {self.scale} ({self.source})"
        shown = [*map(value_text, self.values[:_MOST_VALUES]), *["..."] * (len(self.values) > _MOST_VALUES)]
        return f"in {{{', '.join(shown)}}} ({self.source})"


def value_text(value: Any) -> str:
    """A value of a setting, numbers with four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def resolve(name: str, parameter: Parameter, found: Found) -> Range:
    """The range of one parameter. Raises UserError where narrowing is not possible."""
    if parameter.values is not None:
        return Range(None, None, parameter.scale, list(parameter.values), "given")
    if parameter.narrow is None:
        assert parameter.low is not None
        assert parameter.high is not None
        low, high, source = parameter.low, parameter.high, "given"
    else:
        low, high, source = _narrowed(name, parameter, found)
    if parameter.integer:
        low, high = round(low), round(high)
    values = narrowing.steps_between(low, high, parameter.steps, parameter.scale) if parameter.steps else None
    if values and parameter.integer:
        values = list(dict.fromkeys(map(round, values)))
    return Range(low, high, parameter.scale, values, source, parameter.integer)


def _narrowed(name: str, parameter: Parameter, found: Found) -> tuple[float, float, str]:
    rule = parameter.narrow
    assert rule is not None
    pairs = [(float(t.params[name]), value) for t, value in _ranked(found.trials[rule.source]) if name in t.params]
    if not pairs:
        raise UserError(f"{name}: stage {rule.source} has no finished trial to narrow it from")
    optimum = found.curve(rule.source) if rule.by_curve else None
    if rule.by_curve and optimum is None:
        raise UserError(f"{name}: stage {rule.source} has too few finished trials for a curve to narrow it by")
    (low, high), how = rule.interval(pairs, optimum), rule.words
    if low == high:  # one point: leave something to search, of what was tried if that was more
        low, high = narrowing.widen(narrowing.widen((low, high), -1, 2.0, parameter.scale), 1, 2.0, parameter.scale)
        tried = sorted({x for x, _ in pairs})
        if len(tried) > 1:
            low, high = narrowing.clip((low, high), (tried[0], tried[-1]))
        how += ", a single point widened by a factor of 2"
    side = narrowing.edge(pairs) if optimum is None else {"smallest": -1, "largest": 1}.get(optimum.at_end or "", 0)
    if side and rule.widen:
        low, high = narrowing.widen((low, high), side, rule.widen, parameter.scale)
        how += f", widened past the {'lower' if side < 0 else 'upper'} end"
    low, high = narrowing.clip((low, high), setting_range(name)) if low <= high else (low, high)
    if low > high or (parameter.scale == "log" and low <= 0):
        raise UserError(
            f"{name}: {rule.rule} of {rule.source} gives {low:g} to {high:g}, no interval of a {parameter.scale} scale"
        )
    return low, high, f"narrowed from {rule.source}: {how}"


def edges(trials: Sequence[Trial], ranges: Mapping[str, Range]) -> list[str]:
    """A sentence for each numeric parameter whose best value is the smallest or largest that was tried."""
    found = []
    for name, parameter_range in ranges.items():
        pairs = [(t.params[name], value) for t, value in _ranked(trials) if is_number(t.params.get(name))]
        numeric = parameter_range.low is not None or len(pairs) == len(trials)
        side = narrowing.edge(pairs) if pairs and numeric and name not in SEEDS else 0
        if side:
            found.append(
                f"{name}: the best, {narrowing.best_of(pairs):.4g}, is the {'smallest' if side < 0 else 'largest'} "
                "value tried; the optimum may lie outside"
            )
    return found


def _ranked(trials: Sequence[Trial]) -> list[tuple[Trial, float]]:
    """Trials and what they are compared by, of equal ones the better first. A pruned one is never the best."""
    whole = [(trial, trial.value) for trial in trials if not trial.pruned]
    best = max((value for _, value in whole), default=0.0)
    return whole + [(trial, min(trial.value, best)) for trial in trials if trial.pruned]


def space(stage: Stage, found: Found) -> tuple[dict[str, Range], list[dict[str, Any]]]:
    """The ranges of a stage's parameters, and its points where it does not sample them.

    Raises UserError where there is nothing to be searched.
    """
    if stage.confirm:
        points, source = confirmations(stage, found)
        values = {name: list(dict.fromkeys(point[name] for point in points)) for name in points[0]}
        return {name: Range(None, None, "linear", listed, source) for name, listed in values.items()}, points
    ranges = {name: Range(None, None, "linear", values, "given") for name, values in stage.points.items()}
    ranges |= {name: resolve(name, p, found) for name, p in stage.params.items()}
    points = grid(stage, ranges) if stage.sampler == "grid" else []
    return ranges, points


def grid(stage: Stage, ranges: Mapping[str, Range]) -> list[dict[str, Any]]:
    """The points of a stage, crossed with all combinations of the other listed values, the last changing fastest.

    Raises UserError where the stage's condition leaves none, or cannot be read.
    """
    rows = [dict(zip(stage.points, row, strict=True)) for row in zip(*stage.points.values(), strict=True)] or [{}]
    listed = [ranges[name].values or [] for name in stage.params]
    points = [row | dict(zip(stage.params, point, strict=True)) for row in rows for point in itertools.product(*listed)]
    kept = fulfilling(stage, points)
    if not kept:
        raise UserError(f"stage {stage.name}: where={shown(stage.where)}: none of {len(points)} combinations is so")
    return kept


def fulfilling(stage: Stage, points: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The points for which a stage's condition is true. Raises UserError where it cannot be read."""
    if stage.where is None:
        return list(points)
    holds = matching_points(points, stage.where, f"stage {stage.name}: where")
    return [point for point, held in zip(points, holds, strict=True) if held]


def confirmations(stage: Stage, found: Found) -> tuple[list[dict[str, Any]], str]:
    """The best settings of the stage that is confirmed, or the one where its curve is highest; and why these.

    A search of too few values for a curve has its best trial confirmed.
    Raises UserError where that stage has no finished trial.
    """
    assert stage.confirm is not None
    best = [trial.params for trial in found.whole(stage.confirm.source)[: stage.confirm.best]]
    if not best:
        raise UserError(f"stage {stage.name}: {stage.confirm.source} has no finished trial to confirm")
    optimum = found.curve(stage.confirm.source) if stage.confirm.by == "curve" else None
    if optimum is None:
        return best, f"the best of {stage.confirm.source}"
    ((name, value),) = best[0].items()
    place = optimum.place.centre
    point = {name: round(place) if isinstance(value, int) else rounded(place)}
    return [point], f"the optimum of the curve of {stage.confirm.source}"


def rounded(value: float) -> float:
    """With four digits, as it is shown."""
    return float(f"{value:.4g}")


def seeds_of(stage: Stage, first: int, used: Set[int]) -> list[int]:
    """The seeds of each trial, none where the settings say it.

    A confirmation takes the smallest that no stage has used: one that took part in the choice would flatter it.
    """
    if stage.confirm:
        return list(islice((number for number in count() if number not in used), stage.confirm.seeds))
    return list(range(first, first + stage.repeats)) if stage.repeats > 1 else []
