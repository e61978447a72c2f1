"""Whatever stands in settings and stages, it is accepted or refused in short lines, at once and by nothing else."""

from __future__ import annotations

import copy
import functools
import time
from typing import Any, get_args

import pytest
from entry_points import composed
from hypothesis import given, settings
from hypothesis import strategies as st

from kls.config.flat_settings import flatten
from kls.config.settings import Settings
from kls.config.validation import validate, validate_group
from kls.errors import UserError
from kls.sweep.corner_points import corner_points
from kls.sweep.intervals import grid, resolve
from kls.sweep.narrowing import AnyNarrow
from kls.sweep.sampler_checks import startup_warning
from kls.sweep.samplers import sampler_of
from kls.sweep.stages import MOST_TRIALS, Search

pytestmark = pytest.mark.slow

EXAMPLES = settings(max_examples=500, derandomize=True, deadline=None)
LONGEST_LINE = 600

NUMBERS = st.one_of(
    st.integers(-3, 200),
    st.sampled_from([10**9, 10**9 + 1, 2**31, 2**63, -(2**63), 10**23]),
    st.sampled_from([400, 5000]).map(lambda digits: 10**digits),
    st.floats(),
    st.sampled_from([0.0, -0.0, 1.0, 1e-300, 1e300, float("nan"), float("inf"), 0.5]),
)
TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["", "x" * 10_000, "a\nb", "\0", "\udc80", "nan", "1e9", "${lam}", "???", "../..", "CON", "5"]),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(TEXTS, st.integers(), st.none()), inner, max_size=4)
    ),
    max_leaves=8,
)


@functools.cache
def base(*choices: str) -> dict[str, Any]:
    return composed(*choices)


BASES = st.sampled_from([(), ("optimizer=adam_constant",), ("optimizer=sgd_step",), ("model=9layer",)])


def refused_well(error: UserError) -> None:
    lines = str(error).splitlines()
    assert 1 <= len(lines) <= 20
    assert max(map(len, lines)) <= LONGEST_LINE
    assert all(line.isprintable() for line in lines)


def attempt(group: Any, config: Any) -> Any:
    """The validated group, or None where it is refused, in no time."""
    began = time.perf_counter()
    try:
        found = validate(config) if group is Settings else validate_group(group, config)
    except UserError as error:
        refused_well(error)
        found = None
    assert time.perf_counter() - began < 5.0
    return found


@EXAMPLES
@given(choices=BASES, data=st.data())
def test_settings_with_anything_in_some_places(choices: tuple[str, ...], data: st.DataObject) -> None:
    config = copy.deepcopy(base(*choices))
    keys = [*flatten(config), *("model", "model.bn", "optimizer", "optimizer.schedule", "data.augmentation", "new")]
    for key in data.draw(st.lists(st.sampled_from(keys), min_size=1, max_size=4)):
        node = config
        *groups, last = key.split(".")
        for group in groups:
            node = node[group] if isinstance(node.get(group), dict) else {}
        node[last] = data.draw(VALUES)
    found = attempt(Settings, config)
    if found is not None:
        assert found.n_steps is not None
        assert 1 <= found.n_steps <= 10**8
        assert Settings.model_validate_json(found.model_dump_json()) == found


@EXAMPLES
@given(config=VALUES)
def test_settings_that_are_anything(config: Any) -> None:
    assert attempt(Settings, config) is None


def mostly(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(strategy, strategy, strategy, strategy, VALUES)


COUNTS = mostly(st.one_of(st.integers(1, 300), st.sampled_from([10**4, 10**5, 10**5 + 1, 10**9])))
KEYS = st.one_of(st.sampled_from(["lam", "seed", "model.dropout", "batch_size", "model", "hydra.run.dir", "+x"]), TEXTS)
NAMES = st.sampled_from(["coarse", "fine", "last", "con"])
PARAMETER = mostly(st.one_of(st.integers(1, 300), st.floats(1, 10)))
PARAMETERS = st.one_of(
    st.fixed_dictionaries({"values": mostly(st.lists(SCALARS, max_size=5))}, optional={"scale": VALUES}),
    st.fixed_dictionaries(
        {"low": mostly(st.floats(1e-9, 1)), "high": mostly(st.floats(1, 1e9))},
        optional={"scale": mostly(st.sampled_from(["log", "linear"])), "steps": COUNTS, "integer": st.booleans()},
    ),
    st.fixed_dictionaries(
        {
            "narrow": st.one_of(
                st.fixed_dictionaries(
                    {"from": mostly(NAMES), "rule": mostly(st.just(get_args(rule.model_fields["rule"].annotation)[0]))},
                    optional={name: PARAMETER for name in rule.model_fields if name not in ("source", "rule")},
                )
                for rule in get_args(get_args(AnyNarrow)[0])
            )
        },
        optional={"scale": mostly(st.sampled_from(["log", "linear"]))},
    ),
)
TARGETS = [f"optuna.samplers.{name}Sampler" for name in ("TPE", "NSGAII", "QMC", "Grid", "BruteForce")]
TARGETS += ["nsgaii", "small_samplers.Annealing", "nothing.Sampler"]
SAMPLERS = st.one_of(
    st.sampled_from(["random", "tpe", "grid", "qmc", "bruteforce"]),
    st.fixed_dictionaries({
        "_target_": st.just("partialfixed"), "base_sampler": VALUES, "fixed_params": st.dictionaries(TEXTS, SCALARS),
    }),
    st.fixed_dictionaries(
        {"_target_": mostly(st.sampled_from(TARGETS))},
        optional={"n_startup_trials": COUNTS, "population_size": COUNTS, "scramble": VALUES, "seed": VALUES},
    ),
)
STAGES = st.fixed_dictionaries(
    {"name": mostly(NAMES)},
    optional={
        "sampler": mostly(SAMPLERS),
        "trials": COUNTS,
        "params": mostly(st.dictionaries(KEYS, mostly(PARAMETERS), min_size=1, max_size=3)),
        "confirm": mostly(st.fixed_dictionaries({"from": mostly(NAMES)}, optional={"best": COUNTS, "seeds": COUNTS})),
        "budget": mostly(st.lists(mostly(st.sampled_from(["batch_size=20", "hydra.x=1", "model=9layer"])), max_size=2)),
        "batch": COUNTS,
        "seed": COUNTS,
        "test": st.booleans(),
    },
)


def walk(found: Search) -> None:
    """All that is done with a definition before the first job."""
    for stage in found.stages:
        assert 1 <= stage.n_trials <= MOST_TRIALS
        try:
            assert len(corner_points(stage, found.stages)) <= 10**5
        except UserError as error:
            refused_well(error)
        if stage.trials is not None:
            assert startup_warning(stage, stage.batch or 10) is None or stage.learns
            try:
                sampler_of(stage)
            except UserError as error:
                refused_well(error)
        elif stage.confirm is None and not any(p.narrow for p in stage.params.values()):
            ranges = {name: resolve(name, parameter, {}) for name, parameter in stage.params.items()}
            assert len(grid(ranges)) <= stage.n_trials
    assert Search.model_validate(found.model_dump(by_alias=True)) == found


@EXAMPLES
@given(stages=st.one_of(st.lists(STAGES, max_size=3), VALUES))
def test_searches(stages: Any) -> None:
    found = attempt(Search, {"stages": stages})
    if found is not None:
        walk(found)


@EXAMPLES
@given(params=st.dictionaries(st.sampled_from(["lam", "model.dropout"]), PARAMETERS, min_size=1), n=COUNTS)
def test_searches_of_two_stages(params: Any, n: Any) -> None:
    intervals = {name: {"low": 0.1, "high": 0.9} for name in params}
    coarse = {"name": "coarse", "sampler": "random", "trials": 5, "params": intervals}
    fine = {"name": "fine", "sampler": "tpe", "trials": n, "params": params}
    found = attempt(Search, {"stages": [coarse, fine]})
    if found is not None:
        walk(found)


@pytest.mark.parametrize("stages", [[], [50, 50], None, {"a": 1}, [{"name": "a"}] * 1000])
def test_stages_that_are_none(stages: Any) -> None:
    assert attempt(Search, {"stages": stages}) is None
