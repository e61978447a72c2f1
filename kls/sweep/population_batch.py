"""What the population launcher does with a batch of jobs.

The jobs of this project's own task are trained by an engine. Hydra's run_job, which copies and writes a job's whole
configuration several times, would take longer than many a small training, so they do not go through it; of Hydra's
records a job's folder has its overrides and its log.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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
from kls.engines.tasks import Engine, train_populations
from kls.records import names
from kls.records.atomic import write_text
from kls.records.run_folder import RunFolder
from kls.sweep.job import finish, job_of, name_of_model, settings_of, task
from kls.sweep.job_configs import JobConfigs
from kls.training.populations import populations
from kls.training.session import Job

log = logging.getLogger("kls")


@dataclass
class _Job:
    folder: Path
    overrides: list[str]
    settings: Settings | None = None
    training: Job | None = None  # what is to be trained, if anything is
    error: Exception | None = None  # why there is nothing to be told


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
        errors = _train([job.training for job in jobs if job.training is not None], launcher)
        return [_ended(job, errors) for job in jobs]
    finally:
        _log_as_sweep(launcher)


def _train(jobs: Sequence[Job], launcher: Launching) -> dict[Path, Exception]:
    """Train jobs, whose folders lie side by side; gives the errors of those that failed, by folder."""
    if not jobs:
        return {}
    options, folder = launcher.settings, jobs[0].folder.parent
    engine = engine_of(options, folder)
    most = options.max_members
    if options.memory is not None:
        most = min(limits.members_in(int(options.memory * 2**30), job.settings, most) for job in jobs)
    pieces = populations(jobs, folder, engine.slots, most)
    return train_populations(engine, pieces, options.worker_timeout, options.retries, launcher.config.max_failures)


def engine_of(options: LauncherSettings, folder: Path) -> Engine:
    """The engine that the settings choose, for runs in ``folder``. Raises UserError where it is not there."""
    from kls.engines.processes import Processes

    return Processes(options.n_jobs)


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
        job_subdir_key="hydra.sweep.subdir",
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


def _ended(job: _Job, errors: Mapping[Path, Exception]) -> JobReturn:
    """What came of a job, which ends in its folder; its status is unknown where it was not trained to its end."""
    told = JobReturn(overrides=job.overrides, working_dir=str(job.folder), task_name=Path(names.LOG).stem)
    error = job.error or errors.get(job.folder)
    if error is None and RunFolder(job.folder).read_metrics().get(names.STATUS) not in names.ENDED:
        return told
    job.folder.mkdir(parents=True, exist_ok=True)
    with _log_of(job.folder):
        try:
            if error is not None:
                raise error
            assert job.settings is not None
            told.status, told.return_value = JobStatus.COMPLETED, finish(job.settings, job.folder)
        except Exception as raised:
            log.exception("failed")
            told.status, told.return_value = JobStatus.FAILED, raised
    overrides = job.folder / names.HYDRA_OVERRIDES
    overrides.parent.mkdir(exist_ok=True)
    write_text(overrides, yaml.safe_dump(job.overrides, allow_unicode=True))
    return told


@contextmanager
def _log_of(folder: Path) -> Iterator[None]:
    """Have all that is logged go to the log of a run, and there alone."""
    root = logging.getLogger()
    before, handler = root.handlers, logging.FileHandler(folder / names.LOG, encoding="utf-8")
    handler.setFormatter(logging.Formatter("[%(asctime)s][%(levelname)s] %(message)s"))
    root.handlers = [handler]
    try:
        yield
    finally:
        root.handlers = before
        handler.close()
