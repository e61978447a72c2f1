"""The population launcher: Hydra's own tests of launchers, and the same results as its other launchers give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hydra
import pytest
from entry_points import (
    arrays_of,
    assert_same_run,
    config_of,
    file_hashes,
    history_of,
    metrics_of,
    python,
)
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.test_utils.launcher_common_tests import (
    BatchedSweeperTestSuite,
    IntegrationTestSuite,
    LauncherTestSuite,
)
from small_sweeps import ALONE, FOLDER, SCRIPT, TINY, job_folders, sweep_in, swept, trials_of

from kls.config import targets
from kls.config.hydra_entry import project_root
from kls.config.launcher_settings import LauncherSettings
from kls.errors import UserError
from kls.records import names
from kls.sweep.population_launcher import PopulationLauncher, check_launcher
from kls.sweep.staged_sweeper import StagedSweeper

N_JOBS = "must be from 1 to 100000, or -1 for as many as there are cores"
INTEGER = "must be a valid integer"


@pytest.mark.parametrize(
    ("config", "line"),
    [
        ({"n_jobs": 0}, f"n_jobs=0: {N_JOBS}"),
        ({"n_jobs": -2}, f"n_jobs=-2: {N_JOBS}"),
        ({"n_jobs": 10**9}, f"n_jobs=1000000000: {N_JOBS}"),
        ({"n_jobs": True}, f"n_jobs=true: {INTEGER}"),
        ({"n_jobs": "two"}, f"n_jobs=two: {INTEGER}"),
        ({"worker_timeout": 0}, "worker_timeout=0: must be greater than 0"),
        ({"worker_timeout": "soon"}, "worker_timeout=soon: must be a valid number"),
        ({"max_members": 0}, "max_members=0: must be greater than or equal to 1"),
        ({"max_members": None}, f"max_members=null: {INTEGER}"),
        ({"engine": "threads"}, "engine=threads: must be 'processes', 'ray' or 'slurm'"),
        ({"memory": 0}, "memory=0: must be greater than 0"),
        ({"partition": "a b"}, "partition=a b: String should match pattern '^[\\w.:/@-]{1,200}$'"),
    ],
)
def test_launchers_that_cannot_run_a_sweep(config: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError) as caught:
        check_launcher({"_target_": targets.POPULATION} | LauncherSettings().model_dump() | config)
    assert str(caught.value) == f"hydra.launcher.{line}"


def test_n_jobs_of_other_launchers() -> None:
    with pytest.raises(UserError, match=r"hydra.launcher.n_jobs=0: must be a whole number, or -1 for as many as cores"):
        check_launcher({"_target_": "other", "n_jobs": 0})
    assert check_launcher({"_target_": "other", "n_jobs": 3}).n_jobs == 3


@pytest.mark.parametrize("launcher", ["population", "joblib", "basic"])
def test_launchers_that_can(launcher: str) -> None:
    with hydra.initialize_config_dir(str(project_root() / "conf")):
        config = hydra.compose("train", [f"hydra/launcher={launcher}"], return_hydra_config=True)
    check_launcher(config.hydra.launcher)


POPULATION: dict[str, Any] = {
    "defaults": [
        {"override hydra/launcher": "population"},
        {"override hydra/hydra_logging": "hydra_debug"},
        {"override hydra/job_logging": "disabled"},
    ]
}


def test_hydra_finds_the_plugins() -> None:
    assert PopulationLauncher in Plugins.instance().discover(Launcher)
    assert StagedSweeper in Plugins.instance().discover(Sweeper)


@pytest.mark.parametrize(("launcher_name", "overrides"), [("population", [])])
class TestLaunching(LauncherTestSuite):
    """Tasks that are not this project's are run job by job, as Hydra's basic launcher would."""


@pytest.mark.parametrize(("launcher_name", "overrides"), [("population", ["hydra.sweeper.max_batch_size=2"])])
class TestBatches(BatchedSweeperTestSuite):
    """With Hydra's sweeper: the staged one takes no settings but this project's, and so none of these suites."""


@pytest.mark.parametrize(("task_launcher_cfg", "extra_flags"), [(POPULATION, ["-m"])])
@pytest.mark.slow
class TestIntegration(IntegrationTestSuite):
    """The same in processes of their own, with names of jobs and working folders."""


JOBS = (*TINY, FOLDER, "dtype=float64", "lam=1e-4,1e-2,1", "model.hidden=[20,10]")
LAUNCHERS = {
    "population": (str(SCRIPT), "hydra.launcher.n_jobs=2"),
    "joblib": ("-m", "kls.train", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
}


@pytest.fixture(scope="module")
def basic(cifar_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of three jobs, run one after the other by Hydra's basic launcher."""
    cwd = tmp_path_factory.mktemp("basic")
    outcome = sweep_in(cwd, *JOBS, "hydra/launcher=basic")
    assert (outcome.err, outcome.status) == ("", 0)
    return cwd / "sweep"


NOT_OF_POPULATIONS = frozenset({".hydra/config.yaml", ".hydra/hydra.yaml"})


def assert_same_sweep(got: Path, expected: Path, without: frozenset[str] = NOT_OF_POPULATIONS) -> None:
    """Two sweeps have the same trials and files, but for those ``without``, and the same numbers but for rounding."""
    for trial, other in zip(trials_of(got, "grid"), trials_of(expected, "grid"), strict=True):
        assert (trial.number, trial.params, trial.values) == (other.number, other.params, other.values)
    for job, other in zip(job_folders(got, "grid"), job_folders(expected, "grid"), strict=True):
        assert set(file_hashes(job)) == set(file_hashes(other)) - without
        assert config_of(job) == config_of(other)
        assert (job / names.HYDRA_OVERRIDES).read_bytes() == (other / names.HYDRA_OVERRIDES).read_bytes()
        assert list(metrics_of(job)) == list(metrics_of(other))
        assert metrics_of(job)["val_accuracy"] == metrics_of(other)["val_accuracy"]
        for row, expected_row in zip(history_of(job), history_of(other), strict=True):
            assert row == pytest.approx(expected_row, rel=1e-9)
        arrays, others = arrays_of(job), arrays_of(other)
        assert list(arrays) == list(others)
        assert all(arrays[key] == pytest.approx(others[key], rel=1e-7, abs=1e-10) for key in ("W1", "b3", "gamma1"))
        assert (job / "train.log").read_text().count("\n") == (other / "train.log").read_text().count("\n")


def test_one_process(basic: Path, tmp_path: Path) -> None:
    outcome = sweep_in(tmp_path, *JOBS, ALONE)
    assert (outcome.err, outcome.status) == ("", 0)
    folder = tmp_path / "sweep"
    assert_same_sweep(folder, basic)
    assert [metrics_of(job)["population"] for job in job_folders(folder, "grid")] == [3, 3, 3]
    assert [metrics_of(job)["population"] for job in job_folders(basic, "grid")] == [1, 1, 1]


@pytest.mark.parametrize("launcher", LAUNCHERS)
@pytest.mark.slow
def test_processes(launcher: str, basic: Path, tmp_path: Path) -> None:
    outcome = python(tmp_path, *LAUNCHERS[launcher], "--multirun", *JOBS)
    assert (outcome.err, outcome.status) == ("", 0)
    folder = tmp_path / "sweep"
    assert_same_sweep(folder, basic, NOT_OF_POPULATIONS if launcher == "population" else frozenset())
    members = [metrics_of(job)["population"] for job in job_folders(folder, "grid")]
    assert members == ([2, 1, 2] if launcher == "population" else [1, 1, 1])
    if launcher == "joblib":  # with a report at its end
        assert all((folder / name).is_file() for name in (names.SUMMARY, names.RUNS_TABLE, names.GROUPS_TABLE))


def test_populations_of_one_are_runs_alone(basic: Path, tmp_path: Path) -> None:
    folder = swept(tmp_path, *JOBS, "hydra.launcher.max_members=1")
    for job, other in zip(job_folders(folder, "grid"), job_folders(basic, "grid"), strict=True):
        assert_same_run(job, other)


def test_groups_that_cannot_train_together(cifar_root: Path, tmp_path: Path) -> None:
    folder = swept(tmp_path, "model=3layer,3layer_bn", "lam=0.1,0.2")
    assert [metrics_of(job)["population"] for job in job_folders(folder, "grid")] == [2] * 4
    assert len({metrics_of(job)["val_loss"] for job in job_folders(folder, "grid")}) == 4


def test_the_logs_of_jobs_are_their_own(cifar_root: Path, tmp_path: Path) -> None:
    outcome = sweep_in(tmp_path, *TINY, ALONE, FOLDER, "lam=0.125,0.25")
    for job, lam in zip(job_folders(tmp_path / "sweep", "grid"), ("0.125", "0.25"), strict=True):
        log = (job / "train.log").read_text()
        assert log.count("validation ") == log.count(f"lam {lam}") == log.count(str(job)) == 1
    assert outcome.out.count("validation") == outcome.out.count("best validation accuracy") == 1
