"""What is checked of a search before its first job: settings, samplers, memory and disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.types import HydraContext
from joblib import cpu_count
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from kls.config import limits
from kls.config.settings import Settings
from kls.config.validation import validate
from kls.errors import UserError
from kls.records import names
from kls.sweep import intervals, samplers
from kls.sweep.corner_points import corner_points
from kls.sweep.found import Found
from kls.sweep.population_launcher import check_launcher
from kls.sweep.search_space import as_text
from kls.sweep.stages import Stage, sets


class SearchChecks:
    """The checks of one search. ``fixed``: the overrides that all its jobs share."""

    def __init__(
        self, stages: Sequence[Stage], context: HydraContext, config: DictConfig, fixed: Sequence[str]
    ) -> None:
        self.stages, self.context, self.config, self.fixed = stages, context, config, fixed

    def before_any_job(self) -> list[Settings]:
        """Settings of a job of every stage; those at the corners of what is searched are checked as well.

        Raises UserError, or Hydra's exception for an unknown key or choice.
        """
        self.launcher = check_launcher(self.config.hydra.launcher)
        rule = self.config.pruning.rule
        if rule and all(self._scores_test(stage) for stage in self.stages):
            raise UserError(f"pruning.rule={rule}: all stages score the test set, and those that do are never pruned")
        found = []
        for stage in self.stages:
            clash = {sets(override) for override in (*self.fixed, *stage.budget)} & set(stage.searched)
            clash |= {"seed"} & set(map(sets, stage.budget)) if stage.gives_seeds else set()
            if clash:
                raise UserError(f"{min(clash)}: stage {stage.name} sets it for each trial; leave it out")
            points = [self._settings(stage, point) for point in corner_points(stage, self.stages)]
            for settings in points:
                self._memory(settings, stage)
            found.append(points[0])
            if stage.trials is not None:
                samplers.sampler_of(stage)
            if stage.where is not None:
                self._condition(stage)
        return found

    def disk(self, folder: Path, settings: Sequence[Settings]) -> None:
        """Raises UserError where there is no room for the runs that are not there yet."""
        runs = []
        for stage, one in zip(self.stages, settings, strict=True):
            begun = sum(1 for _ in (folder / stage.name).glob(f"*/{names.LAST}"))
            runs.append((one, max(stage.n_runs - begun, 0)))
        limits.require_runs(folder, runs)

    def job_arguments(self, stage: Stage) -> list[str]:
        """Overrides that all jobs of a stage share."""
        quiet = ["progress=false"]
        quiet += ["pruning.rule=null"] if self._scores_test(stage) else ["evaluation.test=false", "plots=false"]
        fixed = [o for o in self.fixed if not (stage.gives_seeds and sets(o) == "seed")]
        return [*fixed, *stage.budget, *quiet]

    def _condition(self, stage: Stage) -> None:
        """Raises UserError where the condition on a stage's combinations cannot be read, or leaves none."""
        if any(parameter.narrow for parameter in stage.params.values()):
            intervals.fulfilling(stage, corner_points(stage, self.stages))
        else:
            intervals.space(stage, Found())

    def _scores_test(self, stage: Stage) -> bool:
        """Confirmations do, others only if they are asked to: the test set is not for choosing."""
        return stage.scores_test or "evaluation.test=true" in self.fixed

    def _settings(self, stage: Stage, point: dict[str, Any]) -> Settings:
        """The settings of a possible job of a stage."""
        try:
            return validate(self._composed(stage, point))
        except UserError as error:
            where = f"stage {stage.name}: " if len(self.stages) > 1 else ""
            raise UserError("\n".join(f"{where}{line}" for line in str(error).splitlines())) from None

    def _memory(self, settings: Settings, stage: Stage) -> None:
        launcher = self.launcher
        if launcher.memory is not None:
            limits.members_in(int(launcher.memory * 2**30), settings, launcher.max_members)
        elif launcher.engine == "processes":
            processes = cpu_count() if launcher.n_jobs == -1 else launcher.n_jobs
            together = min(stage.n_trials, stage.asked_at_once) * stage.n_seeds
            limits.require_training(settings, together, processes, launcher.max_members)

    def _composed(self, stage: Stage, params: dict[str, Any]) -> dict[str, Any]:
        overrides = [*self.job_arguments(stage), *(f"{name}={as_text(value)}" for name, value in params.items())]
        composed = self.context.config_loader.load_sweep_config(self.config, overrides)
        with read_write(composed), open_dict(composed):
            del composed["hydra"]
        container = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
        assert isinstance(container, dict)
        return {str(key): value for key, value in container.items()}
