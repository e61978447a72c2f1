"""Whether a stage suits its sampler: what it searches, and whether anything is left to learn from."""

from __future__ import annotations

import math
from typing import Any

from kls.config.flat_settings import shown
from kls.errors import UserError
from kls.sweep import intervals
from kls.sweep.found import Found
from kls.sweep.intervals import Range
from kls.sweep.sampler_settings import BruteForceSettings, PartialFixedSettings, SamplerSettings, sampler_settings
from kls.sweep.search_space import trial_value
from kls.sweep.stages import Stage


def check_space(settings: SamplerSettings, stage: Stage) -> None:
    """Raises UserError where the stage's parameters are none for its sampler."""
    fixed = settings.fixed_params if isinstance(settings, PartialFixedSettings) else {}
    for name, value in fixed.items():
        if name not in stage.params:
            raise UserError(f"fixed_params: {shown(name)} is no parameter; there are {', '.join(stage.params)}")
        if stage.params[name].narrow is None:
            given = intervals.resolve(name, stage.params[name], Found())
            if not _holds(given, value):
                raise UserError(f"fixed_params: {shown(name)}={shown(value)} is not {given.words}")
    if isinstance(settings.drawing, BruteForceSettings):
        _check_combinations(stage, [name for name in stage.params if name not in fixed])


def _check_combinations(stage: Stage, drawn: list[str]) -> None:
    for name in drawn:
        if stage.params[name].values is None and not stage.params[name].integer:
            raise UserError(f"{name}: sampler bruteforce needs values, or an interval with integer: true")
    if any(stage.params[name].narrow for name in drawn):
        return  # how many there are is not known yet
    n = math.prod(_n_values(intervals.resolve(name, stage.params[name], Found())) for name in drawn)
    if n < stage.n_trials:
        raise UserError(f"trials={stage.n_trials} are more than the {n} combinations that there are")


def _holds(given: Range, value: Any) -> bool:
    if given.values is not None:
        return trial_value(value) in [trial_value(listed) for listed in given.values]
    assert given.low is not None
    assert given.high is not None
    return not isinstance(value, str) and given.low <= value <= given.high


def _n_values(given: Range) -> int:
    if given.values is not None:
        return len({trial_value(value) for value in given.values})
    assert given.low is not None
    assert given.high is not None
    return int(given.high - given.low) + 1


def startup_warning(stage: Stage, batch: int) -> str | None:
    """A sentence where no trial of a stage can be drawn by the results of others, though its sampler would learn.

    batch: how many trials it is asked for at once, all of which must be told before the next.
    """
    if not stage.learns:
        return None
    if batch >= stage.n_trials:
        return (
            f"stage {stage.name}: all {stage.n_trials} trials are asked for at once, so that its sampler has no result "
            "to learn from; give a smaller batch"
        )
    n_numbers = sum(1 for parameter in stage.params.values() if parameter.values is None)
    blind = sampler_settings(stage.sampler).blind(n_numbers, batch)
    if blind == math.inf:
        return f"stage {stage.name}: its sampler learns on intervals alone, and there is none: all is drawn at random"
    first = -(-max(int(blind), 1) // batch) * batch
    if first < stage.n_trials:
        return None
    return (
        f"stage {stage.name}: its sampler draws {first} trials, in batches of {batch}, before it learns from any, and "
        f"there are {stage.n_trials}; give more trials, or a smaller n_startup_trials, population or batch"
    )
