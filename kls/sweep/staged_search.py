"""Runs the stages of a search, one after the other, and survives being stopped anywhere."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import configure_log
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf
from optuna.storages import BaseStorage

from kls.config.defaults import filled
from kls.config.flat_settings import EXECUTION, OF_SWEEPS, flatten, shown
from kls.config.settings import SearchSettings, Settings
from kls.config.storage_setting import storage_address
from kls.config.validation import validate_group
from kls.engines.choice import engine_of
from kls.errors import UserError
from kls.records import environment, names
from kls.records.lease import LeaseLostError
from kls.records.lock import only_process
from kls.records.sweep_record import SweepRecord, refuse_used
from kls.sweep import intervals, shared_storage, stage_entry
from kls.sweep.found import Found, means_over_seeds, trials_told
from kls.sweep.job_keeper import JobKeeper
from kls.sweep.search_checks import SearchChecks
from kls.sweep.search_space import ad_hoc_stage, trial_value
from kls.sweep.shared_storage import Address, fault_line
from kls.sweep.stage_run import StageRun, launcher_of, prepared
from kls.sweep.stages import Search, Stage
from kls.sweep.study_copy import StudyCopy
from kls.sweep.trial_storage import FAULTS, opened

log = logging.getLogger("kls")

_CONTROL = ("resume", "dry_run")  # the process, not what is searched


class StagedSearch:
    """One sweep: its definition, folder and the trials of the stages that have ended."""

    def __init__(
        self, stages: Sequence[Any], context: HydraContext, task: TaskFunction, config: DictConfig, given: Sequence[str]
    ) -> None:
        """given: overrides of the command line; some may list values to search."""
        self.context, self.task, self.config = context, task, config
        address = storage_address()
        self.address = Address(address) if address is not None else None
        overrides = [o for o in OverridesParser.create().parse_overrides(list(given)) if o.key_or_group not in _CONTROL]
        self.arguments = [str(o.input_line) for o in overrides]
        listed = [o for o in overrides if o.is_sweep_override()]
        alone = [o for o in overrides if not (o.is_sweep_override() or o.key_or_group in OF_SWEEPS)]
        given_here: Any = OmegaConf.to_container(OmegaConf.masked_copy(config, list(OF_SWEEPS)))
        self.typed = typed = validate_group(SearchSettings, given_here)
        if stages:
            self.search = _search(OmegaConf.to_container(OmegaConf.create(list(stages)), resolve=True))
            _refuse_beside_stages(listed, typed)
        else:
            self.search = _search([ad_hoc_stage(listed, typed)])
        if typed.repeats is not None:
            self.search = self.search.repeated(typed.repeats)
        self.checks = SearchChecks(self.search.stages, context, config, [str(o.input_line) for o in alone])
        self.found = Found(typed.objective)
        self.seeds = {int(config.seed)}  # that a stage has used
        self.failures: list[str] = []

    def run(self) -> None:
        """Run, or with dry_run list, all stages; print the table of all runs."""
        settings = self.checks.before_any_job()
        if self.config.dry_run:
            self._describe(settings)
            return
        self.folder = Path(str(self.config.hydra.sweep.dir)).absolute()
        resume, definition = self.config.resume is not None, self._definition(settings[0])
        if not resume:
            refuse_used(self.folder, definition)
        engine_of(self.checks.launcher, self.folder)  # refused here, not with half a sweep
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        if self.address is None:
            self._run(settings, definition, resume, None)
            return
        with shared_storage.opened(self.address) as shared:
            self._run(settings, definition, resume, shared)

    def _run(
        self, settings: Sequence[Settings], definition: dict[str, Any], resume: bool, shared: BaseStorage | None
    ) -> None:
        """shared: where its studies are to be, if not in a file of its folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        logging.getLogger("hydra_plugins").setLevel(logging.ERROR)  # JobKeeper tells of failures
        logging.getLogger("hydra").setLevel(logging.WARNING)
        with only_process(self.folder) as self.lease:
            self.checks.disk(self.folder, settings)
            self.record = SweepRecord(self.folder, definition, self.arguments, resume, self._facts(), _as_now)
            go_on = f"go on with the same command and resume={self.folder}"
            try:
                self._run_stages(shared)
            except KeyboardInterrupt:
                self.record.set_status(names.INTERRUPTED)
                hydra = self.config.hydra  # whose logging a job that was stopped has taken the place of
                configure_log(hydra.hydra_logging, hydra.verbose, execution_whitelist=self.context.execution_whitelist)
                log.warning("stopped; %s", go_on)
                raise
            except LeaseLostError as error:
                raise UserError(str(error)) from None
            except (OSError, MemoryError, *FAULTS) as error:
                with suppress(OSError):
                    self.record.set_status(names.INTERRUPTED)
                line = fault_line(error) if self.address is None else self.address.without_password(fault_line(error))
                raise UserError(f"{line}; mend that, and {go_on}") from None
            except BaseException:
                self.record.set_status(names.FAILED)
                raise
            self.record.set_status(names.FINISHED)
            self._report()

    def _facts(self) -> dict[str, Any]:
        folders = [
            entry.path.removeprefix("file://")
            for entry in self.context.config_loader.get_search_path().get_path()
            if entry.provider == "command-line"
        ]
        return {"config_dir": folders[0] if folders else None, **environment.versions()}

    def _run_stages(self, shared: BaseStorage | None) -> None:
        if shared is None:
            with opened(self.folder / names.STUDY) as storage:
                for stage in self.search.stages:
                    self._run_stage(stage, partial(StudyCopy, storage, stage.name))
            return
        name = self.record.name_of_studies()
        log.info("the studies are in %s, as %s/...", self.address, name)
        for stage in self.search.stages:
            self._run_stage(stage, partial(StudyCopy, shared, f"{name}/{stage.name}"))

    def _describe(self, settings: Sequence[Settings]) -> None:
        from kls.sweep.dry_run import describe

        log.info(describe(list(zip(self.search.stages, settings, strict=True))))

    def _definition(self, first: Settings) -> dict[str, Any]:
        """What must be the same on resume: the stages, and the settings of the first job but for what it searches."""
        own = (*EXECUTION, *self.search.stages[0].searched)
        return {
            "objective": self.typed.objective,
            "settings": {key: value for key, value in flatten(first.model_dump()).items() if key not in own},
            "stages": _dumped(self.search),
        }

    def _run_stage(self, stage: Stage, copied: Callable[[optuna.Study], StudyCopy]) -> None:
        folder = prepared(self.folder / stage.name)
        ranges, points = intervals.space(stage, self.found)
        seeds = intervals.seeds_of(stage, int(self.config.seed), self.seeds)
        entry = stage_entry.begun(stage, len(points) or stage.n_trials, seeds, ranges)
        self.record.put_stage(entry)
        keeper = JobKeeper(
            launcher_of(folder, self.config, self.context, self.task),
            folder,
            self.failures,
            self.config.max_failures,
            self.config.progress,
            self.checks.job_arguments(stage),
        )
        points = [{name: trial_value(value) for name, value in point.items()} for point in points]
        study = StageRun(stage, folder, seeds, self.typed.objective, keeper, copied, self.lease).search(
            ranges, points
        )
        trials = means_over_seeds(trials_told(study.get_trials(deepcopy=False), self.found.sign))
        if all(trial.pruned for trial in trials):
            raise self._no_trial_finished(stage, len(trials))
        self.seeds |= {seed for trial in trials for seed in trial.scores}
        self.found.add(stage, trials)
        entry = stage_entry.ended(entry, stage, study, self.found, ranges, folder)
        self.record.put_stage(entry)
        stage_entry.tell(entry, self.found.whole(stage.name)[0], self.typed.objective)

    def _no_trial_finished(self, stage: Stage, pruned: int) -> UserError:
        shown = "".join(f"\n  {line}" for line in self.failures[:10])
        others = f" or was pruned, as {pruned} were" if pruned else ""
        return UserError(f"stage {stage.name}: every trial failed{others}; the logs are in their folders:{shown}")

    def _report(self) -> None:
        from kls.report.summary import aggregate

        log.info(aggregate([self.folder], self.folder))
        if self.failures:
            log.warning("%d jobs failed; the logs are in their folders:", len(self.failures))
            for line in self.failures:
                log.warning("  %s", line)


def _search(stages: Any) -> Search:
    return validate_group(Search, {"stages": stages}, "hydra.sweeper")


def _dumped(search: Search) -> list[dict[str, Any]]:
    return [stage.model_dump(by_alias=True) for stage in search.stages]


def _as_now(was: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """A recorded definition with the defaults of what there was not yet when it was recorded."""
    stages = was.get("stages", [])
    with suppress(UserError):  # which is told as a change
        stages = _dumped(_search(stages))
    settings = filled(was.get("settings", {}), now["settings"])
    return {"objective": names.VAL_ACCURACY, **was, "settings": settings, "stages": stages}


def _refuse_beside_stages(listed: Sequence[Any], typed: SearchSettings) -> None:
    if listed:
        raise UserError(f"{listed[0].input_line}: this sweep has stages that say what is searched; give one value")
    for key in ("trials", "sampler", "points", "where"):
        value = getattr(typed, key)
        if value is not None:
            raise UserError(f"{key}={shown(value)}: the stages of this sweep say it; leave it out")
