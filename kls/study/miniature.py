"""Steps in miniature: few pictures of the embedded data, few steps, few trials; every stage is still there."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from kls.sweep.stages import Stage

DATA = ("data=synthetic", "data.n_train=3000", "data.n_val=500", "data.n_test=500")
_SETTINGS = (*DATA, "evaluation.n_train=500", "optimizer.schedule.n_s=20", "hydra.launcher.n_jobs=1")
_LONGEST = {"optimizer.schedule.n_s": 20, "optimizer.schedule.epochs": 1, "optimizer.schedule.steps": 40}
_TRIALS, _SEEDS, _VALUES = 4, 2, 5
_PICTURES = 50  # times fewer, if a stage searches data.n_train


def small_stage(stage: Stage) -> Stage:
    """The stage with few trials, steps, seeds and values of any other setting, and short budgets."""
    content = _plain(stage)
    for name, parameter in content.get("params", {}).items():
        parameter |= {"values": _few(name, parameter["values"])} if "values" in parameter else {}
        parameter |= {"steps": min(parameter["steps"], _TRIALS)} if "steps" in parameter else {}
    if stage.trials is not None:
        content["trials"] = min(stage.trials, _TRIALS)
    if stage.confirm is not None:
        content["confirm"]["seeds"] = min(stage.confirm.seeds, _SEEDS)
    return Stage.model_validate(content | {"budget": [_short(override) for override in stage.budget]})


def overrides(stages: Sequence[Stage]) -> list[str]:
    """What makes the runs of a sweep small, except in what is searched, and its stages, which are small already."""
    searched = {name for stage in stages for name in stage.params}
    settings = [override for override in _SETTINGS if override.split("=")[0] not in searched]
    text = json.dumps([_plain(stage) for stage in stages], ensure_ascii=False, separators=(",", ":"))
    return [*settings, "hydra.sweeper.stages=" + re.sub(r'"([^"\\]+)":', r"\1:", text)]  # Hydra quotes no keys


def _few(name: str, values: list[Any]) -> list[Any]:
    if name == "seed":
        return values[:_SEEDS]
    values = values if len(values) <= _VALUES else [values[0], values[len(values) // 2], values[-1]]
    if name == "data.n_train":
        values = list(dict.fromkeys(value and max(value // _PICTURES, 100) for value in values))
    return values


def _short(override: str) -> str:
    key, _, value = override.partition("=")
    return f"{key}={min(int(value), _LONGEST[key])}" if key in _LONGEST and value.isdecimal() else override


def _plain(stage: Stage) -> dict[str, Any]:
    return stage.model_dump(by_alias=True, exclude_defaults=True)
