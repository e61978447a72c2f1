"""What the stages of a search have found: their trials, and the smooth curve through those of one budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from kls.analysis.curve import FEWEST_PLACES, Optimum, by_seed, optimum
from kls.config.flat_settings import SEEDS
from kls.records import names
from kls.sweep.stages import Stage


@dataclass(frozen=True)
class Trial:
    """A trial that has finished, or was pruned: the values of its parameters and its score, larger is better.

    value: the mean of ``scores``, those of its seeds; of a pruned one, of that moment.
    """

    number: int
    params: dict[str, Any]
    value: float
    pruned: bool = False
    scores: dict[int, float] = field(default_factory=dict)


def trials_told(told: Sequence[FrozenTrial], sign: float) -> list[Trial]:
    """The trials of a study that have a score. sign: -1 of a score of which smaller is better, else 1."""
    found = []
    for trial in told:
        if trial.state in (TrialState.COMPLETE, TrialState.PRUNED) and trial.value is not None:
            seeds, scores = (trial.user_attrs[key] for key in (names.SEEDS_OF_TRIAL, names.SCORES_OF_TRIAL))
            own = {int(seed): sign * score for seed, score in zip(seeds, scores, strict=True)}
            pruned = trial.state == TrialState.PRUNED
            found.append(Trial(trial.number, dict(trial.params), sign * trial.value, pruned, own))
    return found


def means_over_seeds(trials: Sequence[Trial]) -> list[Trial]:
    """One trial for each setting: the mean of those that differ in their seeds alone, under the first one's number.

    A lucky seed must not decide. A setting of which one trial was pruned counts as pruned.
    """
    found: dict[str, list[Trial]] = {}
    for trial in trials:
        settings = {name: value for name, value in trial.params.items() if name not in SEEDS}
        found.setdefault(repr(sorted(settings.items())), []).append(replace(trial, params=settings))
    return [
        replace(
            same[0],
            value=fmean(t.value for t in same),
            pruned=any(t.pruned for t in same),
            scores={seed: score for t in same for seed, score in t.scores.items()},
        )
        for same in found.values()
    ]


class Found:
    """The stages that have ended, with their trials, which are means over seeds."""

    def __init__(self, objective: str = names.VAL_ACCURACY) -> None:
        self.objective, self.sign = objective, 1.0 if objective == names.VAL_ACCURACY else -1.0
        self.trials: dict[str, list[Trial]] = {}
        self._stages: dict[str, Stage] = {}
        self._curves: dict[str, Optimum | None] = {}

    def add(self, stage: Stage, trials: Sequence[Trial]) -> None:
        self._stages[stage.name], self.trials[stage.name] = stage, list(trials)
        self._curves.clear()

    def whole(self, source: str) -> list[Trial]:
        """The trials of a stage that were not pruned, best first."""
        return sorted((t for t in self.trials[source] if not t.pruned), key=lambda t: (-t.value, t.number))

    def curve(self, source: str) -> Optimum | None:
        """The optimum by the smooth curve through all trials that were trained as those of the stage ``source``.

        None where it does not search one number alone, or fewer than five values have a score.
        """
        if source not in self._curves:
            self._curves[source] = self._curve(source)
        return self._curves[source]

    def _curve(self, source: str) -> Optimum | None:
        key = self._stages[source].curve_key
        if key is None:
            return None
        budget = sorted(self._stages[source].budget)
        same = [s for s in self._stages.values() if not s.confirm and s.curve_key == key and sorted(s.budget) == budget]
        runs = [
            (float(trial.params[key]), seed, score)
            for stage in same
            for trial in self.whole(stage.name)
            for seed, score in trial.scores.items()
        ]
        table = by_seed(runs)
        if table.shape[1] < FEWEST_PLACES:
            return None
        x = table.columns.to_numpy(np.float64)
        return optimum(x, table, _log(same, key, x))


def _log(stages: Sequence[Stage], key: str, x: np.ndarray) -> bool:
    """Whether the curve is smooth in the logarithm of x."""
    return bool(x.min() > 0) and any(s.params[key].scale == "log" for s in stages if key in s.params)
