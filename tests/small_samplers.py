"""Samplers as other packages bring them: with a state of their own, a sampler in turn, or none at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState


class Annealing(BaseSampler):
    """Walks from the best point so far, in steps that shrink with each result; all of that it keeps in memory."""

    def __init__(self, first: float = 1.0, shrink: float = 0.8, seed: int | None = None) -> None:
        self.rng, self.step, self.shrink = np.random.default_rng(seed), first, shrink
        self.best: dict[str, Any] = {}
        self.value = np.inf

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        drawn = RandomSampler(seed=int(self.rng.integers(2**31))).sample_independent(
            study, trial, param_name, param_distribution
        )
        best = self.best.get(param_name)
        if isinstance(param_distribution, CategoricalDistribution) or best is None:
            return drawn
        between = best + self.step * (drawn - best)
        if not param_distribution._contains(between):
            return drawn
        return round(between) if isinstance(drawn, int) else between

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        sign = -1 if study.direction.name == "MAXIMIZE" else 1
        self.step *= self.shrink
        if values is not None and sign * values[0] < self.value:
            self.best, self.value = dict(trial.params), sign * values[0]


class Passing(Annealing):
    """Asks another sampler, and takes no seed."""

    def __init__(self, other: BaseSampler) -> None:
        self.other = other

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self.other.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        self.other.after_trial(study, trial, state, values)


class Picky(RandomSampler):
    """Looks for what it needs when it is made."""

    def __init__(self, seed: int | None = None) -> None:
        raise ImportError("Tried to import 'botorch'\nbut failed")


class NoSampler:
    """What is not one."""
