"""Steps in miniature: few pictures of the embedded data, few steps, few trials; every stage is still there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from kls.sweep.stages import Parameter, Stage

DATA = ("data=synthetic", "data.n_train=3000", "data.n_val=500", "data.n_test=500")
OVERRIDES = (*DATA, "evaluation.n_train=500", "optimizer.schedule.n_s=20", "hydra.launcher.n_jobs=1")

_SHORT = {"optimizer.schedule.n_s": 20, "optimizer.schedule.epochs": 1, "optimizer.schedule.steps": 40}
TRIALS, SEEDS, VALUES = 4, 2, 5
PICTURES = 50  # times fewer, where a stage searches data.n_train


def small_stage(stage: Stage) -> Stage:
    """The stage with at most 4 trials or steps, 2 seeds and 5 values of any other setting, and short budgets."""
    change: dict[str, Any] = {
        "params": {name: _small_parameter(name, parameter) for name, parameter in stage.params.items()},
        "budget": [_short(override) for override in stage.budget],
    }
    if stage.trials is not None:
        change["trials"] = min(stage.trials, TRIALS)
    if stage.confirm is not None:
        change["confirm"] = stage.confirm.model_copy(update={"seeds": min(stage.confirm.seeds, SEEDS)})
    return stage.model_copy(update=change)


def overrides_for(stages: Sequence[Stage]) -> list[str]:
    """What makes all runs of a sweep small, but for what its stages search, and its stages."""
    searched = {name for stage in stages for name in stage.params}
    small = [override for override in OVERRIDES if override.split("=")[0] not in searched]
    return [*small, f"hydra.sweeper.stages={_text([_plain(stage) for stage in stages])}"]


def _small_parameter(name: str, parameter: Parameter) -> Parameter:
    if parameter.steps is not None:
        return parameter.model_copy(update={"steps": min(parameter.steps, TRIALS)})
    values = parameter.values
    if values is None:
        return parameter
    if name == "seed":
        values = values[:SEEDS]
    elif len(values) > VALUES:
        values = [values[0], values[len(values) // 2], values[-1]]
    if name == "data.n_train":
        values = [max(int(value) // PICTURES, 100) for value in values if isinstance(value, int)]
    return parameter.model_copy(update={"values": [v for i, v in enumerate(values) if v not in values[:i]]})


def _short(override: str) -> str:
    key, _, value = override.partition("=")
    return f"{key}={min(int(value), _SHORT[key])}" if key in _SHORT and value.isdecimal() else override


def _plain(stage: Stage) -> dict[str, Any]:
    return stage.model_dump(by_alias=True, exclude_defaults=True)


def _text(value: Any) -> str:
    """A value in Hydra's override language."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_text, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
