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

from kls.config.flat_settings import shown
from kls.errors import UserError

LARGEST = {"n_jobs": 1024, "max_members": 1000}


@dataclass
class PopulationLauncherConfig:
    """hydra.launcher: n_jobs processes at most (-1: as many as cores), max_members in one population.

    worker_timeout: seconds without a sign of life after which a process is killed and its runs go on in another.
    """

    _target_: str = "kls.sweep.population_launcher.PopulationLauncher"
    n_jobs: int = -1
    max_members: int = 40
    worker_timeout: float = 1800.0


ConfigStore.instance().store(group="hydra/launcher", name="population", node=PopulationLauncherConfig, provider="kls")


def check_launcher(config: Mapping[str, Any]) -> None:
    """Raises UserError where a number of hydra.launcher, of whatever kind, cannot be used."""
    for key in LARGEST.keys() & config.keys():
        value = config[key]
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not (whole and (1 <= value <= LARGEST[key] or (key == "n_jobs" and value == -1))):
            every = ", or -1 for as many as cores" if key == "n_jobs" else ""
            allowed = f"must be a whole number from 1 to {LARGEST[key]}{every}"
            raise UserError(f"hydra.launcher.{key}={shown(value)}: {allowed}")
    timeout = config.get("worker_timeout", 1.0)
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout < 1e9:
        raise UserError(f"hydra.launcher.worker_timeout={shown(timeout)}: must be seconds, above 0 and below 1e9")


class PopulationLauncher(Launcher):
    """The shell that Hydra sees; the work is in population_batch, imported when it begins."""

    def __init__(self, n_jobs: int, max_members: int, worker_timeout: float) -> None:
        self.n_jobs, self.max_members, self.worker_timeout = n_jobs, max_members, worker_timeout

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from kls.sweep.population_batch import launch

        return launch(self, job_overrides, initial_job_idx)
