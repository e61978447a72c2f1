"""What the population launcher does with a batch of jobs.

The jobs of this project's own task are trained by an engine. Hydra's run_job, which copies and writes a job's whole
configuration several times, would take longer than many a small training, so they do not go through it; of Hydra's
records a job's folder has its overrides and its log.
"""

from __future__ import annotations

import inspect
import logging
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import yaml
from hydra.core.utils import JobReturn, JobStatus, configure_log, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from kls.config import limits
from kls.config.launcher_settings import LauncherSettings
from kls.config.settings import Settings
from kls.engines.choice import engine_of
from kls.engines.tasks import Errors, Population, train_populations
from kls.records import names
from kls.records.atomic import write_text
from kls.records.run_folder import RunFolder
from kls.sweep.job import LOG_LINE, finish, job_of, name_of_model, settings_of, task
from kls.sweep.job_configs import SUBFOLDER, JobConfigs
from kls.training.populations import populations
from kls.training.session import Job


@dataclass
class _Job:
    folder: Path
    overrides: list[str]
    settings: Settings | None = None
    training: Job | None = None  # what is to be trained, if anything is
    error: Exception | None = None  # why there is no result
    told: JobReturn | None = None


class Launching(Protocol):
    """What is needed of the launcher: its options, and what Hydra has set it up with."""

    settings: LauncherSettings
    hydra_context: HydraContext
    task_function: TaskFunction
    config: DictConfig


def launch(
    launcher: Launching, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
) -> Sequence[JobReturn]:
    """Results of all jobs, in their order. A task that is not this project's runs job by job."""
    setup_globals()
    _log_as_sweep(launcher)
    sweep = Path(str(launcher.config.hydra.sweep.dir)).absolute()
    sweep.mkdir(parents=True, exist_ok=True)
    try:
        numbered = enumerate(job_overrides, initial_job_idx)
        if inspect.unwrap(launcher.task_function) is not task:
            return [_run(launcher, number, overrides) for number, overrides in numbered]
        configs = JobConfigs(launcher.hydra_context.config_loader, launcher.config)
        jobs = [_collected(configs, sweep, number, overrides) for number, overrides in numbered]
        _train(jobs, launcher)
        return [job.told or _told(job) for job in jobs]
    finally:
        _log_as_sweep(launcher)


def _train(jobs: Sequence[_Job], launcher: Launching) -> None:
    """Train jobs, whose folders lie side by side; each ends when its population does."""
    trainings = [job.training for job in jobs if job.training is not None]
    if not trainings:
        return
    options, folder = launcher.settings, trainings[0].folder.parent
    most = options.max_members
    if options.memory is not None:
        most = min(limits.members_in(int(options.memory * 2**30), job.settings, most) for job in trainings)
    engine = engine_of(options, folder)
    by_folder = {job.folder: job for job in jobs}
    failed = sum(job.error is not None for job in jobs)

    def on_end(population: Population, errors: Errors) -> bool:
        nonlocal failed
        for folder in (member.folder for member in population):
            if folder in by_folder:  # else it has ended before, and was trained again for the others
                job = by_folder[folder]
                job.error = errors.get(folder)
                job.told = _told(job)
                failed += job.told.status is JobStatus.FAILED
        return failed <= launcher.config.max_failures

    pieces = populations(trainings, folder, engine.slots, most)
    train_populations(engine, pieces, options.retries, on_end)


def _log_as_sweep(launcher: Launching) -> None:
    """The sweep's own logging, which each job's takes the place of."""
    hydra = launcher.config.hydra
    configure_log(hydra.hydra_logging, hydra.verbose, execution_whitelist=launcher.hydra_context.execution_whitelist)


def _run(launcher: Launching, number: int, overrides: Sequence[str]) -> JobReturn:
    """The way through Hydra of a job that is another's."""
    config = launcher.hydra_context.config_loader.load_sweep_config(launcher.config, list(overrides))
    with open_dict(config):
        config.hydra.job.id, config.hydra.job.num = str(number), number
    return run_job(
        hydra_context=launcher.hydra_context,
        task_function=launcher.task_function,
        config=config,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key=SUBFOLDER,
    )


def _collected(configs: JobConfigs, sweep: Path, number: int, overrides: Sequence[str]) -> _Job:
    """Folder, validated settings and what is to be trained, or the error of this job alone."""
    name, given = configs.of_hydra(overrides)
    job = _Job(sweep / (name or str(number)), given)
    config, hydra = configs.compose(overrides)
    try:
        job.settings = settings_of(config)
        job.folder.mkdir(parents=True, exist_ok=True)
        job.training = job_of(job.settings, job.folder, name_of_model(job.settings, hydra))
    except Exception as error:
        job.error = error
    return job


def _told(job: _Job) -> JobReturn:
    """What came of a job, which ends in its folder; its status is unknown where it was not trained to its end."""
    told = JobReturn(overrides=job.overrides, working_dir=str(job.folder), task_name=Path(names.LOG).stem)
    if job.error is None and RunFolder(job.folder).read_metrics().get(names.STATUS) not in names.ENDED:
        return told
    try:
        if job.error is not None:
            raise job.error
        assert job.settings is not None
        told.return_value, text = finish(job.settings, job.folder)
        told.status, level = JobStatus.COMPLETED, "INFO"
    except Exception as error:
        told.return_value, text = error, "".join(traceback.format_exception(error)).rstrip()
        told.status, level = JobStatus.FAILED, "ERROR"
    overrides = job.folder / names.HYDRA_OVERRIDES
    overrides.parent.mkdir(parents=True, exist_ok=True)
    with (job.folder / names.LOG).open("a", encoding="utf-8") as file:
        file.write(LOG_LINE.format(logging.makeLogRecord({"levelname": level, "msg": text})) + "\n")
    write_text(overrides, yaml.safe_dump(job.overrides, allow_unicode=True))
    return told
