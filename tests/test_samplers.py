"""Draws depend on the trial's number and the study's history alone, however often a study is taken up again."""

from __future__ import annotations

import inspect
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

from kls.config.validation import validate_group
from kls.errors import UserError
from kls.sweep import samplers
from kls.sweep.sampler_settings import SAMPLERS
from kls.sweep.samplers import ListedPoints, SeededByTrial, random_sampler, sampler_of, tpe_sampler
from kls.sweep.stages import Stage

optuna.logging.set_verbosity(optuna.logging.WARNING)

SPACE: dict[str, BaseDistribution] = {
    "lam": FloatDistribution(1e-5, 0.1, log=True),
    "width": IntDistribution(10, 100),
    "kind": CategoricalDistribution(("a", "b", "c")),
}
POINTS = [{"lam": 10.0**-k, "width": 10 + k, "kind": "abc"[k % 3]} for k in range(1, 5)] * 5
MAKERS: dict[str, Callable[[], BaseSampler]] = {
    "random": lambda: random_sampler(3),
    "tpe": lambda: tpe_sampler(3),
    "listed": lambda: ListedPoints(POINTS),
    "tpe by target": lambda: sampler_of(stage_with(of("TPESampler", n_startup_trials=4))),
    "nsga by target": lambda: sampler_of(stage_with(of("NSGAIISampler", population_size=4))),
    "quasi-random by target": lambda: sampler_of(stage_with(of("QMCSampler", scramble=True))),
}


def of(name: str, **arguments: Any) -> dict[str, Any]:
    return {"_target_": f"optuna.samplers.{name}", **arguments}


def stage_with(sampler: dict[str, Any]) -> Stage:
    stage = {"name": "coarse", "trials": 5, "params": {"lam": {"low": 0.1, "high": 1.0}}, "seed": 3}
    return validate_group(Stage, stage | {"sampler": sampler})


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


@pytest.mark.parametrize("name", MAKERS)
def test_a_study_in_pieces_equals_one_in_one_go(name: str) -> None:
    storage = optuna.storages.InMemoryStorage()
    optuna.create_study(study_name="pieces", storage=storage, direction="maximize")
    for _ in range(4):
        draw(optuna.load_study(study_name="pieces", storage=storage), MAKERS[name](), (5,))
    params = params_of(optuna.load_study(study_name="pieces", storage=storage))
    assert params == whole(MAKERS[name]())
    if name in ("random", "tpe"):
        assert len({json.dumps(point) for point in params}) == 20


@pytest.mark.slow
def test_another_process_draws_the_same() -> None:
    code = "import json, test_samplers as t; print(json.dumps({n: t.whole(make()) for n, make in t.MAKERS.items()}))"
    ended = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, check=True)
    assert json.loads(ended.stdout) == {name: whole(make()) for name, make in MAKERS.items()}


def test_random_draws_do_not_depend_on_the_batches() -> None:
    assert whole(random_sampler(0), (12,)) == whole(random_sampler(0), (1, 4, 7)) == whole(random_sampler(0), (2,) * 6)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.slow
def test_trials_that_were_left_while_they_were_drawn_go_on_as_they_began(name: str, tmp_path: Path) -> None:
    storage = optuna.storages.RDBStorage("sqlite://", {"creator": lambda: unsynced(tmp_path / "study.db")})
    study = optuna.create_study(study_name="left", storage=storage, direction="maximize", sampler=MAKERS[name]())
    first, second, _ = (study.ask() for _ in range(3))
    for trial, names in ((first, list(SPACE)), (second, ["lam"])):
        for key in names:
            trial._suggest(key, SPACE[key])
    for left in study.trials:
        study._storage.set_trial_state_values(left._trial_id, state=optuna.trial.TrialState.WAITING)
    draw(optuna.load_study(study_name="left", storage=storage), MAKERS[name](), (5,))
    assert params_of(optuna.load_study(study_name="left", storage=storage)) == whole(MAKERS[name](), (5,))


def test_a_trial_that_was_drawn_before_is_not_drawn_again() -> None:
    asked: list[int] = []

    class Counting(optuna.samplers.RandomSampler):
        def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
            asked.append(trial.number)
            return {}

    study = optuna.create_study(sampler=SeededByTrial(lambda seed: Counting(seed), 0))
    trial = study.ask(SPACE)
    assert study.sampler.sample_relative(study, study.trials[trial.number], SPACE) == {}
    assert asked == [0]  # before it had values


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
    ("sampler", "line"),
    [
        *(
            ({"_target_": target}, f"_target_={target}: must be one of RandomSampler, ")
            for target in (
                "os.system", "optuna.samplers.Nothing", "optuna.samplers.GridSampler",
                "optuna.samplers.BruteForceSampler", "optuna.samplers.PartialFixedSampler",
                "optuna.samplers.nsgaii.UniformCrossover",
                "optuna.samplers.__doc__", "optuna.pruners.MedianPruner", "RandomSampler", "", "5",
            )
        ),
        (of("TPESampler", n_startup=3), "n_startup: there is no such argument; it takes n_startup_trials, n_ei_"),
        (of("TPESampler", seed=3), "seed: there is no such argument"),
        (of("RandomSampler", x=1), "x: there is no such argument; it takes no arguments; its seed is the stage's"),
        (of("TPESampler", gamma={"_target_": "os.system"}), "gamma: there is no such argument"),
        (of("TPESampler", n_startup_trials="ten"), "n_startup_trials=ten: must be a valid integer"),
        (of("TPESampler", n_startup_trials={"_target_": "os.system"}), "n_startup_trials: must be a valid integer"),
        (of("TPESampler", n_ei_candidates=0), "n_ei_candidates=0: must be greater than or equal to 1"),
        (of("TPESampler", n_ei_candidates=10**9), "n_ei_candidates=1000000000: must be less than or equal to 10000"),
        (of("TPESampler", group=True, multivariate=False), "group=true needs multivariate=true"),
        (of("NSGAIISampler", population_size=1), "population_size=1: must be greater than or equal to 2"),
        (of("NSGAIISampler", crossover_prob=1.5), "crossover_prob=1.5: must be less than or equal to 1"),
        (of("QMCSampler", qmc_type="latin"), "qmc_type=latin: must be 'sobol' or 'halton'"),
        (of("CmaEsSampler", with_margin=True, lr_adapt=True), "give at most one of use_separable_cma, with_margin"),
    ],
)  # fmt: skip
def test_samplers_that_are_refused(sampler: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as caught:
        stage_with(sampler)
    assert str(caught.value).startswith(f"sampler: {line}")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(("name", "package"), [("GPSampler", "torch"), ("CmaEsSampler", "cmaes")])
def test_a_package_that_is_missing_is_named(name: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samplers, "find_spec", lambda asked: None if asked == package else object())
    line = f"stage coarse: {name} needs the package {package}: pip install {package}"
    with pytest.raises(UserError, match=f"^{line}$"):
        sampler_of(stage_with(of(name)))


def test_arguments_that_versions_of_optuna_know_are_all_given() -> None:
    for name, settings in SAMPLERS.items():
        known = inspect.signature(getattr(optuna.samplers, name)).parameters
        assert settings.model_fields.keys() <= known.keys()
    defaults = {key: field.default for key, field in SAMPLERS["TPESampler"].model_fields.items()}
    assert defaults == {
        "n_startup_trials": 10, "n_ei_candidates": 24, "multivariate": True, "group": False, "constant_liar": True,
    }  # fmt: skip


def test_arguments_reach_the_sampler() -> None:
    startup = [whole(sampler_of(stage_with(of("TPESampler", n_startup_trials=n)))) for n in (5, 10)]
    common = [a == b for a, b in zip(*startup, strict=True)]
    assert all(common[:5])
    assert not any(common[5:10])
    assert all(a["lam"] != b["lam"] for a, b in pairwise(startup[0]))


def test_quasi_random_points_fill_the_space_evenly() -> None:
    points = whole(sampler_of(stage_with(of("QMCSampler", scramble=True))), (1, 63))[1:]
    exponents = np.sort([np.log10(point["lam"]) for point in points])
    assert np.max(np.abs((exponents + 5) / 4 - np.linspace(0, 1, 63))) < 0.06  # random draws: 0.2


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("QMCSampler", {}),
        ("QMCSampler", {"scramble": True, "qmc_type": "halton"}),
        ("NSGAIISampler", {"population_size": 4}),
        ("NSGAIIISampler", {"population_size": 4}),
        ("CmaEsSampler", {"popsize": 4}),
        ("CmaEsSampler", {"with_margin": True, "popsize": 4}),
    ],
)
@pytest.mark.slow
def test_trials_that_were_left_with_their_values_take_nothing_from_later_ones(
    name: str, arguments: dict[str, Any], tmp_path: Path
) -> None:
    """A controller is killed while the jobs of a batch run, of which some had ended."""
    if name == "CmaEsSampler":
        pytest.importorskip("cmaes")

    def make() -> BaseSampler:
        return sampler_of(stage_with(of(name, **arguments)))

    storage = optuna.storages.RDBStorage("sqlite://", {"creator": lambda: unsynced(tmp_path / "study.db")})
    optuna.create_study(study_name="killed", storage=storage, direction="maximize")
    for _ in range(5):
        study = optuna.load_study(study_name="killed", storage=storage, sampler=make())
        trials = [study.ask() for _ in range(6)]
        for trial in trials:
            for key, distribution in SPACE.items():
                trial._suggest(key, distribution)
        ended = trials[:-1]
        for trial in ended:
            study.tell(trial, score(trial.params))
        for left in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
            study._storage.set_trial_state_values(left._trial_id, state=optuna.trial.TrialState.WAITING)
        draw(optuna.load_study(study_name="killed", storage=storage), make(), (6 - len(ended),))
    storage.remove_session()
    storage.engine.dispose()
    assert params_of(optuna.load_study(study_name="killed", storage=storage)) == in_a_file(make(), tmp_path)


def in_a_file(sampler: BaseSampler, folder: Path) -> list[dict[str, Any]]:
    storage = optuna.storages.RDBStorage("sqlite://", {"creator": lambda: unsynced(folder / "whole.db")})
    study = optuna.create_study(storage=storage, direction="maximize")
    draw(study, sampler, (6,) * 5)
    return params_of(study)
