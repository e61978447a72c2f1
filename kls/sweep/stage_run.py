"""A stage that is run: its trials' jobs go to a launcher, and what comes of them to its study and its record."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict, read_write

from kls.config.resume import quoted
from kls.records import names
from kls.records.atomic import remove_leftovers
from kls.records.folders import refuse_links
from kls.records.lease import Lease
from kls.sweep.intervals import Range
from kls.sweep.job_keeper import JobKeeper
from kls.sweep.sampler_checks import startup_warning
from kls.sweep.samplers import ListedPoints, sampler_of
from kls.sweep.search_space import as_text, distributions
from kls.sweep.stage_study import Outcome, new_study, search
from kls.sweep.stages import Stage
from kls.sweep.study_copy import StudyCopy
from kls.sweep.trial_outcome import ended, outcome
from kls.sweep.trial_storage import TrialRecord

log = logging.getLogger("kls")


class StageRun:
    """The trials of a stage in its folder.

    seeds: of each trial's runs; none where the settings say the seed. copied: makes the copy of its study. lease: of
    the sweep's folder, without which nothing more is written.
    """

    def __init__(
        self,
        stage: Stage,
        folder: Path,
        seeds: Sequence[int],
        objective: str,
        keeper: JobKeeper,
        copied: Callable[[optuna.Study], StudyCopy],
        lease: Lease,
    ) -> None:
        self.stage, self.folder, self.seeds, self.objective = stage, folder, seeds, objective
        self._keeper, self._copied, self._lease = keeper, copied, lease

    def search(self, ranges: Mapping[str, Range], points: Sequence[dict[str, Any]]) -> optuna.Study:
        """Run all trials, or go on with them. points: what they are, where no sampler draws them."""
        stage = self.stage
        sampler = ListedPoints(points) if points else sampler_of(stage)
        study = new_study(stage.name, sampler, maximize=self.objective == names.VAL_ACCURACY)
        self._record, self._copy = TrialRecord(self.folder, study), self._copied(study)
        self._record.restore(self._known, len(self.seeds))
        batch = stage.asked_at_once
        if warning := startup_warning(stage, batch):
            log.warning(warning)
        search(study, distributions(ranges, points), len(points) or stage.n_trials, batch, self._evaluate)
        self._write()
        return study

    def _folders(self, trial: int) -> list[Path]:
        """One a seed: the runs of trial 0 come first, then those of trial 1."""
        n = max(len(self.seeds), 1)
        return [self.folder / str(trial * n + i) for i in range(n)]

    def _known(self, trial: int) -> Outcome | None:
        folders = self._folders(trial)
        return outcome(folders, self.objective) if ended(folders) else None

    def _write(self) -> None:
        self._lease.check()
        self._record.write()
        self._copy.update()

    def _evaluate(self, trials: Sequence[optuna.Trial]) -> list[Outcome]:
        self._write()
        jobs: dict[int, list[str]] = {}
        for trial in trials:
            params = [f"{name}={as_text(value)}" for name, value in trial.params.items()]
            own = [[*params, f"seed={seed}"] for seed in self.seeds] or [params]
            jobs |= {int(f.name): job for f, job in zip(self._folders(trial.number), own, strict=True)}
        self._keeper.run(jobs)
        return [outcome(self._folders(trial.number), self.objective) for trial in trials]


def prepared(folder: Path) -> Path:
    """The folder of a stage, made if it is not there, without what a killed process has left."""
    folder.mkdir(exist_ok=True)
    refuse_links(folder)
    remove_leftovers(folder)
    return folder


def launcher_of(folder: Path, config: DictConfig, context: HydraContext, task: TaskFunction) -> Launcher:
    """The launcher that the settings choose, whose jobs go to folders in ``folder``."""
    config = copy.deepcopy(config)
    with read_write(config.hydra), open_dict(config.hydra):
        config.hydra.sweep.dir = str(folder)
        config.hydra.overrides.hydra.append(f"hydra.sweep.dir={quoted(folder)}")  # what jobs are composed from
    return Plugins.instance().instantiate_launcher(config=config, hydra_context=context, task_function=task)
