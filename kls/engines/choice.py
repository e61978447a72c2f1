"""The engine that hydra.launcher.engine names. What an engine needs is loaded where it is chosen."""

from __future__ import annotations

from pathlib import Path

from kls.config.launcher_settings import LauncherSettings
from kls.engines.tasks import Engine
from kls.errors import UserError


def engine_of(options: LauncherSettings, folder: Path) -> Engine:
    """The chosen engine, for runs in ``folder``. Raises UserError where it, or what it is asked for, is not there."""
    if options.engine == "ray":
        from kls.engines.ray_tasks import RayTasks

        return RayTasks(options.n_jobs, options.worker_timeout, options.cores, options.memory, options.address)
    if options.engine == "slurm":
        from kls.engines.slurm_commands import Resources
        from kls.engines.slurm_jobs import SlurmJobs

        if options.n_jobs == -1:
            raise UserError("hydra.launcher.n_jobs=-1: engine=slurm needs to know how many jobs may run at once")
        resources = Resources(
            options.cores, options.memory, options.time_limit, options.partition, options.sbatch or {}
        )
        return SlurmJobs(folder, options.n_jobs, options.worker_timeout, options.array_size, resources)
    from kls.engines.processes import Processes

    return Processes(options.n_jobs, options.worker_timeout)
