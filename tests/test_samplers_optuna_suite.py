"""Optuna's own tests of samplers, on those of this project as a stage builds them.

They are not for grids and confirmations, whose points are listed, nor for bruteforce, which refuses intervals without
steps; nor are those of relative sampling for random, nsgaii and nsgaiii, which draw none for a new study.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import optuna
import pytest
from optuna.samplers import BaseSampler
from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    MultiObjectiveSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)

from kls.config.validation import validate_group
from kls.sweep.sampler_settings import sampler_settings
from kls.sweep.samplers import sampler_of
from kls.sweep.stages import Stage

GP: Any = {"_target_": "gp", "n_startup_trials": 0}
TPE: Any = {"_target_": "tpe", "n_startup_trials": 0}
FIXED: Any = {"_target_": "partialfixed", "fixed_params": {"lam": 0.5}, "base_sampler": TPE}
OTHER: Any = {"_target_": "small_samplers.Annealing"}


def slow(*samplers: Any) -> list[Any]:
    return [pytest.param(sampler, id=named(sampler), marks=pytest.mark.slow) for sampler in samplers]


def named(sampler: Any) -> str:
    return sampler if isinstance(sampler, str) else str(sampler["_target_"])


@pytest.fixture(autouse=True)
def without_warnings() -> Iterator[None]:
    """As Optuna runs them: their objectives change intervals, of which its samplers warn."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    optuna.logging.set_verbosity(optuna.logging.WARNING)


class _OfStages:
    @pytest.fixture
    def sampler(self, request: pytest.FixtureRequest) -> Callable[[], BaseSampler]:
        for package in sampler_settings(request.param).packages:
            pytest.importorskip(package)
        stage = {"name": "a", "trials": 5, "params": {"lam": {"low": 0.1, "high": 1.0}}, "sampler": request.param}
        return lambda: sampler_of(validate_group(Stage, stage))


@pytest.mark.parametrize(
    "sampler",
    ["random", "qmc", *slow("cmaes", "nsgaii", "nsgaiii", TPE, FIXED, OTHER, GP)],
    indirect=True,
)
class TestBasic(_OfStages, BasicSamplerTestCase):
    pass


@pytest.mark.parametrize("sampler", ["qmc", *slow("cmaes", TPE, GP)], indirect=True)
class TestRelative(_OfStages, RelativeSamplerTestCase):
    pass


@pytest.mark.parametrize("sampler", slow("random", "qmc", "nsgaii", "nsgaiii", TPE), indirect=True)
class TestMultiObjective(_OfStages, MultiObjectiveSamplerTestCase):
    pass


@pytest.mark.parametrize("sampler", ["cmaes"], indirect=True)
class TestSingleOnly(_OfStages, SingleOnlySamplerTestCase):
    pass
