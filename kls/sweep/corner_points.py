"""The few points of a stage that must be valid for all of its jobs to be, known before any job has run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from kls.analysis.columns import is_number
from kls.config.setting_ranges import setting_range
from kls.errors import UserError
from kls.sweep import narrowing
from kls.sweep.narrowing import Interval
from kls.sweep.stages import Parameter, Stage


def corner_points(stage: Stage, stages: Sequence[Stage]) -> list[dict[str, Any]]:
    """Settings of possible jobs: the first value of each parameter, then each of its other ones with those first ones.

    Of an interval, given or narrowed, they are both ends that it can have; of listed numbers the smallest and the
    largest of each type. A confirmation has those of the stage that it confirms.
    Raises UserError where an interval may become one that there cannot be.
    """
    known = {other.name: other for other in stages}
    if stage.confirm is not None:
        return corner_points(known[stage.confirm.source], stages)
    ends = {name: _ends(stage, name, known) for name in stage.searched}
    first = {name: values[0] for name, values in ends.items()}
    return [first, *(first | {name: value} for name, values in ends.items() for value in values[1:])]


def _ends(stage: Stage, name: str, stages: Mapping[str, Stage]) -> list[Any]:
    values = stage.listed(name)
    if values is None:
        low, high = _possible(stage, name, stages)
        return [round(low), round(high)] if stage.params[name].integer else [low, high]
    found: list[Any] = [values[0], *(value for value in values if not is_number(value))]
    for kind in (int, float):
        numbers = [value for value in values if is_number(value) and isinstance(value, kind)]
        found += [min(numbers), max(numbers)] if numbers else []
    return list({(type(value), repr(value)): value for value in found}.values())  # for True == 1 == 1.0


def _possible(stage: Stage, name: str, stages: Mapping[str, Stage]) -> Interval:
    """Between which numbers the stage's trials will lie, whatever the results of earlier stages are."""
    if stage.confirm is not None:
        return _possible(stages[stage.confirm.source], name, stages)
    values = stage.listed(name)
    if values is not None:
        return min(values), max(values)
    parameter = stage.params[name]
    if parameter.narrow is None:
        assert parameter.low is not None
        assert parameter.high is not None
        return parameter.low, parameter.high
    return _possibly_narrowed(stage, name, parameter, stages)


def _possibly_narrowed(stage: Stage, name: str, parameter: Parameter, stages: Mapping[str, Stage]) -> Interval:
    by = parameter.narrow
    assert by is not None
    tried = _possible(stages[by.source], name, stages)
    low, high = by.possible(tried) or (math.nan, math.nan)
    if by.widen:
        wider = [narrowing.widen((low, high), side, by.widen, parameter.scale) for side in (-1, 1)]
        low, high = wider[0][0], wider[1][1]
    if not math.isfinite(high - low):
        raise UserError(f"stage {stage.name}: {name} from {tried[0]:g} to {tried[1]:g} cannot be narrowed by {by.rule}")
    low, high = narrowing.clip((low, high), setting_range(name))
    if parameter.scale == "log" and low <= 0:
        raise UserError(f"stage {stage.name}: {name} may be narrowed to {low:g}, which a log scale does not have")
    return low, high
