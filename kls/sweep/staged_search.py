"""Runs the stages of a search, one after the other, and survives being stopped anywhere."""

from __future__ import annotations

import copy
import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import optuna
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import configure_log
from hydra.types import HydraContext, TaskFunction
from hydra_plugins.hydra_optuna_sweeper.optuna_sweeper import OptunaSweeper
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from optuna.samplers import BaseSampler
from optuna.trial import TrialState

from kls.config.defaults import defaults
from kls.config.flat_settings import EXECUTION, SEEDS, flatten
from kls.config.resume import quoted
from kls.config.settings import Settings
from kls.config.validation import validate_group
from kls.errors import UserError
from kls.records import environment, names
from kls.records.atomic import remove_leftovers
from kls.records.folders import refuse_links
from kls.records.lock import only_process
from kls.records.run_folder import RunFolder
from kls.records.sweep_record import SweepRecord, refuse_used
from kls.sweep import intervals, samplers
from kls.sweep.intervals import Range, Trial, value_text
from kls.sweep.job_keeper import JobKeeper
from kls.sweep.search_checks import LARGEST_BATCH, SearchChecks
from kls.sweep.search_space import ad_hoc_stage, distribution_overrides, meant_for_jobs, trial_value
from kls.sweep.stages import Search, Stage
from kls.sweep.trial_storage import ENDED, FAULTS, opened, restore_trials, write_trials

log = logging.getLogger("kls")

LEARNING_BATCH = 10  # trials that a sampler which learns is asked for at once


class StagedSearch:
    """One sweep: its definition, folder and the trials of the stages that have ended."""

    def __init__(
        self, stages: Sequence[Any], context: HydraContext, task: TaskFunction, config: DictConfig, given: Sequence[str]
    ) -> None:
        """given: overrides of the command line; some may list values to search."""
        self.context, self.task, self.config = context, task, config
        overrides = meant_for_jobs(OverridesParser.create().parse_overrides(list(given)))
        self.arguments = [str(o.input_line) for o in overrides]
        self.fixed = [str(o.input_line) for o in overrides if not o.is_sweep_override()]
        listed = [o for o in overrides if o.is_sweep_override()]
        if stages and listed:
            raise UserError(f"{listed[0].input_line}: this sweep has stages that say what is searched; give one value")
        plain = OmegaConf.to_container(OmegaConf.create(list(stages)), resolve=True)
        self.search = validate_group(Search, {"stages": plain or [ad_hoc_stage(listed)]}, "hydra.sweeper")
        self.checks = SearchChecks(self.search.stages, context, config, self.fixed)
        self.trials: dict[str, list[Trial]] = {}  # of the stages that have ended; means over seeds
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
        self.folder.mkdir(parents=True, exist_ok=True)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        logging.getLogger("hydra_plugins").setLevel(logging.ERROR)  # JobKeeper tells of failures
        logging.getLogger("hydra").setLevel(logging.WARNING)
        with only_process(self.folder):
            self.checks.disk(self.folder, settings)
            self.record = SweepRecord(self.folder, definition, self.arguments, resume, self._facts(), defaults())
            go_on = f"go on with the same command and resume={self.folder}"
            try:
                self._run_stages()
            except KeyboardInterrupt:
                self.record.set_status(names.INTERRUPTED)
                hydra = self.config.hydra  # whose logging a job that was stopped has taken the place of
                configure_log(hydra.hydra_logging, hydra.verbose, execution_whitelist=self.context.execution_whitelist)
                log.warning("stopped; %s", go_on)
                raise
            except (OSError, MemoryError, *FAULTS) as error:
                with suppress(OSError):
                    self.record.set_status(names.INTERRUPTED)
                raise UserError(f"{_first_line(error)}; mend that, and {go_on}") from error
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

    def _run_stages(self) -> None:
        with opened(self.folder / names.STUDY) as self.storage:
            for stage in self.search.stages:
                self._run_stage(stage)

    def _describe(self, settings: Sequence[Settings]) -> None:
        from kls.sweep.dry_run import describe

        log.info(describe(list(zip(self.search.stages, settings, strict=True))))

    def _definition(self, first: Settings) -> dict[str, Any]:
        """What must be the same on resume: the stages, and the settings of the first job but for what it searches."""
        own = (*EXECUTION, *self.search.stages[0].params)
        return {
            "settings": {key: value for key, value in flatten(first.model_dump()).items() if key not in own},
            "stages": [stage.model_dump(by_alias=True) for stage in self.search.stages],
        }

    def _run_stage(self, stage: Stage) -> None:
        folder = self.folder / stage.name
        folder.mkdir(exist_ok=True)
        refuse_links(folder)
        remove_leftovers(folder)
        ranges, points = self._space(stage)
        n_trials = len(points) if points else stage.trials
        assert n_trials is not None
        entry: dict[str, Any] = {
            "name": stage.name,
            "trials": n_trials,
            "sampler": stage.sampler if isinstance(stage.sampler, str) else stage.sampler["_target_"],
            "status": names.RUNNING,
            "params": {name: r.record() for name, r in ranges.items()},
            "best": None,
            "edge": [],
            "confirm": stage.confirm is not None,
        }
        self.record.put_stage(entry)
        searched = "; ".join(f"{name} {found.words}" for name, found in ranges.items())
        log.info("stage %s: %d trials; %s", stage.name, n_trials, searched)
        study = optuna.create_study(
            study_name=stage.name, storage=self.storage, direction="maximize", load_if_exists=True
        )
        restore_trials(folder / names.TRIALS, study)
        batch = stage.batch or (LEARNING_BATCH if stage.learns else LARGEST_BATCH)
        sampler = samplers.ListedPoints(points) if points else samplers.sampler_of(stage)
        while (done := len(study.get_trials(states=ENDED))) < n_trials:
            n = min(batch - done % batch, n_trials - done)
            self._run_batch(stage, folder, study, sampler, distribution_overrides(ranges, points), n)
        self._end_stage(stage, study, ranges, entry)

    def _space(self, stage: Stage) -> tuple[dict[str, Range], list[dict[str, Any]]]:
        """The ranges of a stage's parameters, and its points where it does not sample them."""
        if stage.confirm:
            points = intervals.confirmations(stage, self.trials, self.seeds)
            source = f"the best of {stage.confirm.source}"
            values = {name: list(dict.fromkeys(point[name] for point in points)) for name in points[0]}
            ranges = {n: Range(None, None, "linear", v, "given" if n == "seed" else source) for n, v in values.items()}
            return ranges, points
        ranges = {name: intervals.resolve(name, p, self.trials) for name, p in stage.params.items()}
        points = intervals.grid(ranges) if stage.sampler == "grid" else []
        return ranges, [{name: trial_value(value) for name, value in point.items()} for point in points]

    def _run_batch(
        self, stage: Stage, folder: Path, study: optuna.Study, sampler: BaseSampler, params: dict[str, str], n: int
    ) -> None:
        """n trials through hydra-optuna-sweeper: ask, launch, tell."""
        config = copy.deepcopy(self.config)
        with read_write(config.hydra), open_dict(config.hydra):
            config.hydra.sweep.dir = str(folder)
            config.hydra.overrides.hydra.append(f"hydra.sweep.dir={quoted(folder)}")  # what jobs are composed from
        sweeper = OptunaSweeper(
            sampler={"_target_": "optuna.samplers.RandomSampler"},  # replaced below by one that is built already
            direction="maximize",
            storage=None,
            study_name=stage.name,
            n_trials=n,
            n_jobs=n,
            max_failure_rate=1.0,
            custom_search_space=None,
            params=OmegaConf.create(params),
        )
        sweeper.setup(hydra_context=self.context, task_function=self.task, config=config)
        inner: Any = sweeper.sweeper
        inner.sampler, inner.storage = sampler, self.storage
        inner.launcher = JobKeeper(
            inner.launcher,
            folder,
            lambda: [t.number for t in study.get_trials(states=(TrialState.RUNNING,))],
            self.failures,
            self.config.max_failures,
            self.config.progress,
            self.checks.job_arguments(stage),
            lambda: write_trials(folder / names.TRIALS, study),
        )
        try:
            sweeper.sweep([])
            write_trials(folder / names.TRIALS, study)
        except ValueError:  # where there is no best trial
            if study.get_trials(states=(TrialState.COMPLETE, TrialState.RUNNING, TrialState.WAITING)):
                raise
            raise self._no_trial_finished(stage) from None

    def _no_trial_finished(self, stage: Stage, pruned: int = 0) -> UserError:
        shown = "".join(f"\n  {line}" for line in self.failures[:10])
        others = f" or was pruned, as {pruned} were" if pruned else ""
        return UserError(f"stage {stage.name}: every trial failed{others}; the logs are in their folders:{shown}")

    def _end_stage(self, stage: Stage, study: optuna.Study, ranges: dict[str, Range], entry: dict[str, Any]) -> None:
        complete = study.get_trials(states=(TrialState.COMPLETE,))
        ends = {t.number: _status(self.folder / stage.name / str(t.number)) for t in study.get_trials(states=ENDED)}
        trials = [Trial(t.number, dict(t.params), float(t.values[0]), ends[t.number] == names.PRUNED) for t in complete]
        n_pruned = sum(trial.pruned for trial in trials)
        self.seeds |= {trial.params["seed"] for trial in trials if "seed" in trial.params}
        trials = intervals.means_over_seeds(trials)
        whole = [trial for trial in trials if not trial.pruned]
        if not whole:
            raise self._no_trial_finished(stage, n_pruned)
        self.trials[stage.name] = trials
        best = max(whole, key=lambda t: t.value)
        searched = [name for name in ranges if name not in SEEDS]
        if stage.sampler != "grid" or (len(searched) == 1 and not stage.confirm):
            entry["edge"] = intervals.edges(trials, ranges)
        entry["best"] = {"trial": best.number, "params": best.params, names.VAL_ACCURACY: best.value}
        entry["runs"] = dict(Counter(sorted(ends.values())))
        entry["status"] = names.FINISHED
        self.record.put_stage(entry)
        settings = ", ".join(f"{name}={value_text(value)}" for name, value in best.params.items())
        if n_pruned:
            log.info("stage %s: %s", stage.name, ", ".join(f"{n} {status}" for status, n in entry["runs"].items()))
        with_settings = f" with {settings}" if settings else ""
        log.info("stage %s: best validation accuracy %.2f%%%s", stage.name, 100 * best.value, with_settings)
        for sentence in entry["edge"]:
            log.warning("EDGE in stage %s: %s", stage.name, sentence)

    def _report(self) -> None:
        from kls.report.summary import aggregate

        log.info(aggregate([self.folder], self.folder))
        if self.failures:
            log.warning("%d jobs failed; the logs are in their folders:", len(self.failures))
            for line in self.failures:
                log.warning("  %s", line)


def _status(folder: Path) -> str:
    """How a trial ended; one whose run was taken away meanwhile had finished."""
    return str(RunFolder(folder).read_metrics().get(names.STATUS, names.FINISHED))


def _first_line(error: BaseException) -> str:
    """An error in a line; SQLAlchemy quotes the whole statement behind it."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
