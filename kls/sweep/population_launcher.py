"""Hydra's launcher of this project: trains the jobs of a batch together, as populations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from kls.config.flat_settings import shown
from kls.config.launcher_settings import LauncherSettings
from kls.config.targets import POPULATION
from kls.config.validation import validate_group
from kls.errors import UserError

ConfigStore.instance().store(
    group="hydra/launcher",
    name="population",
    node={"_target_": POPULATION, **LauncherSettings().model_dump()},
    provider="kls",
    replace=True,
)


def check_launcher(config: Mapping[str, Any]) -> LauncherSettings:
    """What hydra.launcher says, of whatever kind it is. Raises UserError where it cannot be used."""
    content: Any = OmegaConf.to_container(config) if isinstance(config, DictConfig) else dict(config)
    if content.pop("_target_", None) == POPULATION:
        return validate_group(LauncherSettings, content, "hydra.launcher")
    n_jobs = content.get("n_jobs", 1)
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, int) or not (n_jobs == -1 or n_jobs >= 1):
        raise UserError(f"hydra.launcher.n_jobs={shown(n_jobs)}: must be a whole number, or -1 for as many as cores")
    return LauncherSettings(n_jobs=n_jobs, max_members=1)


class PopulationLauncher(Launcher):
    """The shell that Hydra sees; the work is in population_batch, imported when it begins."""

    def __init__(self, **options: Any) -> None:
        """Hydra gives the options; they are taken, checked, from the configuration of `setup`."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config
        self.settings = check_launcher(config.hydra.launcher)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from kls.sweep.population_batch import launch

        return launch(self, job_overrides, initial_job_idx)
