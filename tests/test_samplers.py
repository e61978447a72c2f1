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
from kls.sweep.sampler_checks import startup_warning
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
    "another package's": lambda: sampler_of(stage_with({"_target_": "small_samplers.Annealing"})),
    "fixed in part, another's of another": lambda: half_fixed(),
}


def of(name: str, **arguments: Any) -> dict[str, Any]:
    return {"_target_": f"optuna.samplers.{name}", **arguments}


def fixed(base: Any, **params: Any) -> dict[str, Any]:
    return {"_target_": "partialfixed", "fixed_params": params, "base_sampler": base}


def stage_with(sampler: Any, **changes: Any) -> Stage:
    stage = {"name": "coarse", "trials": 5, "params": {"lam": {"low": 0.1, "high": 1.0}}, "seed": 3}
    return validate_group(Stage, stage | {"sampler": sampler} | changes)


def half_fixed() -> BaseSampler:
    base = {"_target_": "small_samplers.Passing", "other": {"_target_": "small_samplers.Annealing", "shrink": 0.5}}
    return sampler_of(stage_with(fixed(base, width=33), params={"width": {"low": 10, "high": 100, "integer": True}}))


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


OTHERS = "must be one of random, tpe, qmc, gp, cmaes, nsgaii, nsgaiii, bruteforce, partialfixed, or package.module."


@pytest.mark.parametrize(
    ("sampler", "line"),
    [
        *(
            ({"_target_": target}, f"_target_={target}: {OTHERS}Class of a package that is ")
            for target in (
                "optuna.samplers.Nothing", "optuna.samplers.nsgaii.UniformCrossover", "optuna.samplers.BaseSampler",
                "optuna.pruners.MedianPruner", "RandomSampler", "", "5", "os.sys tem", "a..b", ".a", "a.b()",
            )
        ),
        *(
            ({"_target_": target}, f"_target_={target}: for all combinations of listed values give sampler: grid")
            for target in ("grid", "optuna.samplers.GridSampler")
        ),
        (of("TPESampler", n_startup=3), "n_startup: there is no such argument; it takes n_startup_trials, n_ei_"),
        (of("TPESampler", seed=3), "seed: there is no such argument"),
        (of("RandomSampler", x=1), "x: there is no such argument; it takes no arguments; its seed is the stage's"),
        (of("TPESampler", gamma={"_target_": "os.system"}), "gamma: there is no such argument"),
        (of("TPESampler", n_startup_trials="ten"), "n_startup_trials=ten: must be a valid integer"),
        ({"_target_": "tpe", "n_startup_trials": {"_target_": "os.system"}}, "n_startup_trials: must be a valid int"),
        (of("TPESampler", n_ei_candidates=0), "n_ei_candidates=0: must be greater than or equal to 1"),
        (of("TPESampler", n_ei_candidates=10**9), "n_ei_candidates=1000000000: must be less than or equal to 10000"),
        (of("TPESampler", group=True, multivariate=False), "group=true needs multivariate=true"),
        (of("NSGAIISampler", population_size=1), "population_size=1: must be greater than or equal to 2"),
        (of("NSGAIISampler", crossover_prob=1.5), "crossover_prob=1.5: must be less than or equal to 1"),
        ({"_target_": "qmc", "qmc_type": "latin"}, "qmc_type=latin: must be 'sobol' or 'halton'"),
        (of("CmaEsSampler", with_margin=True, lr_adapt=True), "give at most one of use_separable_cma, with_margin"),
        ({"_target_": "partialfixed"}, "fixed_params: is missing; base_sampler: is missing"),
        (fixed("tpe", lam=[1]), "fixed_params.lam=[1]: must be a number, a text, true or false"),
        (fixed("grid"), "base_sampler=grid: must be one of grid, random, tpe"),
        (fixed("best"), "base_sampler=best: must be one of grid, random, tpe"),
        (fixed({"_target_": "tpe", "x": 1}), "base_sampler: x: there is no such argument"),
        ({"_target_": "package.Sampler", "seed": 1}, "seed: leave it out; it is the stage's"),
        ({"_target_": "package.Sampler", "_args_": [1]}, "_args_: is no name of an argument"),
        ({"_target_": "package.Sampler", "x": {"y": [{"_target_": "exec"}]}}, f"x: _target_=exec: {OTHERS}"),
        ({"_target_": "package.Sampler", "x": [float("nan")]}, "x: must be finite"),
    ],
)  # fmt: skip
def test_samplers_that_are_refused(sampler: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as caught:
        stage_with(sampler)
    assert str(caught.value).startswith(f"sampler: {line}")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(("name", "package"), [("GPSampler", "torch"), ("CmaEsSampler", "cmaes")])
def test_a_package_that_is_missing_is_named(name: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    line = f"stage coarse: {name} needs the package {package}: pip install {package}"
    with pytest.raises(UserError, match=f"^{line}$"):
        sampler_of(stage_with(of(name)))
    with pytest.raises(UserError, match=f"^{line}$"):
        sampler_of(stage_with(fixed(of(name))))


def test_defaults_are_those_of_optuna() -> None:
    for settings in SAMPLERS.values():
        known = inspect.signature(getattr(optuna.samplers, settings.kind)).parameters
        for key, field in settings.model_fields.items():
            if not field.is_required() and key != "multivariate":  # null there, which means true
                assert known[key].default == field.default, (settings.kind, key)
    defaults = {key: field.default for key, field in SAMPLERS["tpe"].model_fields.items()}
    assert defaults == {
        "n_startup_trials": 10, "n_ei_candidates": 24, "multivariate": True, "group": False, "constant_liar": True,
    }  # fmt: skip


def test_a_name_is_a_target_without_arguments() -> None:
    for name, target in (("tpe", "TPESampler"), ("qmc", "QMCSampler"), ("nsgaii", "NSGAIISampler")):
        drawn = [whole(sampler_of(stage_with(given)), (6, 6)) for given in (name, {"_target_": name}, of(target))]
        assert drawn[0] == drawn[1] == drawn[2]


def test_which_samplers_learn() -> None:
    blind = {name for name in SAMPLERS if name != "partialfixed" and not stage_with(name).learns}
    assert blind == {"random", "qmc", "bruteforce"}
    assert [stage_with(fixed(base)).learns for base in ("random", "tpe")] == [False, True]
    assert stage_with({"_target_": "small_samplers.Annealing"}).learns


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


SEARCHED: dict[str, Any] = {
    "lam": {"low": 0.1, "high": 1.0},
    "model.dropout": {"values": [0, 0.1, 0.2]},
    "batch_size": {"low": 10, "high": 12, "integer": True},
}
FINITE = {name: parameter for name, parameter in SEARCHED.items() if name != "lam"}


def test_all_combinations_are_drawn_once() -> None:
    space = {"model.dropout": CategoricalDistribution((0, 0.1, 0.2)), "batch_size": IntDistribution(10, 12)}
    study = optuna.create_study(direction="minimize")
    stage = stage_with("bruteforce", trials=9, params=FINITE)
    for n in (4, 4, 1):
        study.sampler = sampler_of(stage)
        trials = [study.ask() for _ in range(n)]
        for trial in trials:
            for name, distribution in space.items():
                trial._suggest(name, distribution)
        for trial in trials:
            study.tell(trial, 0.0)
    assert len({(p["model.dropout"], p["batch_size"]) for p in params_of(study)}) == 9


@pytest.mark.parametrize(
    ("sampler", "params", "line"),
    [
        ("bruteforce", SEARCHED, "lam: sampler bruteforce needs values, or an interval with integer: true"),
        ("bruteforce", FINITE, "trials=10 are more than the 9 combinations that there are"),
        (fixed("bruteforce", batch_size=11), FINITE, "trials=10 are more than the 3 combinations that there are"),
        (fixed("bruteforce", batch_size=11), SEARCHED, "lam: sampler bruteforce needs values, or an interval with"),
        (fixed("tpe", lamda=1), SEARCHED, "fixed_params: lamda is no parameter; there are lam, model.dropout, batch_"),
        (fixed("tpe", lam=2.0), SEARCHED, "fixed_params: lam=2.0 is not in [0.1, 1], linear (given)"),
        (fixed("tpe", lam="small"), SEARCHED, "fixed_params: lam=small is not in [0.1, 1], linear (given)"),
        (fixed("tpe", **{"model.dropout": 0.3}), SEARCHED, "fixed_params: model.dropout=0.3 is not in {0, 0.1, 0.2}"),
    ],
)
def test_spaces_that_a_sampler_cannot_search(sampler: Any, params: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as caught:
        sampler_of(stage_with(sampler, params=params, trials=10))
    assert str(caught.value).startswith(f"stage coarse: {line}")
    assert len(str(caught.value).splitlines()) == 1


def test_fixed_values_hold() -> None:
    for base in ("tpe", "qmc", "random"):
        stage = stage_with(fixed(base, kind="b", width=33), params={"kind": {"values": ["a", "b"]}, "width": {
            "low": 10, "high": 100, "integer": True}})  # fmt: skip
        points = whole(sampler_of(stage), (6, 6))
        assert {(point["kind"], point["width"]) for point in points} == {("b", 33)}
        assert len({point["lam"] for point in points}) == 12


@pytest.mark.parametrize(
    "sampler", ["tpe", "cmaes", {"_target_": "nsgaii", "population_size": 4}, {"_target_": "small_samplers.Annealing"}],
    ids=str,
)  # fmt: skip
def test_a_loss_is_minimised_as_its_opposite_is_maximised(sampler: Any) -> None:
    def drawn(direction: str, sign: int) -> list[dict[str, Any]]:
        study = optuna.create_study(direction=direction, sampler=sampler_of(stage_with(sampler)))
        for _ in range(30):
            trial = study.ask({name: SPACE[name] for name in ("lam", "width")})
            study.tell(trial, sign * (np.log10(trial.params["lam"]) + abs(trial.params["width"] - 50) / 50))
        return params_of(study)

    if sampler == "cmaes":
        pytest.importorskip("cmaes")
    assert drawn("maximize", -1) == drawn("minimize", 1) != drawn("minimize", -1)


@pytest.mark.parametrize("batch", [1, 4, 10])
@pytest.mark.parametrize(
    "sampler",
    ["tpe", "cmaes", {"_target_": "cmaes", "n_startup_trials": 7, "popsize": 5}, "random", "qmc"],
    ids=str,
)
def test_start_up_without_learning_is_told(sampler: Any, batch: int) -> None:
    """A trial is drawn by results where other results lead to another one."""
    space = {name: SPACE[name] for name in ("lam", "width")}
    interval = {"low": 0.1, "high": 1.0}

    def drawn(sign: int) -> list[dict[str, Any]]:
        study = optuna.create_study(sampler=sampler_of(stage_with(sampler)))
        while len(study.trials) < 30:
            trials = [study.ask() for _ in range(min(batch, 30 - len(study.trials)))]
            for trial in trials:
                for name, distribution in space.items():
                    trial._suggest(name, distribution)
            for trial in trials:
                study.tell(trial, sign * (np.log10(trial.params["lam"]) + abs(trial.params["width"] - 50) / 50))
        return params_of(study)

    if "cmaes" in str(sampler):
        pytest.importorskip("cmaes")
    same = [a == b for a, b in zip(drawn(1), drawn(-1), strict=True)]
    for n in range(1, 31):
        stage = stage_with(sampler, trials=n, params={"lam": interval, "width": interval})
        assert (startup_warning(stage, batch) is not None) == (stage.learns and all(same[:n])), n


def test_what_is_told_of_a_start_up() -> None:
    assert startup_warning(stage_with("tpe", trials=10), 3) == (
        "stage coarse: its sampler draws 12 trials, in batches of 3, before it learns from any, and there are 10; "
        "give more trials, or a smaller n_startup_trials, population or batch"
    )
    assert startup_warning(stage_with(fixed("nsgaii"), trials=20), 20) == (
        "stage coarse: all 20 trials are asked for at once, so that its sampler has no result to learn from; give a "
        "smaller batch"
    )
    words = stage_with("cmaes", trials=20, params={"lam": {"values": [0.1, 0.2]}})
    assert startup_warning(words, 3) == (
        "stage coarse: its sampler learns on intervals alone, and there is none: all is drawn at random"
    )
    grid = {"name": "grid", "params": {"lam": {"values": [1]}}}
    assert startup_warning(validate_group(Stage, grid), 10) is None
