"""Trials of several seeds, searches that are typed, and searches for the loss: from the command line to the records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import optuna
import pytest
from entry_points import config_of, metrics_of, mistake, train_in
from optuna.distributions import IntDistribution, distribution_to_json
from small_sweeps import (
    ALONE,
    FOLDER,
    TINY,
    assert_same_sweep,
    job_folders,
    record_of,
    refused,
    stages_argument,
    sweep_in,
    swept,
    trials_of,
)
from test_sweep_resume import at_call, interrupt

from kls.core.population import Population
from kls.records import checked, lines, names

INTERVAL = "lam=tag(log,interval(1e-4,10))"


def told(folder: Path, stage: str, *keys: str) -> list[tuple[Any, ...]]:
    """Settings of each job of a stage, in the order of its folders."""
    return [tuple(config_of(job)[key] for key in keys) for job in job_folders(folder, stage)]


def scores(folder: Path, stage: str, key: str = names.VAL_ACCURACY) -> list[float]:
    return [metrics_of(job)[key] for job in job_folders(folder, stage)]


def pairs(values: Sequence[float]) -> list[list[float]]:
    return [list(values[i : i + 2]) for i in range(0, len(values), 2)]


@pytest.fixture(scope="module")
def typed(cifar_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search of four trials, two seeds each, without a file."""
    cwd = tmp_path_factory.mktemp("typed")
    return swept(cwd, INTERVAL, "trials=4", "sampler=random", "repeats=2", "seed=5", "model.hidden=[6]")


def test_all_trials_have_the_same_seeds(typed: Path) -> None:
    settings = told(typed, "search", "lam", "seed", "order_seed")
    assert [seed for _, seed, _ in settings] == [order for *_, order in settings] == [5, 6] * 4
    lams = [lam for lam, *_ in settings]
    assert lams[::2] == lams[1::2] == [trial.params["lam"] for trial in trials_of(typed, "search")]
    assert len(set(lams)) == 4


def test_a_trials_score_is_the_mean_of_its_seeds(typed: Path) -> None:
    for trial, own in zip(trials_of(typed, "search"), pairs(scores(typed, "search")), strict=True):
        assert trial.value == fmean(own)
        assert (trial.user_attrs["scores"], trial.user_attrs["seeds"]) == (own, [5, 6])
        assert trial.user_attrs["sd"] == pytest.approx(stdev(own))
        assert trial.user_attrs["folders"] == [str(2 * trial.number), str(2 * trial.number + 1)]
    (stage,) = record_of(typed)["stages"]
    means = [fmean(own) for own in pairs(scores(typed, "search"))]
    assert stage["best"]["val_accuracy"] == max(means)
    assert (stage["best"]["trial"], stage["trials"], stage["seeds"]) == (means.index(max(means)), 4, [5, 6])
    assert stage["runs"] == {"finished": 8}


def test_a_confirmation_takes_other_seeds_than_the_one_given(cifar_root: Path, tmp_path: Path) -> None:
    stages = stages_argument("name:grid,params:{lam:{values:[0.1]}}", "name:confirm,confirm:{from:grid,seeds:3}")
    folder = swept(tmp_path, stages, "seed=1", "model.hidden=[6]")
    assert told(folder, "grid", "seed") == [(1,)]
    assert told(folder, "confirm", "seed") == [(0,), (2,), (3,)]


def test_a_confirmation_of_an_older_version_is_taken_up(cifar_root: Path, tmp_path: Path) -> None:
    """It recorded a trial for each seed; its runs have the same folders."""
    stages = stages_argument("name:grid,params:{lam:{values:[0.1]}}", "name:confirm,confirm:{from:grid,seeds:2}")
    folder = swept(tmp_path, stages, "model.hidden=[6]")
    expected = trials_of(folder, "confirm")[0]
    record, *changes = lines.read_twice(folder / "confirm" / names.TRIALS)
    for change in changes:
        record |= change
    seed = distribution_to_json(IntDistribution(1, 2))
    older = [
        record | {"number": i, "value": value, "params": {"lam": 0.1, "seed": i + 1},
                  "distributions": record["distributions"] | {"seed": seed}}
        for i, value in enumerate(scores(folder, "confirm"))
    ]  # fmt: skip
    for name in (names.TRIALS, f".{names.TRIALS}.copy"):
        (folder / "confirm" / name).unlink()
    checked.write_json_twice(folder / "confirm" / names.TRIALS_AS_ONE, {"trials": older})
    before = [path.stat().st_mtime_ns for path in job_folders(folder, "confirm")]
    assert sweep_in(tmp_path, "resume=sweep", ALONE, stages).status == 0
    (again,) = trials_of(folder, "confirm")
    assert (again.params, again.values, again.user_attrs) == (expected.params, expected.values, expected.user_attrs)
    assert [path.stat().st_mtime_ns for path in job_folders(folder, "confirm")] == before


def test_what_was_typed_is_enough_to_go_on(typed: Path, tmp_path: Path) -> None:
    command = [*record_of(typed)["overrides"], ALONE]
    with at_call(Population, "advance", 2, interrupt):
        assert sweep_in(tmp_path, *command, FOLDER).status == 130
    for refusal, change in {
        "stages[search].trials: 4 -> 5": "trials=5",
        "stages[search].repeats: 2 -> 3": "repeats=3",
        "objective: \"val_accuracy\" -> \"val_loss\"": "objective=val_loss",
    }.items():
        outcome = sweep_in(tmp_path, "resume=sweep", ALONE, change)
        assert mistake(outcome) == f"{tmp_path / 'sweep'}: a sweep goes on as it began; changed: {refusal}"
    assert sweep_in(tmp_path, "resume=sweep", ALONE).status == 0
    assert_same_sweep(tmp_path / "sweep", typed, ["search"])


def test_a_search_for_the_loss(cifar_root: Path, tmp_path: Path) -> None:
    stages = stages_argument(
        "name:coarse,sampler:random,trials:6,params:{lam:{low:1e-4,high:10,scale:log}}",
        "name:fine,sampler:{_target_:tpe,n_startup_trials:2},trials:4,batch:2,"
        "params:{lam:{narrow:{from:coarse,rule:around_best,factor:2},scale:log}}",
        "name:confirm,confirm:{from:fine,by:curve,seeds:2}",
    )
    folder = swept(tmp_path, stages, "objective=val_loss", "model.hidden=[6]")
    record = record_of(folder)
    coarse, fine, confirm = record["stages"]
    assert record["metric"] == "val_loss"
    losses, (lams,) = scores(folder, "coarse", "val_loss"), zip(*told(folder, "coarse", "lam"), strict=True)
    first = losses.index(min(losses))
    assert coarse["best"] == {"trial": first, "params": {"lam": lams[first]}, "val_loss": losses[first]}
    best = lams[first]
    assert (fine["params"]["lam"]["low"], fine["params"]["lam"]["high"]) == (best / 2, best * 2)
    study = optuna.load_study(study_name="fine", storage=f"sqlite:///{folder / names.STUDY}")
    assert study.direction is optuna.study.StudyDirection.MINIMIZE
    assert [trial.value for trial in study.trials] == scores(folder, "fine", "val_loss")
    place = fine["optimum"]["lam"]["place"] if "optimum" in fine else fine["best"]["params"]["lam"]
    assert told(folder, "confirm", "lam", "seed") == [(float(f"{place:.4g}"), 1), (float(f"{place:.4g}"), 2)]
    assert confirm["seeds"] == [1, 2]
    assert confirm["best"]["val_loss"] == fmean(scores(folder, "confirm", "val_loss"))


def test_lists_that_go_together_and_conditions_on_the_others(cifar_root: Path, tmp_path: Path) -> None:
    points = "points={model:[3layer,3layer_bn],lam:[0.01,0.02]}"
    where = "where='sigma > 0.1 or lam < 0.02'"
    folder = swept(tmp_path, points, "model.init.sigma=0.1,0.2", where, "model.hidden=[6]")
    configs = [config_of(job) for job in job_folders(folder, "grid")]
    assert [(c["model"]["bn"]["enabled"], c["lam"], c["model"]["init"]["sigma"]) for c in configs] == [
        (False, 0.01, 0.1), (False, 0.01, 0.2), (True, 0.02, 0.2),
    ]  # fmt: skip


def test_importances_of_several_settings_are_recorded(cifar_root: Path, tmp_path: Path) -> None:
    sigma = "model.init.sigma=interval(0.05,0.2)"
    folder = swept(tmp_path, INTERVAL, sigma, "trials=6", "sampler=random", "model.hidden=[6]")
    (stage,) = record_of(folder)["stages"]
    shares = stage["importances"]["PedAnovaImportanceEvaluator"]
    assert shares.keys() == {"lam", "model.init.sigma"}
    assert sum(shares.values()) == pytest.approx(1.0, abs=1e-5)
    assert "optimum" not in stage


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((INTERVAL,), f"{INTERVAL}: how many trials? give for example trials=30"),
        ((INTERVAL, "trials=3", "repeats=0"), "repeats=0: must be greater than or equal to 1"),
        ((INTERVAL, "trials=3", "objective=loss"), "objective=loss: must be 'val_accuracy' or 'val_loss'"),
        (("lam=1,2", "repeats=2", "seed=1,2"), "hydra.sweeper.stages[0]: repeats give the seeds: leave seed out of "
         "what is searched"),
        (("sweeps=smoke", "trials=3"), "trials=3: the stages of this sweep say it; leave it out"),
        (("points={lam:[1,2],seed:[1]}",), "hydra.sweeper.stages[0]: points: lists that go together are of one length: "
         "lam has 2, seed has 1"),
        (("points={lam:[1,2]}", "lam=1,2"), "hydra.sweeper.stages[0]: lam: give it in points, or in params"),
        (("lam=1,2", "where='lam > 2'"), "stage grid: where=lam > 2: none of 2 combinations is so"),
        (("lam=1,2", "where='lambda > 2'"), "stage grid: where: 'lambda > 2' cannot be read (invalid syntax); an "
         "example: lam < 0.01 and hidden == [50, 50]"),
        ((INTERVAL, "trials=3", "where='lam > 2'"), "hydra.sweeper.stages[0]: where: is for sampler grid"),
    ],
)  # fmt: skip
def test_mistakes(arguments: tuple[str, ...], line: str, cifar_root: Path, tmp_path: Path) -> None:
    assert refused(tmp_path, *TINY, ALONE, *arguments) == line


@pytest.mark.parametrize("given", ["trials=3", "repeats=2", "sampler=tpe", "where=lam", "objective=val_loss"])
def test_what_is_for_sweeps_alone(given: str, cifar_root: Path, tmp_path: Path) -> None:
    outcome = train_in(tmp_path, *TINY, given)
    assert mistake(outcome) == f"{given.split('=')[0]}: is for sweeps, which are run with --multirun"
    assert list(tmp_path.iterdir()) == []
