"""Between this project's stages, the override language of Hydra and the distributions of Optuna."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from hydra.core.override_parser.types import Override, RangeSweep, Transformer
from hydra.errors import HydraException
from hydra_plugins.hydra_optuna_sweeper._impl import create_optuna_distribution_from_override
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from kls.analysis.columns import is_number
from kls.config.flat_settings import shown
from kls.config.settings import SearchSettings
from kls.errors import UserError
from kls.sweep.intervals import Range
from kls.sweep.stages import LARGEST_LIST


def ad_hoc_stage(overrides: Sequence[Override], typed: SearchSettings) -> dict[str, Any]:
    """The stage of a search that is typed: lists such as model=3layer,9layer, intervals such as lam=interval(0.1,1).

    Raises UserError where an interval has no number of trials, or a list is too long.
    """
    params = {str(override.get_key_element()): _parameter(override) for override in overrides}
    sampled = any("low" in parameter for parameter in params.values())
    points = typed.points or {}
    if not params and not points:
        params["seed"] = {"values": [0]}
    if sampled and typed.trials is None:
        raise UserError(f"{shown(overrides[0].input_line)}: how many trials? give for example trials=30")
    sampler = typed.sampler or ("tpe" if sampled else "grid")
    own = {"name": "grid" if sampler == "grid" else "search", "sampler": sampler, "params": params, "points": points}
    return own | typed.model_dump(include={"trials", "where"})


def _parameter(override: Override) -> dict[str, Any]:
    """An override that sweeps, as a parameter of a stage."""
    if not override.is_interval_sweep():
        _check_length(override)
        return {"values": list(override.sweep_iterator(Transformer.encode))}
    found = create_optuna_distribution_from_override(override)
    scale, integer = "log" if found.log else "linear", isinstance(found, IntDistribution)
    return {"low": float(found.low), "high": float(found.high), "scale": scale, "integer": integer}


def _check_length(override: Override) -> None:
    """Before a range is written out, as its iterator may do."""
    value = override.value()
    if not isinstance(value, RangeSweep):
        return
    try:
        too_long = sum(1 for _ in islice(value.range(), LARGEST_LIST + 1)) > LARGEST_LIST
    except (ArithmeticError, HydraException, ValueError):  # its step is 0, an end is not a number
        raise UserError(f"{shown(override.input_line)}: there is no such range") from None
    if too_long:
        raise UserError(f"{shown(override.input_line)}: has more than {LARGEST_LIST} values")


def as_text(value: Any) -> str:
    """A value as it stands behind the = of an override."""
    if isinstance(value, list):
        return f"[{','.join(map(as_text, value))}]"
    return "null" if value is None else str(value)


def trial_value(value: Any) -> Any:
    """A value as a trial of Optuna has it: numbers as they are, all others as texts."""
    return value if is_number(value) else as_text(value)


def distributions(ranges: Mapping[str, Range], points: Sequence[Mapping[str, Any]]) -> dict[str, BaseDistribution]:
    """What Optuna draws each parameter from; of listed points, what holds all of their values."""
    return {name: _of_points([point[name] for point in points]) if points else _of(r) for name, r in ranges.items()}


def _of(r: Range) -> BaseDistribution:
    if r.values is not None:
        return _choice(r.values)
    assert r.low is not None
    assert r.high is not None
    return _between(r.low, r.high, r.scale == "log")


def _of_points(values: Sequence[Any]) -> BaseDistribution:
    if not all(map(is_number, values)) or min(values) == max(values):
        return _choice(values)
    low, high = min(values), max(values)
    return _between(low, high) if all(isinstance(v, int) for v in values) else _between(float(low), float(high))


def _between(low: float, high: float, log: bool = False) -> BaseDistribution:
    if isinstance(low, int) and isinstance(high, int):
        return IntDistribution(low, high, log=log)
    return FloatDistribution(low, high, log=log)


def _choice(values: Sequence[Any]) -> BaseDistribution:
    return CategoricalDistribution(list(dict.fromkeys(map(trial_value, values))))
