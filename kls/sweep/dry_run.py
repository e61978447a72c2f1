"""What a search would run: its stages, intervals and trials, with an estimate of the time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from joblib import cpu_count
from tabulate import tabulate

from kls.config import blas, build
from kls.config.launcher_settings import LauncherSettings
from kls.config.settings import Settings
from kls.core.evaluation import evaluate
from kls.core.population import Population
from kls.errors import UserError
from kls.sweep.stages import Parameter, Stage

MOST_VALUES = 12
STEPS = 40  # that are timed


def describe(plan: Sequence[tuple[Stage, Settings]]) -> str:
    """A table with a row a stage. ``plan`` holds each stage and the settings of one of its runs.

    Where the data are not there yet, the table says so instead of the time.
    """
    rows: list[tuple[object, ...]] = []
    times: list[float] = []
    fault = ""
    for stage, settings in plan:
        try:
            times.append(_seconds(settings, stage.n_runs))
        except UserError as error:
            fault = str(error)
        budget = ", ".join(stage.budget) or "-"
        about = "?" if fault else _time(times[-1])
        rows.append((stage.name, _trials(stage), _sampler(stage), _searched(stage), budget, about))
    headers = ["stage", "trials", "sampler", "searched", "budget", "about"]
    table = tabulate(rows, headers=headers, maxcolwidths=[None, None, None, 48, 36, None])
    runs = f"{sum(stage.n_runs for stage, _ in plan)} runs"
    if fault:
        return f"{table}\n{runs}; their time is not known: {fault}; nothing was run"
    return (
        f"{table}\n{runs}, about {_time(sum(times))} with {cpu_count()} processes, measured from "
        "a few steps of each stage trained as populations; nothing was run"
    )


def _trials(stage: Stage) -> str:
    return f"{stage.n_trials} x {stage.n_seeds} seeds" if stage.n_seeds > 1 else str(stage.n_trials)


def _seconds(settings: Settings, trials: int) -> float:
    """With as many populations at once as there are cores, and as large ones as the launcher makes by itself."""
    processes = min(cpu_count(), trials)
    members = min(-(-trials // processes), LauncherSettings().max_members)
    rounds = -(-trials // (processes * members))
    return rounds * estimated_seconds(settings, members)


def _sampler(stage: Stage) -> str:
    if stage.confirm:
        return "confirm"
    return stage.sampler if isinstance(stage.sampler, str) else str(stage.sampler["_target_"]).rsplit(".", 1)[-1]


def _searched(stage: Stage) -> str:
    if stage.confirm:
        if stage.confirm.by == "curve":
            return f"the optimum of the curve of {stage.confirm.source}"
        return f"the {stage.confirm.best} best of {stage.confirm.source}"
    parts = [f"{name}: {_values_text(values)}" for name, values in stage.points.items()]
    parts += [f"{name}: {_parameter_text(parameter)}" for name, parameter in stage.params.items()]
    return "; ".join([*parts, *([f"where {stage.where}"] if stage.where else [])])


def _values_text(values: Sequence[Any]) -> str:
    listed = [f"{v:g}" if isinstance(v, float) else str(v) for v in values[:MOST_VALUES]]
    return ", ".join(listed) + (", ..." if len(values) > MOST_VALUES else "")


def _parameter_text(parameter: Parameter) -> str:
    if parameter.values is not None:
        return _values_text(parameter.values)
    scale = f"{parameter.scale}, {parameter.steps} steps" if parameter.steps else parameter.scale
    if parameter.narrow is None:
        return f"[{parameter.low:g}, {parameter.high:g}], {scale}"
    return f"{parameter.narrow.words} of {parameter.narrow.source}, {scale}"


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def estimated_seconds(settings: Settings, members: int) -> float:
    """Seconds that ``members`` networks of these settings, trained together in one process, would take.

    Raises UserError where the data are not there: nothing is fetched.
    """
    settings = settings.model_copy(update={"data": settings.data.model_copy(update={"download": False})})
    with blas.limited(settings.threads):
        data = build.data_set(settings)
        feed = build.batches(settings, data)
        n_steps = settings.optimizer.schedule.total_steps(feed.steps_per_epoch)
        population = Population(
            build.architecture(settings, data.inputs),
            [build.member(settings, n_steps)] * members,
            settings.optimizer.make,
            feed,
        )
        step = _timed(lambda: population.advance(population.step + min(STEPS, n_steps))) / min(STEPS, n_steps)
        if not population.ids:  # diverged; a guess from the steps until then is all there is
            return step * n_steps
        n = min(len(data.val.x), 1000)
        picture = _timed(lambda: evaluate(population.network, data.val.x[:n], data.val.y[:n], population.lam)) / n
        evaluated = len(data.val.x) + min(settings.evaluation.n_train, len(data.train.x))
        rows = n_steps // (settings.evaluation.every_steps or feed.steps_per_epoch) + 1
        final = len(data.train.x) + len(data.val.x) + settings.evaluation.test * len(data.test.x)
        return step * n_steps + picture * (rows * evaluated + final)


def _timed(work: Callable[[], object]) -> float:
    with np.errstate(all="ignore"):
        start = time.perf_counter()
        work()
        return time.perf_counter() - start
