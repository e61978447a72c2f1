"""Optuna samplers whose draws depend on the trial's number alone, so that a resumed study goes on as it would have."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, BruteForceSampler, PartialFixedSampler, QMCSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from kls.errors import UserError
from kls.sweep import other_samplers
from kls.sweep.cma_state import CmaEs
from kls.sweep.other_samplers import OneByOne, Replayed
from kls.sweep.sampler_checks import check_space
from kls.sweep.sampler_settings import (
    OtherSettings,
    PartialFixedSettings,
    QMCSettings,
    RandomSettings,
    SamplerSettings,
    TPESettings,
    sampler_settings,
)
from kls.sweep.search_space import trial_value
from kls.sweep.stages import Stage


class ListedPoints(OneByOne):
    """Trial number i takes point i: a grid, or settings to be confirmed."""

    def __init__(self, points: Sequence[dict[str, Any]]) -> None:
        self.points = points

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
        self._alone = Lock()  # several threads may ask

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return dict(study.get_trials(deepcopy=False)[0].distributions) if trial.number else {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if not search_space:
            return {}
        with self._alone:
            if search_space != self._space:
                self._drawn, self._space = [], search_space
                self._counted = optuna.create_study(sampler=self)  # in memory: counts the points
            while len(self._drawn) <= trial.number:
                self._drawn.append(super().sample_relative(self._counted, trial, search_space))
            return self._drawn[trial.number]


class AllCombinations(BruteForceSampler):
    """Optuna's sampler; when it has drawn all, it does not stop a loop of Optuna's, which is not there."""

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        pass


def random_sampler(seed: int) -> BaseSampler:
    """Uniform, or log-uniform on a log scale, one trial independent of the other."""
    return seeded(RandomSettings(), seed)


def tpe_sampler(seed: int) -> BaseSampler:
    """Tree-structured Parzen estimator (Bergstra et al. 2011)."""
    return seeded(TPESettings(), seed)


def sampler_of(stage: Stage) -> BaseSampler:
    """The sampler that a stage names, with all that it needs imported.

    Raises UserError where a package is missing, or the sampler cannot search what the stage does.
    """
    settings = sampler_settings(stage.sampler)
    try:
        check_space(settings, stage)
        return seeded(settings, stage.seed or 0)
    except UserError as error:
        raise UserError(f"stage {stage.name}: {error}") from None


def seeded(settings: SamplerSettings, seed: int) -> BaseSampler:
    """A sampler whose draws depend on the trial's number and the study alone."""
    if isinstance(settings.drawing, OtherSettings):
        return Replayed(lambda: _made(settings, seed))
    if isinstance(settings.drawing, QMCSettings):
        return _made(settings, seed)
    return SeededByTrial(lambda s: _made(settings, s), seed)


_OWN: dict[str, type[BaseSampler]] = {
    "QMCSampler": PointsByTrial,
    "CmaEsSampler": CmaEs,
    "BruteForceSampler": AllCombinations,
}


def _made(settings: SamplerSettings, seed: int) -> BaseSampler:
    if isinstance(settings, OtherSettings):
        return other_samplers.instance(settings.target, _in_turn(settings.arguments, seed), seed)
    if isinstance(settings, PartialFixedSettings):
        fixed = {name: trial_value(value) for name, value in settings.fixed_params.items()}
        with _without_warnings():
            return PartialFixedSampler(fixed, _made(settings.base, seed))
    for package in settings.packages:
        other_samplers.imported(package, settings.kind)
    arguments = settings.model_dump()
    if settings.kind in ("CmaEsSampler", "GPSampler"):
        arguments["warn_independent_sampling"] = False  # as in the first trials always
    kind: Any = _OWN.get(settings.kind) or getattr(optuna.samplers, settings.kind)
    with _without_warnings():
        return kind(seed=seed, **arguments)


def _in_turn(value: Any, seed: int) -> Any:
    """An argument with a sampler in the place of each _target_ in it."""
    if isinstance(value, dict):
        if "_target_" in value:
            return _made(sampler_settings(value), seed)
        return {key: _in_turn(item, seed) for key, item in value.items()}
    return [_in_turn(item, seed) for item in value] if isinstance(value, list) else value


@contextmanager
def _without_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
