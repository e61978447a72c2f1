"""Optuna samplers whose draws depend on the trial's number alone, so that a resumed study goes on as it would have."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, QMCSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from kls.errors import UserError
from kls.sweep.sampler_settings import SamplerSettings, TPESettings, sampler_name, sampler_settings
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
        if search_space and search_space.keys() <= trial.params.keys():
            return {}  # drawn before the trial was left; samplers with a state must not go on twice
        return self._inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        inner = self._fresh(trial, param_name)
        return inner.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        self._inner.after_trial(study, trial, state, values)


class PointsByTrial(QMCSampler):
    """A sequence of quasi-random points, of which trial number i takes point i, however often it is asked for."""

    def __init__(self, seed: int, **arguments: Any) -> None:
        independent = random_sampler(seed)  # for the first trial
        super().__init__(seed=seed, independent_sampler=independent, warn_independent_sampling=False, **arguments)
        self._drawn: list[dict[str, Any]] = []
        self._space: dict[str, BaseDistribution] = {}

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return dict(study.get_trials(deepcopy=False)[0].distributions) if trial.number else {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if not search_space:
            return {}
        if search_space != self._space:
            self._drawn, self._space = [], search_space
            self._counted = optuna.create_study(sampler=self)  # in memory: counts the points
        while len(self._drawn) <= trial.number:
            self._drawn.append(super().sample_relative(self._counted, trial, search_space))
        return self._drawn[trial.number]


def random_sampler(seed: int) -> BaseSampler:
    """Uniform, or log-uniform on a log scale, one trial independent of the other."""
    return SeededByTrial(lambda s: RandomSampler(seed=s), seed)


def tpe_sampler(seed: int) -> BaseSampler:
    """Tree-structured Parzen estimator (Bergstra et al. 2011)."""
    return optuna_sampler("TPESampler", TPESettings(), seed)


def sampler_of(stage: Stage) -> BaseSampler:
    """The sampler that a stage names. Raises UserError where a package that it needs is not there."""
    seed = stage.seed or 0
    if not isinstance(stage.sampler, dict):
        return tpe_sampler(seed) if stage.sampler == "tpe" else random_sampler(seed)
    name, settings = sampler_name(stage.sampler["_target_"]), sampler_settings(stage.sampler)
    missing = [package for package in settings.packages if find_spec(package) is None]
    if missing:
        listed = " and ".join(missing)
        raise UserError(f"stage {stage.name}: {name} needs the package {listed}: pip install {' '.join(missing)}")
    return optuna_sampler(name, settings, seed)


def optuna_sampler(name: str, settings: SamplerSettings, seed: int) -> BaseSampler:
    """A sampler of SAMPLERS whose draws depend on the trial's number."""
    arguments = settings.model_dump()
    if name == "QMCSampler":
        return _made(PointsByTrial, seed=seed, **arguments)
    if name == "CmaEsSampler":
        from kls.sweep.cma_state import CmaEs

        kind: type[BaseSampler] = CmaEs
    else:
        kind = getattr(optuna.samplers, name)
    if name in ("CmaEsSampler", "GPSampler"):
        arguments["warn_independent_sampling"] = False  # as in the first trials always

    return SeededByTrial(lambda s: _made(kind, seed=s, **arguments), seed)


def _made(kind: type[BaseSampler], **arguments: Any) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return kind(**arguments)
