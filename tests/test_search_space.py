"""Between a stage's parameters, Hydra's override language and the distributions of Optuna."""

from __future__ import annotations

from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra_plugins.hydra_optuna_sweeper._impl import create_params_from_overrides
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from kls.config.resume import quoted
from kls.errors import UserError
from kls.sweep.intervals import Range
from kls.sweep.search_space import ad_hoc_stage, as_text, distribution_overrides, meant_for_jobs, trial_value

VALUES: dict[str, tuple[list[Any], list[str]]] = {  # with what stands behind the = of each job's override
    "floats": ([1e-05, 0.1, 0.30000000000000004], ["1e-05", "0.1", "0.30000000000000004"]),
    "whole numbers": ([3, 1, 2], ["3", "1", "2"]),
    "both": ([1, 0.5], ["1.0", "0.5"]),
    "one number": ([5], ["5"]),
    "one float, often": ([0.5, 0.5], ["0.5", "0.5"]),
    "texts": (["3layer", "3layer_bn", "3layer"], ["3layer", "3layer_bn", "3layer"]),
    "texts with signs": (["a b", "it's", "x,y)"], ["a b", "it's", "x,y)"]),
    "null": ([None, 0.1], ["null", "0.1"]),
    "booleans": ([True, False], ["True", "False"]),
    "lists": ([[20, 10], [5], []], ["[20,10]", "[5]", "[]"]),
    "lists of rates": ([[0.1, 1e-05], [None, True]], ["[0.1,1e-05]", "[null,True]"]),
    "a number as a text": (["5", 5], ["5", "5"]),
}


def parsed(*arguments: str) -> list[Override]:
    return list(OverridesParser.create().parse_overrides(list(arguments)))


def distributions(overrides: dict[str, str]) -> dict[str, BaseDistribution]:
    """What hydra-optuna-sweeper makes of a stage's overrides."""
    found, fixed, others = create_params_from_overrides([f"{name}={text}" for name, text in overrides.items()])
    assert (fixed, others) == ({}, [])
    return found


def listed(values: list[Any]) -> Range:
    return Range(None, None, "linear", values, "given")


def between(low: float, high: float, scale: str = "linear") -> Range:
    return Range(low, high, scale, None, "given")


@pytest.mark.parametrize("kind", VALUES)
def test_listed_points_reach_the_jobs_as_they_are(kind: str) -> None:
    values, texts = VALUES[kind]
    points = [{"key": trial_value(value)} for value in values]
    distribution = distributions(distribution_overrides({"key": listed(values)}, points))["key"]
    kept = [distribution.to_external_repr(distribution.to_internal_repr(point["key"])) for point in points]
    assert [f"{value}" for value in kept] == texts


@pytest.mark.parametrize("kind", VALUES)
def test_sampled_values_are_choices(kind: str) -> None:
    values, _ = VALUES[kind]
    distribution = distributions(distribution_overrides({"key": listed(values)}, []))["key"]
    assert isinstance(distribution, CategoricalDistribution)
    assert list(distribution.choices) == list(dict.fromkeys(map(trial_value, values)))


@pytest.mark.parametrize(
    ("parameter", "distribution"),
    [
        (between(1e-5, 0.1, "log"), FloatDistribution(1e-5, 0.1, log=True)),
        (between(0.1 + 0.2, 1.0), FloatDistribution(0.30000000000000004, 1.0)),
        (between(10, 100), IntDistribution(10, 100)),
        (between(10, 100, "log"), IntDistribution(10, 100, log=True)),
    ],
)
def test_intervals(parameter: Range, distribution: BaseDistribution) -> None:
    assert distributions(distribution_overrides({"key": parameter}, [])) == {"key": distribution}


@pytest.mark.parametrize(
    ("argument", "key", "values"),
    [
        ("lam=1e-3,1e-2", "lam", [1e-3, 1e-2]),
        ("lam=choice(1e-3,1e-2)", "lam", [1e-3, 1e-2]),
        ("model=3layer,3layer_bn", "model", ["3layer", "3layer_bn"]),
        ("model.hidden=[10],[20,10]", "model.hidden", ["[10]", "[20,10]"]),
        ("model.init.sigma=null,0.1", "model.init.sigma", ["null", 0.1]),
        ("model.bn.enabled=true,false", "model.bn.enabled", [True, False]),
        ("seed=range(3)", "seed", [0, 1, 2]),
        ("seed=sort(3,1,2)", "seed", [1, 2, 3]),
        ("name='a b',2026-01-31", "name", ["'a b'", "2026-01-31"]),
    ],
)
def test_lists_of_the_command_line_make_a_grid(argument: str, key: str, values: list[Any]) -> None:
    stage = ad_hoc_stage(parsed(argument))
    assert stage == {"name": "grid", "sampler": "grid", "params": {key: {"values": values}}}
    assert [type(value) for value in stage["params"][key]["values"]] == [type(value) for value in values]


def test_several_lists_and_none() -> None:
    assert list(ad_hoc_stage(parsed("model=a,b", "lam=1,2"))["params"]) == ["model", "lam"]
    assert ad_hoc_stage([])["params"] == {"seed": {"values": [0]}}


def test_an_interval_on_the_command_line_needs_a_sampler() -> None:
    with pytest.raises(UserError, match=r"^lam=interval\(0,1\): an interval needs a sampler: write a stage"):
        ad_hoc_stage(parsed("lam=interval(0,1)"))


def test_overrides_that_steer_the_sweep_are_not_for_its_jobs() -> None:
    overrides = parsed("lam=1,2", "resume=/x", "dry_run=true", "max_failures=3", "model=3layer")
    assert [o.input_line for o in meant_for_jobs(overrides)] == ["lam=1,2", "max_failures=3", "model=3layer"]


@pytest.mark.parametrize("value", [None, True, 5, 0.1, 1e-05, "3layer", [50, 40], [0.1, 1e-05], []])
def test_hydra_reads_a_text_as_the_value_it_came_from(value: Any) -> None:
    (override,) = parsed(f"key={as_text(value)}")
    assert override.value() == value


@pytest.mark.parametrize("text", ["plain", "it's", "a b", "x,y", "{z}", "a=b", "[0]", "ü", "50%"])
def test_hydra_reads_a_quoted_text_as_it_is(text: str) -> None:
    (override,) = parsed(f"key={quoted(text)}")
    assert override.value() == text
