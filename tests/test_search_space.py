"""Between a stage's parameters, Hydra's override language and the distributions of Optuna."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from kls.config.resume import quoted
from kls.config.settings import SearchSettings
from kls.errors import UserError
from kls.sweep.intervals import Range
from kls.sweep.search_space import ad_hoc_stage, as_text, distributions, trial_value

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


EMPTY: dict[str, Any] = {"points": {}, "trials": None, "where": None}


def typed_stage(*arguments: str, **typed: Any) -> dict[str, Any]:
    return ad_hoc_stage(parsed(*arguments), SearchSettings(**typed))


def listed(values: list[Any]) -> Range:
    return Range(None, None, "linear", values, "given")


def between(low: float, high: float, scale: str = "linear") -> Range:
    return Range(low, high, scale, None, "given")


@pytest.mark.parametrize("kind", VALUES)
def test_listed_points_reach_the_jobs_as_they_are(kind: str) -> None:
    values, texts = VALUES[kind]
    points = [{"key": trial_value(value)} for value in values]
    distribution = distributions({"key": listed(values)}, points)["key"]
    kept = [distribution.to_external_repr(distribution.to_internal_repr(point["key"])) for point in points]
    assert [f"{value}" for value in kept] == texts


@pytest.mark.parametrize("kind", VALUES)
def test_sampled_values_are_choices(kind: str) -> None:
    values, _ = VALUES[kind]
    distribution = distributions({"key": listed(values)}, [])["key"]
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
    assert distributions({"key": parameter}, []) == {"key": distribution}


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
    stage = typed_stage(argument)
    assert stage == {**EMPTY, "name": "grid", "sampler": "grid", "params": {key: {"values": values}}}
    assert [type(value) for value in stage["params"][key]["values"]] == [type(value) for value in values]


def test_several_lists_and_none() -> None:
    assert list(typed_stage("model=a,b", "lam=1,2")["params"]) == ["model", "lam"]
    assert typed_stage()["params"] == {"seed": {"values": [0]}}


@pytest.mark.parametrize(
    ("argument", "interval"),
    [
        ("lam=interval(0,1)", {"low": 0.0, "high": 1.0, "scale": "linear", "integer": False}),
        ("lam=interval(0.5,1)", {"low": 0.5, "high": 1.0, "scale": "linear", "integer": False}),
        ("lam=tag(log,interval(1e-5,1e-1))", {"low": 1e-5, "high": 0.1, "scale": "log", "integer": False}),
        ("lam=tag(log,int(interval(2,64)))", {"low": 2.0, "high": 64.0, "scale": "log", "integer": True}),
    ],
)
def test_an_interval_makes_a_search(argument: str, interval: dict[str, Any]) -> None:
    search = {**EMPTY, "name": "search", "sampler": "tpe", "trials": 30, "params": {"lam": interval}}
    assert typed_stage(argument, trials=30) == search
    assert typed_stage(argument, trials=30, sampler="random")["sampler"] == "random"
    with pytest.raises(UserError, match=rf"^{re.escape(argument)}: how many trials\? give for example trials=30$"):
        typed_stage(argument)


def test_what_else_is_typed() -> None:
    points = {"model": ["a", "b"], "lam": [1, 2]}
    stage = typed_stage(points=points, where="lam > 1")
    assert stage == {**EMPTY, "name": "grid", "sampler": "grid", "params": {}, "points": points, "where": "lam > 1"}
    assert typed_stage("lam=1,2", sampler="random", trials=5)["trials"] == 5


@pytest.mark.parametrize("value", [None, True, 5, 0.1, 1e-05, "3layer", [50, 40], [0.1, 1e-05], []])
def test_hydra_reads_a_text_as_the_value_it_came_from(value: Any) -> None:
    (override,) = parsed(f"key={as_text(value)}")
    assert override.value() == value


@pytest.mark.parametrize("text", ["plain", "it's", "a b", "x,y", "{z}", "a=b", "[0]", "ü", "50%"])
def test_hydra_reads_a_quoted_text_as_it_is(text: str) -> None:
    (override,) = parsed(f"key={quoted(text)}")
    assert override.value() == text
