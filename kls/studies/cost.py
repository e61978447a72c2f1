"""How long a step's stages would take, roughly: enough to weigh steps against each other and to measure by.

Measured on a core of an AMD EPYC (Zen 5); what is left is told by the speed that this machine shows.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kls.config.flat_settings import flatten
from kls.errors import UserError
from kls.records.checked import parse_yaml
from kls.records.small_files import read_yaml_text
from kls.sweep.stages import Stage

A_JOB = 0.25  # seconds that a job takes beside its training
A_STEP = 4.0  # that a sweep, or a gradient check, takes beside its jobs
_MOST_POINTS = 10_000  # of a grid, that are looked at
_LONGEST = 1e9  # seconds
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
    points = itertools.islice(itertools.product(*choices.values()), _MOST_POINTS)
    settings_of = [known | _with_network(root, dict(zip(choices, point, strict=True))) for point in points]
    seconds = [_run_seconds(settings) for settings in settings_of]
    each, n = sum(seconds) / len(seconds) + A_JOB, stage.n_trials
    return min(each * max(n / cores, 1.0), _LONGEST)


def _assigned(overrides: Iterable[str]) -> dict[str, Any]:
    pairs = (override.split("=", 1) for override in overrides if "=" in override)
    return {key.lstrip("+"): _value(value) for key, value in pairs}


def _value(text: str) -> Any:
    try:
        return parse_yaml("", text)
    except UserError:
        return text


def _with_network(root: Path, source: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with the hidden layers of a chosen file of conf/model."""
    model = str(source.get("model"))
    path = root / "conf" / "model" / f"{model}.yaml"
    there = re.fullmatch(r"\w+", model) and path.is_file()
    return (flatten(parse_yaml(path, read_yaml_text(path)), "model.") if there else {}) | dict(source)


def _run_seconds(known: Mapping[str, Any]) -> float:
    """Of a run; 0 for settings that cannot be run, which the run itself will tell."""
    try:
        return min(max(0.0, _updates(known) * _update_seconds(known)), _LONGEST)
    except (TypeError, ValueError, ArithmeticError):
        return 0.0


def _updates(known: Mapping[str, Any]) -> float:
    plan = {key: known[f"optimizer.schedule.{key}"] for key in _SCHEDULE}
    pictures = float(known["data.n_train"] or _DEFAULTS["data.n_train"])
    if plan["steps"] is not None:
        return float(plan["steps"])
    if plan["epochs"] is not None:
        return float(plan["epochs"]) * (pictures // known["batch_size"])
    return float(plan["cycles"] or 1) * 2.0 * float(plan["n_s"])


def _update_seconds(known: Mapping[str, Any]) -> float:
    hidden = known["model.hidden"]
    widths = [_PROJECTED if known["data.projection"] else _PIXELS, *hidden, _CLASSES]
    weights = sum(a * b for a, b in itertools.pairwise(widths))
    return _A_LAYER * (len(hidden) + 1) + known["batch_size"] * _A_MILLION * weights / 1e6
