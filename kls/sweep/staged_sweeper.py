"""Hydra's sweeper of this project: runs a search in stages, each one study of Optuna."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


@dataclass
class StagedSweeperConfig:
    """hydra.sweeper: the stages (see kls/sweep/stages.py); none makes one of what is typed."""

    _target_: str = "kls.sweep.staged_sweeper.StagedSweeper"
    stages: list[Any] = field(default_factory=list)


ConfigStore.instance().store(group="hydra/sweeper", name="staged", node=StagedSweeperConfig, provider="kls")


class StagedSweeper(Sweeper):
    """The shell that Hydra sees; the work is in staged_search, imported when it begins."""

    def __init__(self, stages: list[Any]) -> None:
        self._stages = stages

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self._context, self._task, self._config = hydra_context, task_function, config

    def sweep(self, arguments: list[str]) -> None:
        from kls.sweep.staged_search import StagedSearch

        StagedSearch(self._stages, self._context, self._task, self._config, arguments).run()
