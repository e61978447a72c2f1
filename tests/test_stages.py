"""The definition of a search: what is valid, the defaults, and one line for each mistake."""

from __future__ import annotations

from typing import Any

import pytest

from kls.config.validation import validate_group
from kls.errors import UserError
from kls.sweep.narrowing import AroundBest, RangeOfBest
from kls.sweep.stages import Confirm, Parameter, Search

INTERVAL = {"low": 1e-5, "high": 0.1, "scale": "log"}
SEEDS = {"values": [0, 1]}
SAMPLER = (
    "must be one of grid, random, tpe, qmc, gp, cmaes, nsgaii, nsgaiii, bruteforce, partialfixed, "
    "or a sampler by _target_"
)
COARSE = {"name": "coarse", "sampler": "random", "trials": 4, "params": {"lam": INTERVAL}}
GRID = {"name": "fine", "params": {"seed": SEEDS}}
NARROW = {"from": "coarse", "rule": "range_of_best"}


def search(*stages: Any) -> Search:
    return validate_group(Search, {"stages": list(stages)}, "hydra.sweeper")


def fault(*stages: Any) -> str:
    """The one line that a definition is refused with, without the place that all have."""
    with pytest.raises(UserError) as caught:
        search(*stages)
    (line,) = str(caught.value).splitlines()
    assert line.startswith("hydra.sweeper")
    return line.removeprefix("hydra.sweeper.").removeprefix("stages[0].")


def parameter_fault(**parameter: Any) -> str:
    return fault(GRID | {"params": {"lam": parameter}}).removeprefix("params.lam")


def narrowed(*stages: Any, name: str = "lam", **changes: Any) -> str:
    """The fault of a stage that narrows a parameter from earlier ones."""
    stage = GRID | {"sampler": "tpe", "trials": 2, "params": {name: {"narrow": NARROW | changes}}}
    return fault(*stages, stage)


def test_defaults() -> None:
    coarse, fine, confirm = search(
        COARSE,
        {**GRID, "sampler": "tpe", "trials": 3, "params": {"lam": {"narrow": NARROW}}},
        {"name": "confirm", "confirm": {"from": "fine"}},
    ).stages
    assert (coarse.budget, coarse.test, coarse.batch, coarse.seed, coarse.confirm) == ([], False, None, 0, None)
    assert coarse.params == {"lam": Parameter(low=1e-5, high=0.1, scale="log")}
    assert (coarse.params["lam"].integer, coarse.params["lam"].steps, Parameter(values=[1]).scale) == (
        False,
        None,
        "linear",
    )
    assert fine.params["lam"].narrow == RangeOfBest(source="coarse", rule="range_of_best", k=5, widen=None)
    assert AroundBest(source="coarse", rule="around_best").factor == 3.0
    assert confirm.confirm == Confirm(source="fine", best=1, seeds=5)
    assert (confirm.sampler, confirm.trials, search(GRID).stages[0].sampler) == ("grid", None, "grid")
    assert [stage.learns for stage in (coarse, fine, confirm)] == [False, True, False]


def test_the_number_of_trials() -> None:
    models = {"values": ["3layer", "9layer"]}
    coarse, grid, confirm, fine = search(
        COARSE,
        GRID | {"params": {"lam": INTERVAL | {"steps": 5}, "model": models, "seed": {"values": [4, 5, 6]}}},
        {"name": "confirm", "confirm": {"from": "coarse", "best": 2, "seeds": 3}},
        COARSE | {"name": "last", "params": {"lam": {"narrow": NARROW}}},
    ).stages
    assert [stage.n_trials for stage in (coarse, grid, confirm, fine)] == [4, 30, 2, 4]
    assert [stage.n_runs for stage in (coarse, grid, confirm, fine)] == [4, 30, 6, 4]


def test_a_sampler_stays_as_it_was_given() -> None:
    (stage,) = search(COARSE | {"sampler": {"_target_": "optuna.samplers.QMCSampler", "scramble": True}}).stages
    assert stage.sampler == {"_target_": "optuna.samplers.QMCSampler", "scramble": True}
    assert not stage.learns


def test_values_keep_their_types() -> None:
    values = [True, 1, 1.5, "3layer", None, [50, 50], [0.1, 0]]
    kept = Parameter.model_validate({"values": values}).values
    assert kept == values
    assert kept is not None
    assert [type(value) for value in kept] == [bool, int, float, str, type(None), list, list]


@pytest.mark.parametrize(
    ("parameter", "line"),
    [
        ({}, ": give values, or low and high, or narrow"),
        ({"values": [1], "low": 0, "high": 1}, ": give values, or low and high, or narrow"),
        ({"values": [1], "narrow": NARROW}, ": give values, or low and high, or narrow"),
        ({"narrow": NARROW, "high": 1}, ": give values, or low and high, or narrow"),
        ({"low": 1}, ": low=1.0 and high=None must both be given, low below high"),
        ({"high": 1}, ": low=None and high=1.0 must both be given, low below high"),
        ({"low": 2, "high": 1}, ": low=2.0 and high=1.0 must both be given, low below high"),
        ({"low": 1, "high": 1}, ": low=1.0 and high=1.0 must both be given, low below high"),
        ({"low": 0, "high": 1, "scale": "log"}, ": low=0.0 must be above 0 on a log scale"),
        ({"values": []}, ": values must not be empty"),
        ({"values": 3}, ".values=3: must be a valid list"),
        ({"low": 0, "high": 1, "scale": "logarithmic"}, ".scale=logarithmic: must be 'log' or 'linear'"),
        ({"low": 0, "high": 1, "steps": 0}, ".steps=0: must be greater than or equal to 1"),
        ({"low": float("-inf"), "high": 1}, ".low=-inf: must be a finite number"),
        ({"low": "small", "high": 1}, ".low=small: must be a valid number"),
        ({"lo": 0, "high": 1}, ".lo: there is no such setting; see conf/ for those there are"),
    ],
)
def test_mistakes_in_a_parameter(parameter: dict[str, Any], line: str) -> None:
    assert parameter_fault(**parameter) == line


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"name": "Coarse"}, "name=Coarse: String should match pattern '^[a-z][a-z0-9_]*$'"),
        ({"name": "../coarse"}, "name=../coarse: String should match pattern '^[a-z][a-z0-9_]*$'"),
        ({"trials": 0}, "trials=0: must be greater than or equal to 1"),
        ({"batch": 0}, "batch=0: must be greater than or equal to 1"),
        ({"seed": -1}, "seed=-1: must be greater than or equal to 0"),
        ({"trial": 3}, "trial: there is no such setting; see conf/ for those there are"),
        ({"sampler": "TPE"}, f"sampler=TPE: {SAMPLER}"),
        ({"sampler": {"seed": 1}}, f"sampler: {SAMPLER}"),
        ({"sampler": None}, f"sampler=null: {SAMPLER}"),
        ({"params": {}}, ": a stage has params or points, or confirm"),
        ({"confirm": {"from": "coarse"}}, ": a stage has params or points, or confirm"),
        ({"sampler": "grid"}, ": a grid's number of trials is that of its points: leave trials out"),
        ({"sampler": "grid", "trials": None}, ": sampler grid needs values, or steps, for each parameter"),
        ({"trials": None}, ": give the number of trials"),
        ({"params": {"lam": INTERVAL | {"steps": 3}}}, ": steps are for sampler grid"),
    ],
)
def test_mistakes_in_a_stage(change: dict[str, Any], line: str) -> None:
    assert fault(COARSE | change).removeprefix("stages[0]") == line


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"seeds": 0}, "confirm.seeds=0: must be greater than or equal to 1"),
        ({"best": 0}, "confirm.best=0: must be greater than or equal to 1"),
    ],
)
def test_mistakes_in_a_confirmation(change: dict[str, Any], line: str) -> None:
    confirm = {"name": "confirm", "confirm": {"from": "coarse"} | change}
    assert fault(COARSE, confirm).removeprefix("stages[1].") == line


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"k": 0}, "k=0: must be greater than or equal to 1"),
        ({"rule": "around_best", "factor": 1}, "factor=1: must be greater than 1"),
        ({"factor": 2}, "factor: there is no such setting; see conf/ for those there are"),
        ({"widen": 1.0}, "widen=1.0: must be greater than 1"),
    ],
)
def test_mistakes_in_narrowing(change: dict[str, Any], line: str) -> None:
    assert narrowed(COARSE, **change).removeprefix("stages[1].params.lam.narrow.") == line


def test_rules_that_there_are_not() -> None:
    assert narrowed(COARSE, rule="best").removeprefix("stages[1].params.lam.narrow.").startswith(
        "rule=best: must be one of 'range_of_best', 'around_best', 'around_optimum', 'neighbours_of_best'"
    )


def test_there_must_be_a_stage() -> None:
    assert fault() == "stages=[]: List should have at least 1 item after validation, not 0"


def test_sources_are_earlier_stages() -> None:
    confirm = {"name": "confirm", "confirm": {"from": "fine"}}
    refusal = "from=fine is no earlier stage; there are"
    assert fault(confirm, GRID) == f"hydra.sweeper: stage confirm: {refusal} []"
    assert fault(COARSE, confirm) == f"hydra.sweeper: stage confirm: {refusal} ['coarse']"
    assert narrowed(GRID | {"name": "first"}) == (
        "hydra.sweeper: stage fine: from=coarse is no earlier stage; there are ['first']"
    )


def test_names_of_stages_are_their_own() -> None:
    assert fault(COARSE, GRID, COARSE) == "hydra.sweeper: stage coarse: the name is taken by an earlier stage"


def test_only_numbers_that_the_source_searches_can_be_narrowed() -> None:
    refusal = "cannot be narrowed from stage coarse, which does not search it among numbers"
    assert narrowed(COARSE, name="model.init.sigma") == f"hydra.sweeper: stage fine: model.init.sigma {refusal}"
    for value in ("3layer", None, True, [0.1]):
        listed = GRID | {"name": "coarse", "params": {"lam": {"values": [0.1, value]}}}
        assert narrowed(listed) == f"hydra.sweeper: stage fine: lam {refusal}"


def test_a_confirmation_has_the_parameters_of_its_source() -> None:
    confirm = {"name": "confirm", "confirm": {"from": "coarse"}}
    narrow = {"lam": {"narrow": {"from": "confirm", "rule": "around_best"}}}
    stages = search(COARSE, confirm, GRID | {"sampler": "tpe", "trials": 2, "params": narrow}).stages
    assert [stage.name for stage in stages] == ["coarse", "confirm", "fine"]
