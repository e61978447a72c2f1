"""Optuna samplers whose draws depend on the trial's number alone, so that a resumed study goes on as it would have."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from kls.errors import UserError
from kls.sweep.stages import Stage


class ListedPoints(BaseSampler):
    """Trial number i takes point i: a grid, or settings to be confirmed."""

    def __init__(self, points: Sequence[dict[str, Any]]) -> None:
        self.points = points

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self.points[trial.number][param_name]


class SeededByTrial(BaseSampler):
    """A fresh inner sampler for each trial and each parameter drawn alone, seeded from the trial's number and its name.

    So neither the other trials of a batch nor a stop between two draws matter. The history is the study's.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int) -> None:
        self._make, self._seed = make, seed
        self._inner = make(seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._inner = self._fresh(trial)
        self._inner.before_trial(study, trial)

    def _fresh(self, trial: FrozenTrial, param_name: str = "") -> BaseSampler:
        entropy = np.random.SeedSequence([self._seed, trial.number, *param_name.encode()])
        return self._make(int(entropy.generate_state(1)[0]))

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._inner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        inner = self._fresh(trial, param_name)
        return inner.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        self._inner.after_trial(study, trial, state, values)


def random_sampler(seed: int) -> BaseSampler:
    """Uniform, or log-uniform on a log scale, one trial independent of the other."""
    return SeededByTrial(lambda s: RandomSampler(seed=s), seed)


def tpe_sampler(seed: int, n_startup_trials: int = 10) -> BaseSampler:
    """Tree-structured Parzen estimator (Bergstra et al. 2011)."""
    return SeededByTrial(lambda s: optuna.samplers.TPESampler(seed=s, n_startup_trials=n_startup_trials), seed)


def sampler_of(stage: Stage) -> BaseSampler:
    """The sampler that a stage names. Raises UserError where it cannot be made."""
    if isinstance(stage.sampler, dict):
        try:
            return sampler_by_target(stage.sampler, stage.seed)
        except (TypeError, ValueError) as error:
            raise UserError(f"stage {stage.name}: {error}") from None
    return tpe_sampler(stage.seed) if stage.sampler == "tpe" else random_sampler(stage.seed)


def sampler_by_target(config: dict[str, Any], seed: int) -> BaseSampler:
    """Any Optuna sampler, given by its _target_ and arguments.

    Raises ValueError where the target is no sampler of optuna.samplers.
    """
    arguments = {key: value for key, value in config.items() if key != "_target_"}
    module, _, name = str(config.get("_target_", "")).rpartition(".")
    kind = getattr(optuna.samplers, name, None)
    if module != "optuna.samplers" or not (isinstance(kind, type) and issubclass(kind, BaseSampler)):
        raise ValueError(f"sampler _target_={config.get('_target_')}: must be a class of optuna.samplers")
    if "seed" in inspect.signature(kind).parameters:
        return SeededByTrial(lambda s: kind(**{**arguments, "seed": s}), seed)
    return kind(**arguments)
