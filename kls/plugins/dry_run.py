"""What a search would run: its stages, intervals and trials, with an estimate of the time."""

from __future__ import annotations

from collections.abc import Sequence

from joblib import cpu_count
from tabulate import tabulate

from kls.calibration import estimated_seconds
from kls.settings import Settings
from kls.sweep.stages import Parameter, Stage


def describe(plan: Sequence[tuple[Stage, Settings]]) -> str:
    """A table with a row a stage. ``plan`` holds each stage and the settings of one of its runs."""
    rows, total = [], 0.0
    for stage, settings in plan:
        trials = stage.n_trials
        processes = min(cpu_count(), trials)
        together = -(-trials // processes)
        seconds = estimated_seconds(settings, together)
        total += seconds
        budget = ", ".join(stage.budget) or "-"
        rows.append((stage.name, trials, _sampler(stage), _searched(stage), budget, _time(seconds)))
    headers = ["stage", "trials", "sampler", "searched", "budget", "about"]
    table = tabulate(rows, headers=headers, maxcolwidths=[None, None, None, 48, 36, None])
    note = (
        f"{sum(row[1] for row in rows)} runs, about {_time(total)} with {cpu_count()} processes, measured from "
        "a few steps of each stage trained as populations"
    )
    return f"{table}\n{note}; nothing was run"


def _sampler(stage: Stage) -> str:
    if stage.confirm:
        return "confirm"
    return stage.sampler if isinstance(stage.sampler, str) else str(stage.sampler["_target_"]).rsplit(".", 1)[-1]


def _searched(stage: Stage) -> str:
    if stage.confirm:
        return f"the {stage.confirm.best} best of {stage.confirm.source}, {stage.confirm.seeds} seeds each"
    return "; ".join(f"{name}: {_told(parameter)}" for name, parameter in stage.params.items())


def _told(parameter: Parameter) -> str:
    if parameter.values is not None:
        return ", ".join(f"{v:g}" if isinstance(v, float) else str(v) for v in parameter.values)
    scale = f"{parameter.scale}, {parameter.steps} steps" if parameter.steps else parameter.scale
    if parameter.narrow is None:
        return f"[{parameter.low:g}, {parameter.high:g}], {scale}"
    rule = parameter.narrow
    how = {
        "range_of_best": f"range of the {rule.k} best",
        "around_best": f"the best / and * {rule.factor:g}",
        "neighbours_of_best": "neighbours of the best",
    }[rule.rule]
    return f"{how} of {rule.source}, {scale}"


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
