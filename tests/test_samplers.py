"""Draws depend on the trial's number and the study's history alone, however often a study is taken up again."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from small_sweeps import unsynced

from kls.plugins.samplers import ListedPoints, random_sampler, sampler_by_target, tpe_sampler

optuna.logging.set_verbosity(optuna.logging.WARNING)

SPACE: dict[str, BaseDistribution] = {
    "lam": FloatDistribution(1e-5, 0.1, log=True),
    "width": IntDistribution(10, 100),
    "kind": CategoricalDistribution(("a", "b", "c")),
}
POINTS = [{"lam": 10.0**-k, "width": 10 + k, "kind": "abc"[k % 3]} for k in range(1, 5)] * 5
SAMPLERS: dict[str, Callable[[], BaseSampler]] = {
    "random": lambda: random_sampler(3),
    "tpe": lambda: tpe_sampler(3, n_startup_trials=4),
    "listed": lambda: ListedPoints(POINTS),
    "tpe by target": lambda: sampler_by_target({"_target_": "optuna.samplers.TPESampler", "n_startup_trials": 4}, 3),
    "nsga by target": lambda: sampler_by_target({"_target_": "optuna.samplers.NSGAIISampler", "population_size": 4}, 3),
}


def score(params: dict[str, Any]) -> float:
    return -((np.log10(params["lam"]) + 3.0) ** 2) - abs(params["width"] - 50) / 50 - (params["kind"] != "b")


def draw(study: optuna.Study, sampler: BaseSampler, batches: Sequence[int]) -> None:
    """Ask for batches of trials as the sweeper does: the results of one are told before the next is asked for."""
    study.sampler = sampler
    for n in batches:
        trials = [study.ask() for _ in range(n)]
        for trial in trials:
            for name, distribution in SPACE.items():
                trial._suggest(name, distribution)
        for trial in trials:
            study.tell(trial, score(trial.params))


def params_of(study: optuna.Study) -> list[dict[str, Any]]:
    return [trial.params for trial in study.trials]


def whole(sampler: BaseSampler, batches: Sequence[int] = (5, 5, 5, 5)) -> list[dict[str, Any]]:
    """The parameters of a study that is run in one go."""
    study = optuna.create_study(direction="maximize")
    draw(study, sampler, batches)
    return params_of(study)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_study_in_pieces_equals_one_in_one_go(name: str) -> None:
    storage = optuna.storages.InMemoryStorage()
    optuna.create_study(study_name="pieces", storage=storage, direction="maximize")
    for _ in range(4):
        draw(optuna.load_study(study_name="pieces", storage=storage), SAMPLERS[name](), (5,))
    params = params_of(optuna.load_study(study_name="pieces", storage=storage))
    assert params == whole(SAMPLERS[name]())
    if name in ("random", "tpe"):
        assert len({json.dumps(point) for point in params}) == 20


def test_another_process_draws_the_same() -> None:
    code = "import json, test_samplers as t; print(json.dumps({n: t.whole(make()) for n, make in t.SAMPLERS.items()}))"
    ended = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, check=True)
    assert json.loads(ended.stdout) == {name: whole(make()) for name, make in SAMPLERS.items()}


def test_random_draws_do_not_depend_on_the_batches() -> None:
    assert whole(random_sampler(0), (12,)) == whole(random_sampler(0), (1, 4, 7)) == whole(random_sampler(0), (2,) * 6)


@pytest.mark.parametrize("name", SAMPLERS)
def test_trials_that_were_left_while_they_were_drawn_go_on_as_they_began(name: str, tmp_path: Path) -> None:
    storage = optuna.storages.RDBStorage("sqlite://", {"creator": lambda: unsynced(tmp_path / "study.db")})
    study = optuna.create_study(study_name="left", storage=storage, direction="maximize", sampler=SAMPLERS[name]())
    first, second, _ = (study.ask() for _ in range(3))
    for trial, names in ((first, list(SPACE)), (second, ["lam"])):
        for key in names:
            trial._suggest(key, SPACE[key])
    for left in study.trials:
        study._storage.set_trial_state_values(left._trial_id, state=optuna.trial.TrialState.WAITING)
    draw(optuna.load_study(study_name="left", storage=storage), SAMPLERS[name](), (5,))
    assert params_of(optuna.load_study(study_name="left", storage=storage)) == whole(SAMPLERS[name](), (5,))


def test_listed_points_go_by_the_number_of_the_trial() -> None:
    assert whole(ListedPoints(POINTS), (3, 17)) == POINTS


def test_seeds_give_different_draws() -> None:
    draws = [point["lam"] for seed in range(5) for point in whole(random_sampler(seed), (30,))]
    assert len(set(draws)) == 5 * 30


def test_random_draws_are_uniform_on_their_scale() -> None:
    points = whole(random_sampler(0), (1000,))
    for name, values, low, high in (
        ("lam", [np.log10(point["lam"]) for point in points], -5.0, -1.0),
        ("width", [point["width"] for point in points], 9.5, 100.5),
    ):
        share = (np.sort(values) - low) / (high - low)
        distance = np.max(np.abs(share - np.linspace(0.0, 1.0, 1000)))
        assert distance < 1.63 / np.sqrt(1000), name  # Kolmogorov-Smirnov at 1 %
    kinds = [point["kind"] for point in points]
    assert all(abs(kinds.count(kind) / 1000 - 1 / 3) < 3 * np.sqrt(2 / 9 / 1000) for kind in "abc")
    correlation = np.corrcoef([np.log(point["lam"]) for point in points[:-1]], [p["width"] for p in points[1:]])[0, 1]
    assert abs(correlation) < 0.1


def test_tpe_looks_where_it_was_good() -> None:
    batches = (10,) * 4
    learnt, blind = (
        [abs(np.log10(p["lam"]) + 3) for p in whole(made, batches)] for made in (tpe_sampler(0), random_sampler(0))
    )
    assert np.mean(learnt[20:]) < 0.7 * np.mean(blind[20:])


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "optuna.samplers.Nothing",
        "optuna.samplers.nsgaii.UniformCrossover",
        "optuna.samplers.intersection_search_space",
        "optuna.samplers.__doc__",
        "optuna.pruners.MedianPruner",
        "RandomSampler",
        "",
    ],
)
def test_only_samplers_of_optuna_are_made(target: str) -> None:
    with pytest.raises(ValueError, match=f"^sampler _target_={target}: must be a class of optuna.samplers$"):
        sampler_by_target({"_target_": target}, 0)


@pytest.mark.parametrize(
    ("target", "arguments"), [("TPESampler", {"n_startup": 3}), ("BaseSampler", {}), ("GridSampler", {})]
)
def test_arguments_that_a_sampler_does_not_take(target: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        sampler_by_target({"_target_": f"optuna.samplers.{target}"} | arguments, 0)


def test_arguments_reach_the_sampler() -> None:
    startup = [
        whole(sampler_by_target({"_target_": "optuna.samplers.TPESampler", "n_startup_trials": n}, 0)) for n in (5, 10)
    ]
    common = [a == b for a, b in zip(*startup, strict=True)]
    assert all(common[:5])
    assert not any(common[5:10])
    assert all(a["lam"] != b["lam"] for a, b in pairwise(startup[0]))


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_sampler_without_a_seed() -> None:
    arguments = {"fixed_params": {"lam": 0.05}, "base_sampler": random_sampler(0)}
    points = whole(sampler_by_target({"_target_": "optuna.samplers.PartialFixedSampler"} | arguments, 0))
    assert {point["lam"] for point in points} == {0.05}
