"""Between this project's stages and the override language of Hydra and hydra-optuna-sweeper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from hydra.core.override_parser.types import Override, RangeSweep, Transformer
from hydra.errors import HydraException

from kls.config.flat_settings import shown
from kls.config.resume import quoted
from kls.errors import UserError
from kls.sweep.intervals import Range
from kls.sweep.stages import LARGEST_LIST

CONTROLLER_KEYS = ("resume", "dry_run")  # meant for the sweep, not for its jobs


def meant_for_jobs(overrides: Sequence[Override]) -> list[Override]:
    """All but those that steer the sweep itself."""
    return [o for o in overrides if o.key_or_group not in CONTROLLER_KEYS]


def ad_hoc_stage(overrides: Sequence[Override]) -> dict[str, Any]:
    """A grid stage of the lists on the command line, such as model=3layer,9layer lam=choice(1e-3,1e-2).

    Raises UserError where one is an interval, which is no list, or too long.
    """
    params: dict[str, Any] = {}
    for override in overrides:
        if override.is_interval_sweep():
            raise UserError(f"{shown(override.input_line)}: an interval needs a sampler: write a stage (see sweeps/)")
        _check_length(override)
        params[override.get_key_element()] = {"values": list(override.sweep_iterator(Transformer.encode))}
    if not params:
        params["seed"] = {"values": [0]}
    return {"name": "grid", "sampler": "grid", "params": params}


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
    return value if _is_number(value) else as_text(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def distribution_overrides(ranges: Mapping[str, Range], points: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Each parameter's range in the override language, from which hydra-optuna-sweeper makes its distribution."""
    return {name: _listed([point[name] for point in points]) if points else _interval(r) for name, r in ranges.items()}


def _interval(r: Range) -> str:
    if r.values is not None:
        return _choice(r.values)
    interval = _between(r.low, r.high)
    return f"tag(log, {interval})" if r.scale == "log" else interval


def _listed(values: Sequence[Any]) -> str:
    if not all(map(_is_number, values)) or min(values) == max(values):
        return _choice(values)
    if not all(isinstance(v, int) for v in values):
        return _between(float(min(values)), float(max(values)))
    return _between(min(values), max(values))


def _between(low: float | None, high: float | None) -> str:
    interval = f"interval({low!r}, {high!r})"
    return f"int({interval})" if isinstance(low, int) else interval  # else Hydra makes floats of whole numbers


def _choice(values: Sequence[Any]) -> str:
    distinct = dict.fromkeys(map(trial_value, values))
    return f"choice({', '.join(repr(v) if _is_number(v) else quoted(v) for v in distinct)})"
