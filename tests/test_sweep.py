"""A search in stages: its trials, its record, and the folders of its jobs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
import yaml
from entry_points import arrays_of, config_of, history_of, metrics_of, mistake, train_in
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState
from small_sweeps import (
    ALONE,
    FOLDER,
    TINY,
    job_folders,
    record_of,
    stages_argument,
    sweep_in,
    swept,
    trials_of,
)

from kls.records import names
from kls.sweep import narrowing

SEARCH = stages_argument(
    "name:coarse,sampler:random,trials:5,params:{lam:{low:1e-4,high:10,scale:log}}",
    "name:fine,sampler:tpe,trials:3,batch:2,params:{lam:{narrow:{from:coarse,rule:range_of_best,k:2,widen:3},scale:log}}",
    "name:confirm,confirm:{from:fine,seeds:2},budget:['optimizer.schedule.cycles=2']",
)
RUNS = {"coarse": 5, "fine": 3, "confirm": 2}
SEEDS = {"coarse": [], "fine": [], "confirm": [1, 2]}


@contextmanager
def without_pictures() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kls.sweep.job.draw", lambda folder: None)
        yield


@pytest.fixture(scope="module")
def search(cifar_root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Folder of a finished search in three stages, and what it printed."""
    cwd = tmp_path_factory.mktemp("search")
    with without_pictures():
        outcome = sweep_in(cwd, *TINY, ALONE, FOLDER, SEARCH, "dtype=float64", "plots=true")
    assert (outcome.err, outcome.status) == ("", 0)
    return cwd / "sweep", outcome.out


def points(folder: Path, stage: str) -> list[tuple[float, float]]:
    """lam and score of every trial, as the rules of narrowing take them."""
    trials = trials_of(folder, stage)
    return [(trial.params["lam"], trial.values[0]) for trial in trials]


def test_every_stage_is_a_study_with_its_trials_complete(search: tuple[Path, str]) -> None:
    folder, _ = search
    assert {path.name for path in folder.iterdir()} >= {*RUNS, names.SWEEP, names.STUDY}
    for stage, n in RUNS.items():
        trials, each = trials_of(folder, stage), max(len(SEEDS[stage]), 1)
        assert [trial.state for trial in trials] == [TrialState.COMPLETE] * (n // each)
        assert [path.name for path in job_folders(folder, stage)] == [str(number) for number in range(n)]
        for trial in trials:
            jobs = job_folders(folder, stage)[trial.number * each :][:each]
            assert trial.values == [fmean(metrics_of(job)["val_accuracy"] for job in jobs)]
            for job in jobs:
                assert trial.params == {name: config_of(job)[name] for name in trial.params}
                assert metrics_of(job)["status"] == "finished"


def test_what_a_trial_says_of_its_runs(search: tuple[Path, str]) -> None:
    folder, _ = search
    for stage, seeds in SEEDS.items():
        for trial in trials_of(folder, stage):
            jobs = [folder / stage / name for name in trial.user_attrs["folders"]]
            metrics, told = [metrics_of(job) for job in jobs], dict(trial.user_attrs)
            scores = [m["val_accuracy"] for m in metrics]
            assert told.pop("folders") == (["0", "1"] if seeds else [str(trial.number)])
            assert told.pop("seeds") == [config_of(job)["seed"] for job in jobs] == (seeds or [0])
            assert (told.pop("scores"), told.pop("steps")) == (scores, sum(m["steps"] for m in metrics))
            assert told.pop("seconds") == pytest.approx(sum(m["seconds"] for m in metrics))
            if seeds:
                assert told.pop("sd") == pytest.approx(abs(scores[0] - scores[1]) / math.sqrt(2))
                assert told.pop("test_accuracy") == pytest.approx(fmean(m["test_accuracy"] for m in metrics))
            assert told == {}
            epochs = {int(row["epoch"]) for row in history_of(jobs[0]) if row["epoch"] in (1, 2, 3, 4)}
            assert trial.intermediate_values == {
                epoch: fmean(row["val_accuracy"] for job in jobs for row in history_of(job) if row["epoch"] == epoch)
                for epoch in epochs
            }
            assert len(epochs) == metrics[0]["epochs"]


def test_parameters_of_the_stages(search: tuple[Path, str]) -> None:
    folder, _ = search
    assert len({lam for lam, _ in points(folder, "coarse")}) == 5
    assert all(1e-4 <= lam <= 10 for lam, _ in points(folder, "coarse"))
    best = narrowing.best_of(points(folder, "fine"))
    assert [trial.params for trial in trials_of(folder, "confirm")] == [{"lam": best}]
    assert [config_of(job)["order_seed"] for job in job_folders(folder, "confirm")] == [1, 2]


def test_the_narrowed_interval_is_that_of_the_rule(search: tuple[Path, str]) -> None:
    folder, _ = search
    coarse = points(folder, "coarse")
    low, high = narrowing.RangeOfBest(source="coarse", rule="range_of_best", k=2).interval(coarse, None)
    side = narrowing.edge(coarse)
    if side:
        low, high = narrowing.widen((low, high), side, 3, "log")
    told = record_of(folder)["stages"][1]["params"]["lam"]
    assert (told["low"], told["high"], told["scale"], told["values"]) == (low, high, "log", None)
    assert told["source"].startswith("narrowed from coarse: range of the 2 best")
    assert ("widened past" in told["source"]) == bool(side)
    for trial in trials_of(folder, "fine"):
        assert trial.distributions == {"lam": FloatDistribution(low, high, log=True)}
        assert low <= trial.params["lam"] <= high


def test_budgets_are_those_of_the_stage(search: tuple[Path, str]) -> None:
    folder, _ = search
    for stage, steps in (("coarse", 12), ("fine", 12), ("confirm", 24)):
        assert [metrics_of(job)["steps"] for job in job_folders(folder, stage)] == [steps] * RUNS[stage]


def test_only_the_confirmation_scores_the_test_set(search: tuple[Path, str]) -> None:
    folder, _ = search
    scored = {"test_loss", "test_cost", "test_accuracy"}
    for stage in RUNS:
        for job in job_folders(folder, stage):
            assert scored & metrics_of(job).keys() == (scored if stage == "confirm" else set())
            assert config_of(job)["plots"] == (stage == "confirm")


def test_the_record_of_the_sweep(search: tuple[Path, str]) -> None:
    folder, _ = search
    record = record_of(folder)
    assert record["status"] == "finished"
    assert record["metric"] == "val_accuracy"
    assert record["overrides"] == [*TINY, "dtype=float64", "plots=true"]
    assert [stage["name"] for stage in record["definition"]["stages"]] == list(RUNS)
    assert record["definition"]["objective"] == "val_accuracy"
    assert record["definition"]["settings"]["dtype"] == "float64"
    assert "lam" not in record["definition"]["settings"]
    assert "plots" not in record["definition"]["settings"]
    for entry, (name, n), sampler in zip(record["stages"], RUNS.items(), ("random", "tpe", "grid"), strict=True):
        told = {key: entry[key] for key in ("name", "trials", "seeds", "sampler", "status", "confirm", "runs")}
        assert told == {
            "name": name, "trials": 1 if name == "confirm" else n, "seeds": SEEDS[name], "sampler": sampler,
            "status": "finished", "confirm": name == "confirm", "runs": {"finished": n},
        }  # fmt: skip
        trials = trials_of(folder, name)
        best, value = max(((trial, trial.values[0]) for trial in trials), key=lambda pair: pair[1])
        assert entry["best"] == {"trial": best.number, "params": {"lam": best.params["lam"]}, "val_accuracy": value}
    coarse, _, confirm = (entry["params"] for entry in record["stages"])
    assert coarse == {"lam": {"low": 1e-4, "high": 10.0, "scale": "log", "values": None, "source": "given"}}
    best = narrowing.best_of(points(folder, "fine"))
    assert (confirm["lam"]["values"], confirm["lam"]["source"]) == ([best], "the best of fine")
    assert list(confirm) == ["lam"]


def test_what_is_printed(search: tuple[Path, str]) -> None:
    folder, out = search
    lines = out.splitlines()
    assert lines[0] == "stage coarse: 5 trials; lam in [0.0001, 10], log (given)"
    record = record_of(folder)
    for entry in record["stages"]:
        best = entry["best"]
        settings = ", ".join(f"{name}={value:.4g}" for name, value in best["params"].items())
        told = f"stage {entry['name']}: best validation accuracy {best['val_accuracy']:.2%} with {settings}"
        assert told in lines
        after = lines[lines.index(told) + 1 + len(entry.get("optimum", {})) :][: len(entry["edge"])]
        assert after == [f"EDGE in stage {entry['name']}: {sentence}" for sentence in entry["edge"]]
    assert out.count("EDGE") == sum(len(entry["edge"]) for entry in record["stages"])
    assert lines[-1] == f"the report of {folder}"


def test_a_best_value_at_the_edge_is_told(cifar_root: Path, tmp_path: Path) -> None:
    outcome = sweep_in(tmp_path, *TINY, ALONE, FOLDER, "lam=1e-3,10,100")
    sentence = "lam: the best, 0.001, is the smallest value tried; the optimum may lie outside"
    (stage,) = record_of(tmp_path / "sweep")["stages"]
    assert stage["edge"] == [sentence]
    assert f"EDGE in stage grid: {sentence}" in outcome.out.splitlines()


def test_jobs_are_what_the_same_commands_give_alone(search: tuple[Path, str], tmp_path: Path) -> None:
    folder, _ = search
    for stage, members in (("confirm", 1), ("coarse", 5)):  # the seeds of the confirmation order the pictures too
        job = job_folders(folder, stage)[1]
        alone = tmp_path / str(members)
        alone.mkdir()
        overrides = yaml.safe_load((job / ".hydra" / "overrides.yaml").read_text())
        with without_pictures():
            assert train_in(alone, *overrides, "hydra.run.dir=run").status == 0
        assert_same_folder(job, alone / "run", members)


def assert_same_folder(job: Path, alone: Path, members: int) -> None:
    """A job's folder has the files of a run alone but Hydra's copies of settings, and its numbers but for rounding."""
    of_hydra = {Path(".hydra/config.yaml"), Path(".hydra/hydra.yaml")}
    files = {p.relative_to(alone) for p in alone.rglob("*")}
    assert {p.relative_to(job) for p in job.rglob("*")} == files - of_hydra
    for name in ("config.yaml", ".hydra/overrides.yaml"):
        assert (job / name).read_bytes() == (alone / name).read_bytes(), name
    got, expected = metrics_of(job), metrics_of(alone)
    assert list(got) == list(expected)
    assert (got["population"], expected["population"]) == (members, 1)
    for key in got.keys() - {*names.TIMES, "population"}:
        same = pytest.approx(expected[key], rel=1e-9) if isinstance(expected[key], float) else expected[key]
        assert got[key] == same, key
    for row, other in zip(history_of(job), history_of(alone), strict=True):
        assert row == pytest.approx(other, rel=1e-9)
    for name in (names.LAST, names.BEST):
        arrays, others = arrays_of(job, name), arrays_of(alone, name)
        assert list(arrays) == list(others)
        for key in arrays.keys() - {"seconds"}:
            assert (arrays[key].dtype, arrays[key].shape) == (others[key].dtype, others[key].shape)
            if arrays[key].dtype.kind == "f":
                np.testing.assert_allclose(arrays[key], others[key], rtol=1e-7, atol=1e-10)
            else:
                assert arrays[key] == others[key]
    logs = [
        [line.split("[INFO] ")[-1].split()[0] for line in (f / "train.log").read_text().splitlines()]
        for f in (job, alone)
    ]
    assert logs[0] == logs[1]
    assert {"data", "network", "validation", "time", "folder"} <= set(logs[0])


def settings_of_jobs(folder: Path, *keys: str) -> list[tuple[Any, ...]]:
    """Values of dotted keys in the settings of each job of the stage ``grid``."""

    def value(config: Any, key: str) -> Any:
        for part in key.split("."):
            config = config[part]
        return config

    return [tuple(value(config_of(job), key) for key in keys) for job in job_folders(folder, "grid")]


def test_a_grid_of_choices_and_numbers(cifar_root: Path, tmp_path: Path) -> None:
    folder = swept(tmp_path, "model=3layer,3layer_bn", "lam=choice(1e-3,1e-2)", "model.hidden=[10]")
    assert settings_of_jobs(folder, "model.bn.enabled", "model.init.scheme", "lam") == [
        (False, "xavier", 1e-3), (False, "xavier", 1e-2), (True, "he", 1e-3), (True, "he", 1e-2),
    ]  # fmt: skip
    assert [trial.params for trial in trials_of(folder, "grid")] == [
        {"model": model, "lam": lam} for model in ("3layer", "3layer_bn") for lam in (1e-3, 1e-2)
    ]
    assert not any("test_accuracy" in metrics_of(job) for job in job_folders(folder, "grid"))
    (stage,) = record_of(folder)["stages"]
    assert (stage["trials"], stage["edge"]) == (4, [])


def test_a_grid_scores_the_test_set_only_if_asked(cifar_root: Path, tmp_path: Path) -> None:
    folder = swept(tmp_path, "lam=choice(1e-3,1e-2)", "model.hidden=[10]", "evaluation.test=true")
    assert all("test_accuracy" in metrics_of(job) for job in job_folders(folder, "grid"))


def test_a_lucky_seed_does_not_decide(cifar_root: Path, tmp_path: Path) -> None:
    folder = swept(tmp_path, "lam=choice(1e-3,3)", "seed=0,1,2", "model.hidden=[10]")
    (stage,) = record_of(folder)["stages"]
    values = {lam: [t.values[0] for t in trials_of(folder, "grid") if t.params["lam"] == lam] for lam in (1e-3, 3)}
    best = max(values, key=lambda lam: fmean(values[lam]))
    assert (stage["best"]["params"], stage["best"]["val_accuracy"]) == ({"lam": best}, fmean(values[best]))


def test_a_grid_of_lists_nulls_and_booleans(cifar_root: Path, tmp_path: Path) -> None:
    folder = swept(tmp_path, "model.hidden=[10],[8,6]", "model.init.sigma=null,0.1", "model.bn.enabled=true,false")
    assert settings_of_jobs(folder, "model.hidden", "model.init.sigma", "model.bn.enabled") == [
        (hidden, sigma, bn) for hidden in ([10], [8, 6]) for sigma in (None, 0.1) for bn in (True, False)
    ]


def test_values_of_a_stage_and_their_confirmation(cifar_root: Path, tmp_path: Path) -> None:
    folder = swept(
        tmp_path,
        stages_argument(
            "name:grid,params:{model.hidden:{values:[[10],[8,6]]},model.init.sigma:{values:[null]},"
            "model.bn.precise_batches:{low:4,high:6,steps:2,integer:true}}",
            "name:confirm,confirm:{from:grid,best:1,seeds:2}",
        ),
    )
    assert settings_of_jobs(folder, "model.hidden", "model.init.sigma", "model.bn.precise_batches") == [
        (hidden, None, n) for hidden in ([10], [8, 6]) for n in (4, 6)
    ]
    best = record_of(folder)["stages"][0]["best"]
    chosen = config_of(folder / "grid" / str(best["trial"]))
    for seed, job in enumerate(job_folders(folder, "confirm")):
        assert config_of(job)["model"] == chosen["model"]
        assert config_of(job)["seed"] == seed + 1
    assert len(job_folders(folder, "confirm")) == 2


def test_sampled_whole_numbers_and_choices(cifar_root: Path, tmp_path: Path) -> None:
    folder = swept(
        tmp_path,
        stages_argument(
            "name:grid,sampler:{_target_:optuna.samplers.TPESampler,n_startup_trials:2},trials:4,batch:2,"
            "params:{model.bn.precise_batches:{low:2,high:9,integer:true},model:{values:[3layer,3layer_bn]},"
            "model.init.sigma:{low:1e-3,high:1e-1,scale:log}}"
        ),
    )
    jobs = settings_of_jobs(folder, "model.bn.precise_batches", "model.bn.enabled", "model.init.sigma")
    assert all(isinstance(n, int) and 2 <= n <= 9 and 1e-3 <= sigma <= 0.1 for n, _, sigma in jobs)
    assert len({sigma for _, _, sigma in jobs}) == 4
    for trial in trials_of(folder, "grid"):
        assert trial.distributions == {
            "model.bn.precise_batches": IntDistribution(2, 9),
            "model": CategoricalDistribution(("3layer", "3layer_bn")),
            "model.init.sigma": FloatDistribution(1e-3, 1e-1, log=True),
        }
    assert record_of(folder)["stages"][0]["sampler"] == "optuna.samplers.TPESampler"


def test_folders_of_any_name(cifar_root: Path, tmp_path: Path) -> None:
    cwd = tmp_path / "it's {odd}, 50%? a=b #1"
    cwd.mkdir()
    outcome = sweep_in(cwd, *TINY, ALONE, "lam=0.1,0.2")
    assert (outcome.err, outcome.status) == ("", 0)
    ((folder,),) = (list(day.iterdir()) for day in (cwd / "outputs").iterdir())
    assert sorted(path.name for path in folder.iterdir()) == [
        ".lock", ".sweep.json.copy", "grid", "study.db", "sweep.json",
    ]  # fmt: skip
    assert len(job_folders(folder, "grid")) == 2
    again = sweep_in(cwd, f"resume={folder.relative_to(cwd)}", ALONE)
    assert (again.status, again.err) == (0, "")
    assert list(tmp_path.iterdir()) == [cwd]


def test_a_finished_folder_is_not_swept_again(cifar_root: Path, tmp_path: Path) -> None:
    folder = swept(tmp_path, "lam=0.1")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.name != ".lock"}
    outcome = sweep_in(tmp_path, *TINY, ALONE, FOLDER, "lam=0.2")
    assert mistake(outcome) == (
        f"{folder}: has sweep.json already, which a sweep would overwrite; take another folder, "
        f"or go on with what is there by resume={folder}"
    )
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.name != ".lock"} == before
    assert math.isclose(config_of(folder / "grid" / "0")["lam"], 0.1)
