"""What a search would run: its stages, intervals and trials, with an estimate of the time."""

from __future__ import annotations

from collections.abc import Sequence

from joblib import cpu_count
from tabulate import tabulate

from kls.calibration import estimated_seconds
from kls.errors import UserError
from kls.plugins.population_launcher import PopulationLauncherConfig
from kls.settings import Settings
from kls.sweep.narrowing import RULES
from kls.sweep.stages import Parameter, Stage

MOST_VALUES = 12


def describe(plan: Sequence[tuple[Stage, Settings]]) -> str:
    """A table with a row a stage. ``plan`` holds each stage and the settings of one of its runs.

    Where the data are not there yet, the table says so instead of the time.
    """
    rows: list[tuple[object, ...]] = []
    times: list[float] = []
    fault = ""
    for stage, settings in plan:
        try:
            times.append(_seconds(settings, stage.n_trials))
        except UserError as error:
            fault = str(error)
        budget = ", ".join(stage.budget) or "-"
        about = "?" if fault else _time(times[-1])
        rows.append((stage.name, stage.n_trials, _sampler(stage), _searched(stage), budget, about))
    headers = ["stage", "trials", "sampler", "searched", "budget", "about"]
    table = tabulate(rows, headers=headers, maxcolwidths=[None, None, None, 48, 36, None])
    runs = f"{sum(stage.n_trials for stage, _ in plan)} runs"
    if fault:
        return f"{table}\n{runs}; their time is not known: {fault}; nothing was run"
    return (
        f"{table}\n{runs}, about {_time(sum(times))} with {cpu_count()} processes, measured from "
        "a few steps of each stage trained as populations; nothing was run"
    )


def _seconds(settings: Settings, trials: int) -> float:
    """With as many populations at once as there are cores, and as large ones as the launcher makes by itself."""
    processes = min(cpu_count(), trials)
    members = min(-(-trials // processes), PopulationLauncherConfig.max_members)
    rounds = -(-trials // (processes * members))
    return rounds * estimated_seconds(settings, members)


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
        listed = [f"{v:g}" if isinstance(v, float) else str(v) for v in parameter.values[:MOST_VALUES]]
        return ", ".join(listed) + (", ..." if len(parameter.values) > MOST_VALUES else "")
    scale = f"{parameter.scale}, {parameter.steps} steps" if parameter.steps else parameter.scale
    if parameter.narrow is None:
        return f"[{parameter.low:g}, {parameter.high:g}], {scale}"
    by = parameter.narrow
    return f"{RULES[by.rule].told(by)} of {by.source}, {scale}"


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
