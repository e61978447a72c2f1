"""What the population launcher does with a batch of jobs.

Hydra's run_job keeps process-wide state, so it cannot hold many jobs at once. Each job goes through
it twice: first with a task that only validates the settings, which makes the folder, .hydra and the
log; then, when its population is trained, with a task that draws, logs and returns its value. Both
together leave what a job alone leaves.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, configure_log, run_job, setup_globals
from hydra.types import TaskFunction
from omegaconf import DictConfig, open_dict

from kls import train
from kls.grouping import groups
from kls.settings import Settings
from kls.training_pool import train_groups

if TYPE_CHECKING:
    from kls.plugins.population_launcher import PopulationLauncher
    from kls.training import Job


@dataclass
class _Job:
    config: DictConfig
    result: JobReturn | None = None  # of a job that has ended already
    settings: Settings | None = None
    folder: Path | None = None
    training: Job | None = None  # what is to be trained, if anything is


def launch(
    launcher: PopulationLauncher, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
) -> Sequence[JobReturn]:
    """Results of all jobs, in their order. A task that is not this project's runs job by job."""
    setup_globals()
    context = launcher.hydra_context
    configure_log(
        launcher.config.hydra.hydra_logging,
        launcher.config.hydra.verbose,
        execution_whitelist=context.execution_whitelist,
    )
    Path(str(launcher.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
    jobs = []
    for number, overrides in enumerate(job_overrides, initial_job_idx):
        config = context.config_loader.load_sweep_config(launcher.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id, config.hydra.job.num = str(number), number
        jobs.append(_Job(config))

    if inspect.unwrap(launcher.task_function) is not train.task:
        return [_run(launcher, job, launcher.task_function) for job in jobs]

    for job in jobs:
        _collect(launcher, job)
    ready = [job for job in jobs if job.result is None]
    todo = [job.training for job in ready if job.training is not None]
    errors = train_groups(groups(todo), launcher.n_jobs, launcher.max_members)
    for job in ready:
        job.result = _run(launcher, job, _recording(job, errors))
    return [job.result for job in jobs if job.result is not None]


def _run(launcher: PopulationLauncher, job: _Job, task: TaskFunction) -> JobReturn:
    """One pass of a job through Hydra; the sweep's own logging is set again after it."""
    result = run_job(
        hydra_context=launcher.hydra_context,
        task_function=task,
        config=job.config,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )
    configure_log(
        launcher.config.hydra.hydra_logging,
        launcher.config.hydra.verbose,
        execution_whitelist=launcher.hydra_context.execution_whitelist,
    )
    return result


def _collect(launcher: PopulationLauncher, job: _Job) -> None:
    """First pass: validated settings, folder and what is to be trained, or the failure."""

    def collect(config: DictConfig) -> None:
        job.settings = train.settings_of(config)
        job.folder = Path(HydraConfig.get().runtime.output_dir)
        job.training = train.job_of(job.settings, job.folder)
        if job.training is not None:
            groups([job.training])  # a checkpoint that cannot be read fails here, for this job alone

    result = _run(launcher, job, collect)
    if result.status is not JobStatus.COMPLETED:
        job.result = result


def _recording(job: _Job, errors: dict[Path, BaseException]) -> TaskFunction:
    """Second pass: the task that ends the job in its folder, or raises what went wrong."""
    settings, folder = job.settings, job.folder
    assert settings is not None
    assert folder is not None

    def record(config: DictConfig) -> Any:
        if folder in errors:
            raise errors[folder]
        return train.finish(settings, folder)

    return record
