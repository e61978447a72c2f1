"""A search that is played: its stages as they are, with each run a draw of its scores in place of a training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import fmean
from typing import Any

import numpy as np
import optuna

from kls.config.flat_settings import SEEDS, shown
from kls.errors import UserError
from kls.records import names
from kls.sweep import intervals
from kls.sweep.found import Found, means_over_seeds, trials_told
from kls.sweep.sampler_settings import sampler_settings
from kls.sweep.samplers import ListedPoints, sampler_of
from kls.sweep.search_space import distributions
from kls.sweep.stage_study import Outcome, new_study, search
from kls.sweep.stages import Search, Stage
from kls.training.pruning import behind_top_share

Draw = Callable[[float, int], np.ndarray]  # value, seed -> scores (c,) of the run at the ends of 1 to c cycles

CYCLES = 2  # of a stage without a budget, as in conf/
_CYCLES, _RULE = "optimizer.schedule.cycles", "pruning.rule=halving"
_FACTOR = 2  # of halving, as in conf/
_SEED = 0  # of runs of which no stage says the seed


@dataclass(frozen=True)
class Played:
    """What a search came to.

    value: of the searched setting, that it would confirm. cycles: of all of its runs. curve: where it goes by a curve,
    the cycles of the runs that this goes through, and the 95 % interval of its highest place.
    """

    value: float
    cycles: int
    curve: tuple[int, float, float] | None


def play(plan: Search, key: str, draw: Draw, number: int) -> Played:
    """Play all stages but those that confirm. number: of the play; with another one samplers draw otherwise.

    A population is the whole batch of a stage, so that halving judges all of its trials together.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    found, cycles, last = Found(), 0, ""
    for stage in plan.stages:
        if stage.confirm:
            continue
        ranges, points = intervals.space(stage, found)
        entropy = np.random.SeedSequence([stage.seed or 0, number])
        own = stage.model_copy(update={"seed": int(entropy.generate_state(1)[0])})
        runs = _Runs(stage, key, draw)
        study = new_study(stage.name, ListedPoints(points) if points else sampler_of(own), maximize=True)
        search(study, distributions(ranges, points), len(points) or stage.n_trials, stage.asked_at_once, runs.evaluate)
        found.add(stage, means_over_seeds(trials_told(study.get_trials(deepcopy=False), 1.0)))
        cycles, last = cycles + runs.cycles, stage.name
    confirming = next((stage for stage in plan.stages if stage.confirm), None)
    if confirming is None or confirming.confirm is None:
        return Played(found.whole(last)[0].params[key], cycles, None)
    (point, *_), _ = intervals.confirmations(confirming, found)
    source = confirming.confirm.source
    optimum = found.curve(source) if confirming.confirm.by == "curve" else None
    of = next(stage for stage in plan.stages if stage.name == source)
    curve = None if optimum is None else (budget_of(of)[0], optimum.place.low, optimum.place.high)
    return Played(point[key], cycles, curve)


def check_playable(plan: Search, key: str, most_cycles: int) -> None:
    """Raises UserError where a search cannot be played on a table of one setting and so many cycles."""
    for stage in plan.stages:
        if not stage.confirm:
            if {*stage.searched} - {key, *SEEDS} or key not in stage.searched:
                raise UserError(f"stage {stage.name}: searches {shown(stage.searched)}; the table has {key} alone")
            if budget_of(stage)[0] > most_cycles:
                raise UserError(f"stage {stage.name}: trains for more cycles than the {most_cycles} of the table")
            if stage.trials is not None:
                sampler_of(stage)


def missing_package(plan: Search) -> str | None:
    """A package that a sampler of a search needs and that is not installed."""
    samplers = [sampler_settings(stage.sampler).drawing for stage in plan.stages if stage.sampler != "grid"]
    needed = [package for sampler in samplers for package in sampler.packages]
    return next((package for package in needed if find_spec(package) is None), None)


def budget_of(stage: Stage) -> tuple[int, bool]:
    """The cycles of a stage's runs, and whether they are halved at their ends. Raises UserError at any other budget."""
    cycles, halved = CYCLES, False
    for override in stage.budget:
        setting, _, value = override.partition("=")
        if setting == _CYCLES and value.isdecimal() and int(value) > 0:
            cycles = int(value)
        elif override == _RULE:
            halved = True
        else:
            raise UserError(f"stage {stage.name}: budget={override}: played are {_CYCLES} and {_RULE} alone")
    return cycles, halved


class _Runs:
    """Gives a stage's trials what their runs, which are drawn, come to. cycles: of all runs so far."""

    def __init__(self, stage: Stage, key: str, draw: Draw) -> None:
        self._key, self._draw, self._repeats = key, draw, stage.repeats
        self._length, self._halved = budget_of(stage)
        self.cycles = 0

    def evaluate(self, trials: Sequence[Any]) -> list[Outcome]:
        seeds = [self._seeds(trial.params) for trial in trials]
        runs = [(trial.params[self._key], seed) for trial, own in zip(trials, seeds, strict=True) for seed in own]
        reports = np.array([self._draw(value, seed)[: self._length] for value, seed in runs])
        lengths = _halved(reports) if self._halved else np.full(len(runs), self._length)
        self.cycles += int(lengths.sum())
        scores = iter(zip(reports[np.arange(len(runs)), lengths - 1].tolist(), lengths.tolist(), strict=True))
        return [self._outcome(own, [next(scores) for _ in own]) for own in seeds]

    def _seeds(self, params: dict[str, Any]) -> list[int]:
        return list(range(_SEED, _SEED + self._repeats)) if self._repeats > 1 else [params.get("seed", _SEED)]

    def _outcome(self, seeds: Sequence[int], ended: Sequence[tuple[float, int]]) -> Outcome:
        scores = [score for score, _ in ended]
        facts, mean = {names.SEEDS_OF_TRIAL: seeds, names.SCORES_OF_TRIAL: scores}, fmean(scores)
        length = min(length for _, length in ended)
        pruned = length < self._length
        by_epoch = {length: mean} if pruned else {}
        return Outcome(mean, pruned, by_epoch, facts)


def _halved(reports: np.ndarray) -> np.ndarray:
    """How many cycles (n,) each of the runs goes on whose scores at the ends of cycles are ``reports`` (n, c)."""
    lengths = np.full(len(reports), reports.shape[1])
    for cycle in range(1, reports.shape[1]):
        there = np.flatnonzero(lengths == reports.shape[1])
        lengths[there[behind_top_share(reports[there, :cycle], 1, _FACTOR)]] = cycle
    return lengths
