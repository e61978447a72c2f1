"""Hydra's launcher of this project: trains the jobs of a batch together, as populations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from kls.errors import UserError
from kls.flat_settings import shown

LARGEST = {"n_jobs": 1024, "max_members": 1000}
LAUNCHERS = (
    "kls.plugins.population_launcher.PopulationLauncher",
    "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher",
    "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
)


@dataclass
class PopulationLauncherConfig:
    """hydra.launcher: n_jobs processes at most (-1: as many as cores), max_members in one population.

    worker_timeout: seconds without a sign of life after which a process is killed and its runs go on in another.
    """

    _target_: str = "kls.plugins.population_launcher.PopulationLauncher"
    n_jobs: int = -1
    max_members: int = 40
    worker_timeout: float = 1800.0


ConfigStore.instance().store(group="hydra/launcher", name="population", node=PopulationLauncherConfig, provider="kls")


def check_launcher(config: Mapping[str, Any]) -> None:
    """Raises UserError where hydra.launcher, of whatever kind, cannot run a sweep."""
    target = config.get("_target_")
    if target not in LAUNCHERS or any(str(key).startswith("_") and key != "_target_" for key in config):
        raise UserError(f"hydra.launcher: must be one of population, joblib and basic, not {shown(target)}")
    for key in LARGEST.keys() & config.keys():
        value = config[key]
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not (whole and (1 <= value <= LARGEST[key] or (key == "n_jobs" and value == -1))):
            every = ", or -1 for as many as cores" if key == "n_jobs" else ""
            told = f"must be a whole number from 1 to {LARGEST[key]}{every}"
            raise UserError(f"hydra.launcher.{key}={shown(value)}: {told}")


class PopulationLauncher(Launcher):
    """The shell that Hydra sees; the work is in population_batch, imported when it begins."""

    def __init__(self, n_jobs: int, max_members: int, worker_timeout: float) -> None:
        self.n_jobs, self.max_members, self.worker_timeout = n_jobs, max_members, worker_timeout

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from kls.plugins.population_batch import launch

        return launch(self, job_overrides, initial_job_idx)
