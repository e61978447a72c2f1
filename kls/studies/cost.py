"""How long a step's stages would take, roughly: enough to weigh steps against each other and to measure by.

Measured on a core of an AMD EPYC (Zen 5); what is left is told by the speed that this machine shows.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kls.flat_settings import flatten
from kls.studies.yaml_text import parsed
from kls.sweep.stages import Stage

A_JOB = 0.25  # seconds that a job takes beside its training
A_STEP = 4.0  # that a sweep, or a gradient check, takes beside its jobs
_A_LAYER = 4.8e-5  # of an update, for each layer
_A_MILLION = 2.4e-5  # of a picture in an update, for each million weights

_MODEL = {"model": "3layer_bn", "model.hidden": [50, 50]}
_SCHEDULE = {"n_s": 2250, "cycles": 2, "epochs": None, "steps": None}
_DEFAULTS: dict[str, Any] = {
    **_MODEL, "batch_size": 100, "data.n_train": 45_000, "data.projection": None,
    **{f"optimizer.schedule.{key}": value for key, value in _SCHEDULE.items()},
}  # fmt: skip
_PIXELS, _PROJECTED, _CLASSES = 3072, 540, 10


def stage_seconds(root: Path, stage: Stage, settings: Mapping[str, Any], overrides: Iterable[str], cores: int) -> float:
    """Seconds that a stage takes on so many cores. settings: of the sweep's file; overrides: of the step."""
    known = dict(_DEFAULTS)
    for source in (settings, _assigned(overrides), _assigned(stage.budget)):
        known |= _with_network(root, source)
    choices = {name: p.values for name, p in stage.params.items() if name in _DEFAULTS and p.values}
    seconds = [_run_seconds(known | _with_network(root, point)) for point in _points(choices)]
    each, n = sum(seconds) / len(seconds) + A_JOB, stage.n_trials
    return each * max(n / cores, 1.0)


def _assigned(overrides: Iterable[str]) -> dict[str, Any]:
    pairs = (override.split("=", 1) for override in overrides if "=" in override)
    return {key.lstrip("+"): parsed(value) for key, value in pairs}


def _with_network(root: Path, source: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with the hidden layers of a chosen file of conf/model."""
    path = root / "conf" / "model" / f"{source.get('model')}.yaml"
    chosen = flatten(parsed(path.read_text(encoding="utf-8")), "model.") if path.is_file() else {}
    return chosen | dict(source)


def _points(choices: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    points: list[dict[str, Any]] = [{}]
    for name, values in choices.items():
        points = [{**point, name: value} for point in points for value in values]
    return points


def _run_seconds(known: Mapping[str, Any]) -> float:
    plan = {key: known[f"optimizer.schedule.{key}"] for key in _SCHEDULE}
    batch, pictures = known["batch_size"], known["data.n_train"] or _DEFAULTS["data.n_train"]
    if plan["steps"] is not None:
        steps = plan["steps"]
    elif plan["epochs"] is not None:
        steps = plan["epochs"] * (pictures // batch)
    else:
        steps = (plan["cycles"] or 1) * 2 * plan["n_s"]
    hidden = known["model.hidden"]
    widths = [_PROJECTED if known["data.projection"] else _PIXELS, *hidden, _CLASSES]
    weights = sum(a * b for a, b in itertools.pairwise(widths))
    return steps * (_A_LAYER * (len(hidden) + 1) + batch * _A_MILLION * weights / 1e6)
