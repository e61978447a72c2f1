"""From trials of earlier stages to the intervals and points of the next one."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from kls.errors import UserError
from kls.sweep.found import Found, Trial, means_over_seeds
from kls.sweep.intervals import Range, confirmations, edges, grid, resolve, seeds_of, space
from kls.sweep.stages import Parameter, Stage

COARSE = [
    Trial(number, {"lam": lam, "model": "3layer"}, value)
    for number, (lam, value) in enumerate([(0.1, 0.3), (0.01, 0.5), (0.001, 0.4), (0.0001, 0.2)])
]
AT_THE_TOP = [Trial(0, {"lam": 2.0}, 0.1), Trial(1, {"lam": 4.0}, 0.2), Trial(2, {"lam": 8.0}, 0.3)]
AT_THE_BOTTOM = [Trial(0, {"lam": 2.0}, 0.3), Trial(1, {"lam": 4.0}, 0.2), Trial(2, {"lam": 8.0}, 0.1)]


def stage_of(name: str, **definition: Any) -> Stage:
    return Stage.model_validate({"name": name, **definition})


def found_by(trials: list[Trial], name: str = "coarse", **definition: Any) -> Found:
    """What is known when a stage has ended, by default one that searches lam on a log scale."""
    found = Found()
    lam = {"lam": {"low": 1e-5, "high": 1.0, "scale": "log"}}
    found.add(stage_of(name, **{"sampler": "random", "trials": 9, "params": lam, **definition}), trials)
    return found


def resolved(trials: list[Trial], **parameter: Any) -> Range:
    return resolve("lam", Parameter.model_validate(parameter), found_by(trials))


def narrowed(trials: list[Trial], scale: str = "log", **rule: Any) -> tuple[float | None, float | None, str]:
    found = resolved(trials, narrow={"from": "coarse", **rule}, scale=scale)
    assert (found.scale, found.values) == (scale, None)
    return found.low, found.high, found.source


def test_given_intervals_and_values_stay() -> None:
    assert resolved([], low=1e-5, high=0.1, scale="log") == Range(1e-5, 0.1, "log", None, "given")
    assert resolved([], values=["3layer", 5, None]) == Range(None, None, "linear", ["3layer", 5, None], "given")
    assert resolved([], low=1.0, high=16.0, steps=3, scale="log").values == [1.0, 4.0, 16.0]


@pytest.mark.parametrize(
    ("steps", "values"), [(3, [50, 75, 100]), (4, [50, 67, 83, 100]), (None, None), (200, list(range(50, 101)))]
)
def test_whole_numbers(steps: int | None, values: list[int] | None) -> None:
    found = resolved([], low=49.6, high=100.4, steps=steps, integer=True)
    assert (found.low, found.high, found.values) == (50, 100, values)
    assert {type(number) for number in (found.low, found.high, *(found.values or []))} == {int}


@pytest.mark.parametrize(
    ("rule", "low", "high", "told"),
    [
        ({"rule": "range_of_best", "k": 2}, 0.001, 0.01, "range of the 2 best"),
        ({"rule": "range_of_best"}, 0.0001, 0.1, "range of the 5 best"),
        ({"rule": "around_best", "factor": 4}, 0.0025, 0.04, "the best / and * 4"),
        ({"rule": "around_best"}, 0.01 / 3, 0.03, "the best / and * 3"),
        ({"rule": "neighbours_of_best"}, 0.001, 0.1, "neighbours of the best"),
        ({"rule": "neighbours_of_best", "widen": 3}, 0.001, 0.1, "neighbours of the best"),
    ],
)
def test_narrowing(rule: dict[str, Any], low: float, high: float, told: str) -> None:
    assert narrowed(COARSE, **rule) == (low, high, f"narrowed from coarse: {told}")


@pytest.mark.parametrize(
    ("trials", "scale", "low", "high", "end"),
    [
        (AT_THE_TOP, "log", 4.0, 24.0, "upper"),
        (AT_THE_BOTTOM, "log", 2.0 / 3.0, 4.0, "lower"),
        (AT_THE_TOP, "linear", 4.0, 16.0, "upper"),
        (AT_THE_BOTTOM, "linear", 0.0, 4.0, "lower"),  # lam has no values below 0
    ],
)
def test_a_best_value_at_the_edge_widens_the_interval_past_it(
    trials: list[Trial], scale: str, low: float, high: float, end: str
) -> None:
    found = narrowed(trials, scale, rule="range_of_best", k=2, widen=3)
    assert found == (low, high, f"narrowed from coarse: range of the 2 best, widened past the {end} end")


def test_without_widen_the_interval_ends_at_the_edge() -> None:
    assert narrowed(AT_THE_TOP, rule="neighbours_of_best")[:2] == (4.0, 8.0)


@pytest.mark.parametrize(("scale", "low", "high"), [("log", 0.005, 0.02), ("linear", 0.0001, 0.02)])
def test_a_single_point_becomes_an_interval(scale: str, low: float, high: float) -> None:
    found = narrowed(COARSE, scale, rule="range_of_best", k=1)
    assert found[:2] == (low, pytest.approx(high, rel=1e-15))
    assert found[2] == "narrowed from coarse: range of the 1 best, a single point widened by a factor of 2"


def test_a_single_value_becomes_an_interval_too() -> None:
    assert resolved([Trial(0, {"lam": 0.1}, 0.5)], narrow={"from": "coarse", "rule": "range_of_best"}).high == 0.2


@pytest.mark.parametrize(
    ("name", "xs", "rule", "interval"),
    [
        ("model.dropout", (0.0, 0.27, 0.5), {"rule": "range_of_best", "k": 2, "widen": 3}, (0.0, 0.27)),
        ("model.dropout", (0.9, 0.5, 0.1), {"rule": "range_of_best", "k": 2, "widen": 3}, (0.5, 1 - 2**-53)),
        ("model.dropout", (0.5, 0.2, 0.7), {"rule": "around_best", "factor": 3}, (0.5 / 3, 1 - 2**-53)),
        ("data.augmentation.flip", (1.0, 0.5), {"rule": "around_best", "factor": 2}, (0.5, 1.0)),
        ("data.augmentation.reach", (30, 20), {"rule": "range_of_best", "k": 2, "widen": 2}, (20, 31)),
        ("model.dropout", (0.0, 0.3), {"rule": "around_best"}, (0.0, 0.0)),
    ],
)
def test_intervals_end_where_the_setting_does(
    name: str, xs: tuple[float, ...], rule: dict[str, Any], interval: tuple[float, float]
) -> None:
    trials = [Trial(i, {name: x}, -float(i)) for i, x in enumerate(xs)]
    parameter = Parameter.model_validate({"narrow": {"from": "coarse", **rule}, "integer": name.endswith("reach")})
    found = resolve(name, parameter, found_by(trials))
    assert (found.low, found.high) == pytest.approx(interval, rel=1e-15)


def test_a_narrowed_interval_can_be_taken_in_steps() -> None:
    found = resolved(AT_THE_TOP, narrow={"from": "coarse", "rule": "neighbours_of_best"}, scale="linear", steps=5)
    assert found.values == [4.0, 5.0, 6.0, 7.0, 8.0]


@pytest.mark.parametrize(
    ("trials", "rule", "scale", "message"),
    [
        ([], "range_of_best", "log", "lam: stage coarse has no finished trial to narrow it from"),
        (
            [Trial(0, {"lam": 0.0}, 0.5), Trial(1, {"lam": 0.1}, 0.4)],
            "range_of_best",
            "log",
            "lam: range_of_best of coarse gives 0 to 0.1, no interval of a log scale",
        ),
        (
            [Trial(0, {"lam": -6.0}, 0.5), Trial(1, {"lam": 0.1}, 0.4)],
            "around_best",
            "linear",
            "lam: around_best of coarse gives -2 to -18, no interval of a linear scale",
        ),
    ],
)
def test_narrowing_that_is_not_possible(trials: list[Trial], rule: str, scale: str, message: str) -> None:
    with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
        narrowed(trials, scale, rule=rule)


def test_edges_tell_of_best_values_at_the_end_of_what_was_tried() -> None:
    trials = [
        Trial(i, {"lam": lam, "sigma": sigma, "batch_size": 50, "model": "3layer", "seed": i}, value)
        for i, (lam, sigma, value) in enumerate([(0.25, 3.0, 0.4), (0.0123456, 2.0, 0.5), (0.5, 1.0, 0.3)])
    ]
    interval, values = Range(0.01, 1.0, "log", None, "given"), Range(None, None, "linear", [0], "given")
    ranges = {"lam": interval, "sigma": interval, "batch_size": interval, "model": values, "seed": interval}
    outside = "the optimum may lie outside"
    assert edges(trials, ranges) == [f"lam: the best, 0.01235, is the smallest value tried; {outside}"]
    largest = [Trial(t.number, t.params, t.params["lam"]) for t in trials]
    assert edges(largest, {"lam": values}) == [f"lam: the best, 0.5, is the largest value tried; {outside}"]
    mixed = [*largest[:2], Trial(2, {"lam": "null"}, 0.1)]
    assert edges(mixed, {"lam": values}) == []


def test_a_grid_has_all_combinations_and_the_last_parameter_changes_fastest() -> None:
    listed = {"model": ["3layer", "9layer"], "sigma": [0.1, None], "seed": [0]}
    ranges = {name: Range(None, None, "linear", values, "given") for name, values in listed.items()}
    assert grid(stage_of("grid", params={name: {"values": values} for name, values in listed.items()}), ranges) == [
        {"model": "3layer", "sigma": 0.1, "seed": 0},
        {"model": "3layer", "sigma": None, "seed": 0},
        {"model": "9layer", "sigma": 0.1, "seed": 0},
        {"model": "9layer", "sigma": None, "seed": 0},
    ]


def confirmed(trials: list[Trial], best: int) -> list[dict[str, Any]]:
    stage = stage_of("confirm", confirm={"from": "coarse", "best": best, "seeds": 2})
    points, source = confirmations(stage, found_by(means_over_seeds(trials)))
    assert source == "the best of coarse"
    return points


def test_the_best_settings_are_confirmed() -> None:
    trials = [Trial(i, {"lam": x}, value) for i, (x, value) in enumerate([(1, 0.4), (2, 0.6), (3, 0.6), (4, 0.5)])]
    assert confirmed(trials, 1) == [{"lam": 2}]
    assert confirmed(trials, 3) == [{"lam": lam} for lam in (2, 3, 4)]
    assert len(confirmed(trials, 9)) == 4


def test_seeds_of_a_confirmation_are_those_that_no_stage_has_used() -> None:
    assert seeds_of(stage_of("confirm", confirm={"from": "coarse", "seeds": 3}), 0, {0, 2}) == [1, 3, 4]


def test_repeats_take_the_same_seeds_in_all_stages() -> None:
    lam = {"lam": {"values": [0.1]}}
    assert seeds_of(stage_of("grid", repeats=3, params=lam), 7, {7, 8}) == [7, 8, 9]
    assert seeds_of(stage_of("grid", params=lam), 7, set()) == []  # the settings say it


def test_the_same_setting_is_confirmed_once() -> None:
    trials = [Trial(i, {"lam": x}, value) for i, (x, value) in enumerate([(1, 0.6), (1, 0.6), (2, 0.5)])]
    assert confirmed(trials, 2) == [{"lam": 1}, {"lam": 2}]


def test_settings_that_differ_in_the_seed_alone_are_the_same() -> None:
    points = [(1, 7, 0.6), (1, 8, 0.55), (2, 7, 0.5)]
    trials = [Trial(i, {"lam": x, "seed": seed}, y, scores={seed: y}) for i, (x, seed, y) in enumerate(points)]
    assert confirmed(trials, 2) == [{"lam": 1}, {"lam": 2}]
    assert [trial.scores for trial in means_over_seeds(trials)] == [{7: 0.6, 8: 0.55}, {7: 0.5}]


def test_nothing_can_be_confirmed_where_nothing_finished() -> None:
    with pytest.raises(UserError, match=r"^stage confirm: coarse has no finished trial to confirm$"):
        confirmed([], 1)


def test_lists_that_go_together_are_crossed_with_the_others() -> None:
    points = {"model": ["3layer", "9layer"], "batch_size": [50, 100]}
    stage = stage_of("grid", points=points, params={"lam": {"values": [0.1, 0.2]}})
    assert space(stage, Found())[1] == [
        {"model": "3layer", "batch_size": 50, "lam": 0.1},
        {"model": "3layer", "batch_size": 50, "lam": 0.2},
        {"model": "9layer", "batch_size": 100, "lam": 0.1},
        {"model": "9layer", "batch_size": 100, "lam": 0.2},
    ]
    assert stage.n_trials == 4


def test_a_condition_leaves_combinations_out() -> None:
    listed = {"model": ["3layer", "9layer"], "lam": [0.1, 0.2], "model.hidden": [[5]]}
    params = {name: {"values": values} for name, values in listed.items()}
    stage = stage_of("grid", params=params, where="lam < 0.15 or model == '9layer' and hidden == [5]")
    assert [(point["model"], point["lam"]) for point in space(stage, Found())[1]] == [
        ("3layer", 0.1), ("9layer", 0.1), ("9layer", 0.2),
    ]  # fmt: skip
    for where, fault in {
        "lam > 1": "stage grid: where=lam > 1: none of 4 combinations is so",
        "lamb > 1": "stage grid: where: lamb: there is no such column; did you mean lam?",
        "lam >": "stage grid: where: 'lam >' cannot be read",
    }.items():
        with pytest.raises(UserError, match=f"^{re.escape(fault)}"):
            space(stage_of("grid", params=params, where=where), Found())


CURVED = [
    Trial(i, {"lam": 10.0**-k}, 0.0, scores={seed: 0.5 - 0.02 * (k - 2.5) ** 2 + 0.01 * seed for seed in (0, 1)})
    for i, k in enumerate([0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
]  # highest between 0.001 and 0.01; the values, which are none of the best's, do not count


def test_the_curve_says_what_is_confirmed_and_where_to_go_on() -> None:
    found = found_by(CURVED)
    (point,), source = confirmations(stage_of("confirm", confirm={"from": "coarse", "by": "curve"}), found)
    assert source == "the optimum of the curve of coarse"
    assert point["lam"] == pytest.approx(10**-2.5, rel=0.02)
    assert point["lam"] == float(f"{point['lam']:.4g}")
    narrow = {"from": "coarse", "rule": "around_optimum", "factor": 4}
    around = resolve("lam", Parameter.model_validate({"narrow": narrow, "scale": "log"}), found)
    assert (around.low, around.high) == pytest.approx((point["lam"] / 4, point["lam"] * 4), rel=1e-3)
    assert around.source == "narrowed from coarse: the optimum of the curve / and * 4"


def test_trials_of_another_budget_are_on_another_curve() -> None:
    found = found_by(CURVED)
    low = [Trial(0, {"lam": 0.0031}, 0.0, scores={0: 0.1, 1: 0.1})]
    lam = {"lam": {"low": 1e-3, "high": 1e-2, "scale": "log"}}
    before = found.curve("coarse")
    found.add(stage_of("other", sampler="random", trials=1, params=lam, budget=["batch_size=50"]), low)
    found.add(stage_of("few", sampler="random", trials=1, params=lam, budget=["batch_size=50"]), low)
    after = found.curve("coarse")
    assert before is not None
    assert after is not None
    assert (before.mean == after.mean).all()
    assert found.curve("other") is None  # of one value
    found.add(stage_of("same", sampler="random", trials=1, params=lam), low)
    with_it = found.curve("coarse")
    assert with_it is not None
    assert with_it.mean.min() < before.mean.min()


def test_too_few_values_for_a_curve() -> None:
    found = found_by([replace(trial, value=float(-i)) for i, trial in enumerate(CURVED[:4])])
    (point,), source = confirmations(stage_of("confirm", confirm={"from": "coarse", "by": "curve"}), found)
    assert (point, source) == ({"lam": 1.0}, "the best of coarse")
    with pytest.raises(UserError, match=r"^lam: stage coarse has too few finished trials for a curve to narrow it by$"):
        resolve("lam", Parameter.model_validate({"narrow": {"from": "coarse", "rule": "around_optimum"}}), found)


# Of a pruned trial the score at its end is known, which came early.
PRUNED = [Trial(0, {"lam": 0.01}, 0.5), Trial(1, {"lam": 0.02}, 0.6, pruned=True), Trial(2, {"lam": 0.1}, 0.4)]


def test_a_pruned_trial_is_never_the_best() -> None:
    low, high, _ = narrowed(PRUNED, rule="around_best", factor=2)
    assert (low, high) == (0.005, 0.02)
    assert [point["lam"] for point in confirmed(PRUNED, 3)] == [0.01, 0.1]


def test_a_pruned_trial_was_tried_all_the_same() -> None:
    assert narrowed(PRUNED, rule="neighbours_of_best")[:2] == (0.01, 0.02)
    assert narrowed(PRUNED, rule="range_of_best", k=2)[:2] == (0.01, 0.02)
    assert narrowed(PRUNED, rule="range_of_best", k=3)[:2] == (0.01, 0.1)
    lam = {"lam": Range(0.001, 1.0, "log", None, "given")}
    assert len(edges(PRUNED, lam)) == 1
    assert edges([*PRUNED, Trial(3, {"lam": 0.005}, 0.1, pruned=True)], lam) == []
