"""What the population launcher does with a batch of jobs.

Hydra's run_job keeps process-wide state, so it cannot hold many jobs at once. Each job goes through it when its
population is trained, with a task that draws, logs and returns its value, and so leaves what a job alone leaves.
What must be known before, settings and folder, is read from the composed configuration.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from hydra.core.utils import JobReturn, configure_log, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from joblib import cpu_count
from omegaconf import DictConfig, OmegaConf, open_dict

from kls.config.settings import Settings
from kls.sweep.job import finish, job_of, name_of_model, settings_of, task
from kls.sweep.job_configs import JobConfigs
from kls.training.pool import train_populations
from kls.training.populations import populations
from kls.training.session import Job


@dataclass
class _Job:
    config: DictConfig
    settings: Settings | None = None
    folder: Path | None = None
    training: Job | None = None  # what is to be trained, if anything is
    error: BaseException | None = None  # why nothing can be


class Launching(Protocol):
    """What is needed of the launcher: its options, and what Hydra has set it up with."""

    n_jobs: int
    max_members: int
    worker_timeout: float
    hydra_context: HydraContext
    task_function: TaskFunction
    config: DictConfig


def launch(
    launcher: Launching, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
) -> Sequence[JobReturn]:
    """Results of all jobs, in their order. A task that is not this project's runs job by job."""
    setup_globals()
    _log_as_sweep(launcher)
    Path(str(launcher.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
    configs = JobConfigs(launcher.hydra_context.config_loader, launcher.config)
    jobs = []
    for number, overrides in enumerate(job_overrides, initial_job_idx):
        config = configs.compose(overrides)
        with open_dict(config):
            config.hydra.job.id, config.hydra.job.num = str(number), number
        jobs.append(_Job(config))
    try:
        if inspect.unwrap(launcher.task_function) is not task:
            return [_run(launcher, job, launcher.task_function) for job in jobs]
        for job in jobs:
            _collect(job)
        errors = _train([job.training for job in jobs if job.training is not None], launcher)
        return [_run(launcher, job, _recording(job, errors)) for job in jobs]
    finally:
        _log_as_sweep(launcher)


def _train(jobs: Sequence[Job], launcher: Launching) -> dict[Path, Exception]:
    """Train jobs, whose folders lie side by side; gives the errors of those that failed, by folder."""
    if not jobs:
        return {}
    processes = cpu_count() if launcher.n_jobs == -1 else launcher.n_jobs
    pieces = populations(jobs, jobs[0].folder.parent, processes, launcher.max_members)
    return train_populations(pieces, processes, launcher.worker_timeout)


def _log_as_sweep(launcher: Launching) -> None:
    """The sweep's own logging, which each job's takes the place of."""
    hydra = launcher.config.hydra
    configure_log(hydra.hydra_logging, hydra.verbose, execution_whitelist=launcher.hydra_context.execution_whitelist)


def _run(launcher: Launching, job: _Job, function: TaskFunction) -> JobReturn:
    """A job's way through Hydra."""
    return run_job(
        hydra_context=launcher.hydra_context,
        task_function=function,
        config=job.config,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )


def _collect(job: _Job) -> None:
    """Validated settings, folder and what is to be trained, or the error of this job alone."""
    try:
        own = OmegaConf.masked_copy(job.config, [str(key) for key in job.config if key != "hydra"])
        job.settings = settings_of(own)
        job.folder = Path(str(job.config.hydra.sweep.dir), str(job.config.hydra.sweep.subdir)).absolute()
        job.folder.mkdir(parents=True, exist_ok=True)
        job.training = job_of(job.settings, job.folder, name_of_model(job.settings, job.config.hydra))
    except Exception as error:
        job.error = error


def _recording(job: _Job, errors: Mapping[Path, Exception]) -> TaskFunction:
    """The task that ends the job in its folder, or raises what went wrong."""

    def record(config: DictConfig) -> Any:
        if job.error is not None:
            raise job.error
        assert job.settings is not None
        assert job.folder is not None
        if job.folder in errors:
            raise errors[job.folder]
        return finish(job.settings, job.folder)

    return record
