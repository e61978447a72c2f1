"""Every file in sweeps/ searches what the study of its name did: stages, intervals, trials, lengths and networks."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from small_sweeps import sweep_in

from kls.cli import project_root
from kls.settings import CyclicSettings, Settings
from kls.sweep.stages import Confirm, Narrow, Parameter, Stage

THREE, NINE = [50, 50], [50, 30, 20, 20, 10, 10, 10, 10]
FIVE_SEEDS = Parameter(values=[0, 1, 2, 3, 4])


def log(low: float, high: float, steps: int | None = None) -> Parameter:
    return Parameter(low=low, high=high, scale="log", steps=steps)


def linear(low: float, high: float, steps: int | None = None) -> Parameter:
    return Parameter(low=low, high=high, scale="linear", steps=steps)


def log_values(*values: float) -> Parameter:
    return Parameter(values=list(values), scale="log")


def best_of(source: str, k: int = 5, widen: float | None = None) -> Parameter:
    return Parameter(narrow=Narrow(source=source, rule="range_of_best", k=k, widen=widen), scale="log")


def cycles(n: int) -> list[str]:
    return [f"optimizer.schedule.cycles={n}"]


def searched(name: str, trials: int, lam: Parameter, **others: Any) -> Stage:
    return Stage(name=name, **{"sampler": "random", "trials": trials, "params": {"lam": lam}} | others)


def confirmed(source: str, budget: list[str] | None = None, seeds: int = 5) -> Stage:
    return Stage(name="confirm", confirm=Confirm(source=source, best=1, seeds=seeds), budget=budget or [])


def grid_with_test(name: str = "grid", budget: list[str] | None = None, **params: Parameter) -> Stage:
    named = {key.replace("__", "."): parameter for key, parameter in params.items()}
    return Stage(name=name, sampler="grid", params=named, budget=budget or [], test=True)


def sensitivity(network: str, *sigmas: float) -> list[Stage]:
    models = Parameter(values=[network, f"{network}_bn"])
    return [grid_with_test(model=models, model__init__sigma=log_values(*sigmas), seed=FIVE_SEEDS)]


STAGES: dict[str, list[Stage]] = {
    "perrot2024": [
        searched("coarse", 20, log(1e-4, 0.501187)),  # exponents -4 to -0.3
        searched("fine1", 10, best_of("coarse"), seed=1),
        searched("fine2", 10, best_of("fine1"), seed=2),
        searched("fine3", 10, best_of("fine2"), seed=3),
        confirmed("fine3"),
    ],
    "gelisgen2019": [
        Stage(name="decades", params={"lam": log(1e-9, 1.0, steps=10)}),
        Stage(name="fine", params={"lam": linear(5e-3, 5e-2, steps=10)}),
        confirmed("fine", cycles(3)),
    ],
    "straathof2019": [
        searched("coarse", 20, log(1e-5, 1e-1), budget=cycles(1)),
        searched("fine", 20, linear(0.0017, 0.0367), seed=1),
        confirmed("fine"),
    ],
    "jarvers2023": [
        Stage(name="decades", params={"lam": log_values(1e-5, 1e-4, 1e-3, 1e-2, 1e-1)}),
        Stage(name="finer", params={"lam": log_values(5e-4, 1e-3, 5e-3, 1e-2, 5e-2)}),
        confirmed("finer"),
    ],
    "course_e": [
        searched("coarse", 20, log(1e-5, 1e-1)),
        searched("fine", 20, log(1e-3, 1e-2), seed=1, budget=cycles(3)),
        confirmed("fine", cycles(4)),
    ],
    "perrot2024_sensitivity": sensitivity("3layer", 1e-1, 1e-3, 1e-4),
    "gelisgen2019_sensitivity": sensitivity("3layer", 1e-1, 1e-3, 1e-4),
    "straathof2019_sensitivity": sensitivity("9layer", 1e-1, 1e-3, 1e-4),
    "jarvers2023_sensitivity": sensitivity("3layer", 1e-1, 1e-3, 1e-4),
    "course_e_sensitivity": sensitivity("9layer", 0.1, 0.01, 0.001),
    "init_sensitivity": [
        grid_with_test(
            model=Parameter(values=["3layer", "3layer_bn", "9layer", "9layer_bn"]),
            model__init__sigma=log_values(1e-1, 1e-2, 1e-3, 1e-4),
            seed=Parameter(values=[0, 1, 2]),
        )
    ],
    "lambda_search": [
        searched("coarse", 20, log(1e-5, 1e-1), budget=cycles(1)),
        searched("fine", 20, best_of("coarse", widen=3), sampler="tpe", batch=10),
        confirmed("fine", cycles(4)),
    ],
    "lambda_tpe": [searched("tpe", 40, log(1e-5, 1e-1), sampler="tpe", batch=10)],
    "published_networks": [
        grid_with_test(
            "networks",
            model=Parameter(values=["3layer", "3layer_bn", "9layer", "9layer_bn", "7layer_wide_bn", "7layer_wider_bn"]),
            seed=FIVE_SEEDS,
        ),
        grid_with_test(
            "after",
            ["model.bn.placement=after"],
            model=Parameter(values=["3layer_bn", "9layer_bn"]),
            seed=FIVE_SEEDS,
        ),
        grid_with_test(
            "statistics",
            ["model=9layer_bn"],
            model__bn__statistics=Parameter(values=["precise", "adaptive"]),
            seed=FIVE_SEEDS,
        ),
        grid_with_test(
            "adam",
            [
                "model=7layer_bn",
                "optimizer=adam_cyclic",
                "optimizer.schedule.cycles=8",
                "optimizer.schedule.eta_max_factor=0.9",
            ],
            seed=FIVE_SEEDS,
        ),
        grid_with_test("he", ["model=9layer", "model.init.scheme=he"], seed=FIVE_SEEDS),
    ],
    "seeds": [grid_with_test("seeds", seed=FIVE_SEEDS)],
    "smoke": [
        searched("coarse", 8, log(1e-5, 1e-1)),
        searched("fine", 6, best_of("coarse", k=3, widen=3), sampler="tpe", batch=3),
        confirmed("fine", cycles(2), seeds=3),
    ],
}
# Jobs of each stage, and the cycles that each of them takes.
JOBS: dict[str, list[tuple[int, int]]] = {
    "perrot2024": [(20, 2), (10, 2), (10, 2), (10, 2), (5, 2)],
    "gelisgen2019": [(10, 2), (10, 2), (5, 3)],
    "straathof2019": [(20, 1), (20, 2), (5, 2)],
    "jarvers2023": [(5, 2), (5, 2), (5, 2)],
    "course_e": [(20, 2), (20, 3), (5, 4)],
    "perrot2024_sensitivity": [(30, 2)],
    "gelisgen2019_sensitivity": [(30, 2)],
    "straathof2019_sensitivity": [(30, 2)],
    "jarvers2023_sensitivity": [(30, 2)],
    "course_e_sensitivity": [(30, 2)],
    "init_sensitivity": [(48, 2)],
    "lambda_search": [(20, 1), (20, 2), (5, 4)],
    "lambda_tpe": [(40, 2)],
    "published_networks": [(30, 2), (10, 2), (10, 2), (5, 8), (5, 2)],
    "seeds": [(5, 2)],
    "smoke": [(8, 1), (6, 1), (3, 2)],
}

Plan = list[tuple[Stage, Settings]]


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Plan]:
    """Gives what a dry run would list: each stage and the settings of its first job."""

    @cache
    def planned(name: str, *arguments: str) -> Plan:
        cwd = tmp_path_factory.mktemp(name)
        plans: list[Plan] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("kls.plugins.dry_run.describe", lambda plan: plans.append(plan) or "")
            outcome = sweep_in(cwd, f"sweeps={name}", "data=cifar10", "dry_run=true", *arguments)
        assert (outcome.status, outcome.err) == (0, "")
        assert list(cwd.iterdir()) == []
        (plan,) = plans
        return plan

    return planned


def test_every_file_has_its_test() -> None:
    assert {path.stem for path in (project_root() / "sweeps").iterdir()} == set(STAGES) == set(JOBS)


@pytest.mark.parametrize("name", STAGES)
def test_stages_jobs_and_lengths(name: str, planned: Callable[..., Plan]) -> None:
    plan = planned(name)
    assert [stage for stage, _ in plan] == STAGES[name]
    lengths = []
    for stage, settings in plan:
        schedule = settings.optimizer.schedule
        assert isinstance(schedule, CyclicSettings)
        assert schedule.cycles is not None
        lengths.append((stage.n_trials, schedule.cycles))
        top = 1e-3 if stage.name == "adam" else 1e-1
        assert (schedule.eta_min, schedule.eta_max) == (1e-5, top)
        assert schedule.n_s == (100 if name == "smoke" else 2250)
        assert (settings.name, settings.batch_size, settings.dtype) == (name, 100, "float32")
        assert (settings.data.n_train, settings.data.n_val) == ((5000, 1000) if name == "smoke" else (None, 5000))
        assert settings.model.bn.momentum == (0.7 if name == "gelisgen2019" else 0.9)
        assert settings.evaluation.test == (stage.test or stage.confirm is not None)
    assert lengths == JOBS[name]


def network(settings: Settings) -> tuple[list[int], bool, str]:
    return settings.model.hidden, settings.model.bn.enabled, settings.model.init.scheme


@pytest.mark.parametrize("name", ["perrot2024", "gelisgen2019", "straathof2019", "jarvers2023", "course_e"])
def test_the_studies_searched_lambda_of_three_layers_with_batch_norm(name: str, planned: Callable[..., Plan]) -> None:
    for _, settings in planned(name):
        assert network(settings) == (THREE, True, "he")


@pytest.mark.parametrize(
    ("name", "hidden", "sigma", "lam"),
    [
        ("perrot2024_sensitivity", THREE, 1e-1, 0.005),
        ("gelisgen2019_sensitivity", THREE, 1e-1, 0.005),
        ("straathof2019_sensitivity", NINE, 1e-1, 0.0072),
        ("jarvers2023_sensitivity", THREE, 1e-1, 0.005),
        ("course_e_sensitivity", NINE, 0.1, 0.005),
    ],
)
def test_sensitivity_to_the_initial_weights(
    name: str, hidden: list[int], sigma: float, lam: float, planned: Callable[..., Plan]
) -> None:
    ((_, settings),) = planned(name)
    assert network(settings) == (hidden, False, "xavier")
    assert (settings.model.init.sigma, settings.lam) == (sigma, lam)


def test_the_published_networks(planned: Callable[..., Plan]) -> None:
    _, after, statistics, adam, he = (settings for _, settings in planned("published_networks"))
    assert (network(after), after.model.bn.placement) == ((THREE, True, "he"), "after")
    assert (network(statistics), statistics.model.bn.statistics) == ((NINE, True, "he"), "precise")
    assert statistics.model.bn.precise_batches == 10
    assert (network(adam), adam.optimizer.kind) == (([60, 50, 40, 30, 20, 10], True, "he"), "adam")
    assert isinstance(adam.optimizer.schedule, CyclicSettings)
    assert adam.optimizer.schedule.eta_max_factor == 0.9
    assert network(he) == (NINE, False, "he")


def test_another_network_and_more_settings_for_a_sweep(planned: Callable[..., Plan]) -> None:
    plan = planned("lambda_search", "model=9layer", "name=mine", "optimizer.momentum=0.9")
    for _, settings in plan:
        assert (*network(settings), settings.name) == (NINE, False, "xavier", "mine")
    assert {settings.optimizer.model_dump()["momentum"] for _, settings in plan} == {0.9}
