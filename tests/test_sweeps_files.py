"""Every file in sweeps/ searches what the study of its name did: stages, intervals, trials, lengths and networks."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Literal

import pytest
from small_sweeps import sweep_in

from kls.config.hydra_entry import project_root
from kls.config.schedules import CyclicSettings
from kls.config.settings import Settings
from kls.sweep.narrowing import AroundOptimum, RangeOfBest
from kls.sweep.stages import Confirm, Parameter, Stage

THREE, NINE = [50, 50], [50, 30, 20, 20, 10, 10, 10, 10]
THREE_SEEDS, FIVE_SEEDS = Parameter(values=[0, 1, 2]), Parameter(values=[0, 1, 2, 3, 4])


def log(low: float, high: float, steps: int | None = None) -> Parameter:
    return Parameter(low=low, high=high, scale="log", steps=steps)


def linear(low: float, high: float, steps: int | None = None) -> Parameter:
    return Parameter(low=low, high=high, scale="linear", steps=steps)


def log_values(*values: float) -> Parameter:
    return Parameter(values=list(values), scale="log")


def best_of(source: str, k: int = 5) -> Parameter:
    return Parameter(narrow=RangeOfBest(source=source, rule="range_of_best", k=k), scale="log")


def cycles(n: int) -> list[str]:
    return [f"optimizer.schedule.cycles={n}"]


def searched(name: str, trials: int, lam: Parameter, **others: Any) -> Stage:
    return Stage(name=name, **{"sampler": "random", "trials": trials, "params": {"lam": lam}} | others)


def around_optimum(source: str, steps: int, factor: float) -> Parameter:
    rule = AroundOptimum(source=source, rule="around_optimum", factor=factor)
    return Parameter(narrow=rule, scale="log", steps=steps)


def confirmed(
    source: str, budget: list[str] | None = None, seeds: int = 5, by: Literal["trial", "curve"] = "trial"
) -> Stage:
    return Stage(name="confirm", confirm=Confirm(source=source, best=1, seeds=seeds, by=by), budget=budget or [])


def grid_with_test(
    name: str = "grid", budget: list[str] | None = None, test: bool = True, **params: Parameter
) -> Stage:
    named = {key.replace("__", "."): parameter for key, parameter in params.items()}
    return Stage(name=name, sampler="grid", params=named, budget=budget or [], test=test)


def sensitivity(network: str, *sigmas: float, seeds: Parameter = FIVE_SEEDS) -> list[Stage]:
    models = Parameter(values=[network, f"{network}_bn"])
    return [grid_with_test(model=models, model__init__sigma=log_values(*sigmas), seed=seeds)]


def networks(*models: str, seeds: Parameter = FIVE_SEEDS) -> Stage:
    return grid_with_test("networks", model=Parameter(values=list(models)), seed=seeds)


def statistics(batch_size: int, n_s: int) -> list[Stage]:
    budget = [f"batch_size={batch_size}", f"optimizer.schedule.n_s={n_s}"]
    momenta = Parameter(values=[0.5, 0.9, 0.99, 0.999])
    others = Parameter(values=["precise", "adaptive"])
    return [
        grid_with_test(f"running_{batch_size}", budget, model__bn__momentum=momenta, seed=THREE_SEEDS),
        grid_with_test(f"others_{batch_size}", budget, model__bn__statistics=others, seed=THREE_SEEDS),
    ]


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
    "straathof2019_sensitivity": sensitivity("9layer", 1e-1, 1e-3, 1e-4),
    "course_e_sensitivity": sensitivity("9layer", 0.1, 0.01, 0.001, seeds=THREE_SEEDS),
    "sensitivity_3layer": sensitivity("3layer", 1e-1, 1e-3, 1e-4),
    "init_sensitivity": [
        grid_with_test(
            model=Parameter(values=["3layer", "3layer_bn", "9layer", "9layer_bn"]),
            model__init__sigma=log_values(1e-1, 1e-2, 1e-3, 1e-4),
            seed=Parameter(values=[0, 1, 2]),
        )
    ],
    "lambda_search": [
        grid_with_test("coarse", cycles(1), test=False, lam=log(1e-5, 1e-1, steps=8)),
        grid_with_test("fine", cycles(1), test=False, lam=around_optimum("coarse", steps=6, factor=6)),
        confirmed("fine", by="curve"),
    ],
    "networks": [
        networks("3layer", "3layer_bn", "9layer", "9layer_bn"),
        grid_with_test("he", ["model=9layer", "model.init.scheme=he"], seed=FIVE_SEEDS),
    ],
    "gelisgen2019_networks": [networks("9layer", "9layer_bn", "3layer", "3layer_bn")],
    "course_e_networks": [networks("3layer", "3layer_bn", "9layer", "9layer_bn", seeds=THREE_SEEDS)],
    "perrot2024_networks": [
        grid_with_test("text", ["lam=0.01634"], model=Parameter(values=["3layer_bn", "9layer_bn"]), seed=FIVE_SEEDS),
        grid_with_test(
            "code",
            ["batch_size=450", "model.bn.statistics=adaptive"],
            model=Parameter(values=["3layer_bn", "9layer_bn"]),
            lam=Parameter(values=[0.005, 0.01634]),
            seed=FIVE_SEEDS,
        ),
    ],
    "jarvers2023_networks": [
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
        grid_with_test("wide", model=Parameter(values=["7layer_wider_bn", "7layer_wide_bn"]), seed=FIVE_SEEDS),
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
    ],
    "jarvers2023_augmented": [
        grid_with_test(
            "grid",
            ["model=9layer_bn"],
            data__test_augmentation__share=Parameter(values=[0.1, 0.5, 1.0]),
            seed=THREE_SEEDS,
        )
    ],
    "bn_gain_by_depth": [
        grid_with_test(
            model__hidden=Parameter(values=[[50] * n for n in (1, 2, 3, 5, 8, 11)]),
            model__bn__enabled=Parameter(values=[False, True]),
            seed=FIVE_SEEDS,
        )
    ],
    "best_lam_by_width": [
        grid_with_test(
            test=False,
            model__hidden=Parameter(values=[[n, n] for n in (25, 50, 100, 200, 400)]),
            lam=log(1e-3, 1e-1, steps=9),
            seed=Parameter(values=[0, 1, 2, 3, 4, 5]),
        )
    ],
    "best_lam_by_data": [
        grid_with_test(
            test=False,
            data__n_train=log_values(1000, 5000, 15_000, 45_000), lam=log(1e-5, 1.0, steps=11), seed=THREE_SEEDS
        )
    ],
    "bn_statistics": [*statistics(20, 11_250), *statistics(100, 2250), *statistics(500, 450), *statistics(2500, 90)],
    "epsilon_sigma": [
        grid_with_test(
            model__bn__epsilon=log_values(1e-12, 1e-10, 1e-8, 1e-6, 1e-5, 1e-4, 1e-3),
            model__init__sigma=log_values(1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0),
            seed=THREE_SEEDS,
        )
    ],
    "best_mlp": [
        Stage(
            name="search",
            params={"lam": log(2e-4, 8e-4, steps=3)},
            budget=[*cycles(1), "optimizer.schedule.n_s=900"],
        ),
        confirmed("search", [*cycles(5), "ensemble.snapshots=2", "ensemble.reach=2"], seeds=3),
    ],
    "seeds": [grid_with_test("seeds", seed=FIVE_SEEDS)],
    "search_table": [
        grid_with_test(
            model=Parameter(values=["3layer_bn", "9layer_bn"]),
            seed=Parameter(values=list(range(10))),
            lam=log(1e-5, 1e-1, steps=17),
            test=False,
        )
    ],
    "smoke": [
        grid_with_test("coarse", cycles(1), test=False, lam=log(1e-5, 1e-1, steps=6)),
        grid_with_test("fine", cycles(1), test=False, lam=around_optimum("coarse", steps=5, factor=10)),
        confirmed("fine", seeds=3, by="curve"),
    ],
}
# Jobs of each stage, and the cycles that each of them takes.
JOBS: dict[str, list[tuple[int, int]]] = {
    "perrot2024": [(20, 2), (10, 2), (10, 2), (10, 2), (5, 2)],
    "gelisgen2019": [(10, 2), (10, 2), (5, 3)],
    "straathof2019": [(20, 1), (20, 2), (5, 2)],
    "jarvers2023": [(5, 2), (5, 2), (5, 2)],
    "course_e": [(20, 2), (20, 3), (5, 4)],
    "straathof2019_sensitivity": [(30, 2)],
    "course_e_sensitivity": [(18, 2)],
    "sensitivity_3layer": [(30, 2)],
    "init_sensitivity": [(48, 2)],
    "lambda_search": [(8, 1), (6, 1), (5, 2)],
    "networks": [(20, 2), (5, 2)],
    "gelisgen2019_networks": [(20, 4)],
    "course_e_networks": [(12, 2)],
    "perrot2024_networks": [(10, 2), (20, 2)],
    "jarvers2023_networks": [(10, 2), (10, 2), (10, 2), (5, 8)],
    "jarvers2023_augmented": [(9, 2)],
    "bn_gain_by_depth": [(60, 2)],
    "best_lam_by_width": [(270, 1)],
    "best_lam_by_data": [(132, 1)],
    "bn_statistics": [(12, 1), (6, 1)] * 4,
    "epsilon_sigma": [(126, 1)],
    "best_mlp": [(3, 1), (3, 5)],
    "seeds": [(5, 2)],
    "smoke": [(6, 1), (5, 1), (3, 2)],
    "search_table": [(340, 4)],
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
            patch.setattr("kls.sweep.dry_run.describe", lambda plan: plans.append(plan) or "")
            outcome = sweep_in(cwd, f"sweeps={name}", "data=cifar10", "dry_run=true", *arguments)
        assert (outcome.status, outcome.err) == (0, "")
        assert list(cwd.iterdir()) == []
        (plan,) = plans
        return plan

    return planned


def test_every_file_has_its_test() -> None:
    assert {path.stem for path in (project_root() / "sweeps").iterdir()} == set(STAGES) == set(JOBS)


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.slow
def test_stages_jobs_and_lengths(name: str, planned: Callable[..., Plan]) -> None:
    plan = planned(name)
    assert [stage for stage, _ in plan] == [s.model_copy(update={"seed": i}) for i, s in enumerate(STAGES[name])]
    lengths = []
    for stage, settings in plan:
        schedule = settings.optimizer.schedule
        assert isinstance(schedule, CyclicSettings)
        assert schedule.cycles is not None
        lengths.append((stage.n_runs, schedule.cycles))
        top = {"adam": 1e-3}.get(stage.name, 0.05 if name == "best_mlp" else 1e-1)
        assert (schedule.eta_min, schedule.eta_max) == (1e-5, top)
        if name == "best_mlp":
            assert (settings.batch_size, schedule.n_s) == (250, 900 if stage.name == "search" else 1800)
            assert (settings.model.hidden, settings.model.bn.enabled) == ([2048, 1024, 512], True)
            assert (settings.data.projection, settings.data.whitening, settings.model.init.sigma) == (0.99, 2.0, 0.01)
            ensemble = (2, 2) if stage.name == "confirm" else (0, None)
            assert (settings.ensemble.snapshots, settings.ensemble.reach) == ensemble
        elif name != "bn_statistics":
            assert schedule.n_s == (100 if name == "smoke" else 2250)
            assert settings.batch_size == (450 if stage.name == "code" else 100)
            assert settings.model.bn.momentum == (0.7 if name.startswith("gelisgen2019") else 0.9)
        assert (settings.name, settings.dtype) == (name, "float32")
        if "data.n_train" not in stage.params:
            assert (settings.data.n_train, settings.data.n_val) == ((5000, 1000) if name == "smoke" else (None, 5000))
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
        ("sensitivity_3layer", THREE, 1e-1, 0.005),
        ("straathof2019_sensitivity", NINE, 1e-1, 0.0072),
        ("course_e_sensitivity", NINE, 0.1, 0.005),
    ],
)
def test_sensitivity_to_the_initial_weights(
    name: str, hidden: list[int], sigma: float, lam: float, planned: Callable[..., Plan]
) -> None:
    ((_, settings),) = planned(name)
    assert network(settings) == (hidden, False, "xavier")
    assert (settings.model.init.sigma, settings.lam) == (sigma, lam)


def test_the_networks_of_the_studies(planned: Callable[..., Plan]) -> None:
    plain, he = (settings for _, settings in planned("networks"))
    assert (network(plain), plain.lam) == ((THREE, False, "xavier"), 0.005)
    assert network(he) == (NINE, False, "he")
    ((_, gelisgen),) = planned("gelisgen2019_networks")
    assert (network(gelisgen), gelisgen.lam) == ((NINE, False, "he"), 0.005)
    ((_, course_e),) = planned("course_e_networks")
    assert (network(course_e), course_e.lam) == ((THREE, False, "xavier"), 0.05)


def test_perrot2024_both_ways(planned: Callable[..., Plan]) -> None:
    text, code = (settings for _, settings in planned("perrot2024_networks"))
    assert (network(text), text.lam, text.model.bn.statistics) == ((THREE, True, "he"), 0.01634, "ema")
    assert (network(code), code.batch_size, code.model.bn.statistics) == ((THREE, True, "he"), 450, "adaptive")


def test_the_networks_of_jarvers2023(planned: Callable[..., Plan]) -> None:
    after, statistics, wide, adam = (settings for _, settings in planned("jarvers2023_networks"))
    assert (network(after), after.model.bn.placement) == ((THREE, True, "he"), "after")
    assert (network(statistics), statistics.model.bn.statistics) == ((NINE, True, "he"), "precise")
    assert statistics.model.bn.precise_batches == 10
    assert network(wide) == ([512, 256, 128, 64, 32, 16], True, "he")
    assert (network(adam), adam.optimizer.kind) == (([60, 50, 40, 30, 20, 10], True, "he"), "adam")
    assert isinstance(adam.optimizer.schedule, CyclicSettings)
    assert adam.optimizer.schedule.eta_max_factor == 0.9
    ((_, augmented),) = planned("jarvers2023_augmented")
    assert (network(augmented), augmented.model.bn.statistics) == ((NINE, True, "he"), "adaptive")
    assert augmented.data.test_augmentation.model_dump() == {"share": 0.1, "flip": 0.5, "translate": 1.0, "reach": 8}


@pytest.mark.parametrize(
    ("name", "expected", "projection"),
    [
        ("bn_gain_by_depth", ([50], False, "he"), 0.99),
        ("best_lam_by_width", ([25, 25], True, "he"), 0.99),
        ("best_lam_by_data", (THREE, True, "he"), None),
        ("bn_statistics", (NINE, True, "he"), 0.99),
        ("epsilon_sigma", (NINE, True, "he"), 0.99),
    ],
)
def test_the_questions(name: str, expected: Any, projection: float | None, planned: Callable[..., Plan]) -> None:
    for _, settings in planned(name):
        assert (network(settings), settings.data.projection) == (expected, projection)


def test_mini_batches_of_every_size_make_ten_epochs(planned: Callable[..., Plan]) -> None:
    sizes = []
    for stage, settings in planned("bn_statistics"):
        schedule = settings.optimizer.schedule
        assert isinstance(schedule, CyclicSettings)
        assert 2 * schedule.n_s * settings.batch_size == 10 * 45_000
        assert stage.name.endswith(f"_{settings.batch_size}")
        sizes.append(settings.batch_size)
    assert sorted(set(sizes)) == [20, 100, 500, 2500]


def test_another_network_and_more_settings_for_a_sweep(planned: Callable[..., Plan]) -> None:
    plan = planned("lambda_search", "model=9layer", "name=mine", "optimizer.momentum=0.9")
    for _, settings in plan:
        assert (*network(settings), settings.name) == (NINE, False, "xavier", "mine")
    assert {settings.optimizer.model_dump()["momentum"] for _, settings in plan} == {0.9}
