"""What a SLURM job is: one population, which writes its checkpoints and is queued again at the time limit.

``python -m kls.engines.slurm_task FOLDER`` does what submitit's own entry point does; as part of this package it has
the BLAS kernels chosen before NumPy is loaded.
"""

from __future__ import annotations

import shlex
import signal
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from submitit import SlurmExecutor
from submitit.core.submission import submitit_main
from submitit.core.utils import FailedJobError, FailedSubmissionError
from submitit.helpers import DelayedSubmission

from kls.engines.slurm_commands import Resources, outside_of_jobs
from kls.engines.task_errors import write_errors
from kls.engines.tasks import Population, train_together
from kls.errors import UserError
from kls.training.stop_signal import Stopped, stop_on_signals

SIGNAL_SECONDS = 60  # before the time limit, in which checkpoints are written
MOST_REQUEUES = 1000  # of a job that reaches its time limit
PACKAGES = Path(__file__).parents[2]  # where kls lies


class PopulationTask:
    """Trains ``population`` and writes ``path``: the errors of its runs, none of them where all went well.

    timeout: as of `train`.
    """

    def __init__(self, population: Population, timeout: float, path: Path) -> None:
        self._population, self._timeout, self._path = population, timeout, path

    def __call__(self) -> None:
        queue_again = signal.getsignal(signal.SIGUSR2)  # submitit's: it ends this process
        at_limit = False

        def stop(number: int, frame: FrameType | None) -> None:
            nonlocal at_limit
            at_limit = True
            signal.raise_signal(signal.SIGTERM)

        try:
            with stop_on_signals():
                signal.signal(signal.SIGUSR2, stop)
                found = train_together(self._population, self._timeout)
        except Stopped as stopped:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # which SLURM sends to what it queues again
            if at_limit and callable(queue_again):
                queue_again(signal.SIGUSR2, None)
            raise SystemExit(128 + stopped.signal_number) from None
        write_errors(self._path, found)

    def checkpoint(self) -> DelayedSubmission:
        """What submitit queues again: the same, since the runs' folders tell where they stand."""
        return DelayedSubmission(self)


class _Executor(SlurmExecutor):
    @property
    def _submitit_command_str(self) -> str:
        return f"{self.python} -P -u -m kls.engines.slurm_task {shlex.quote(str(self.folder))}"


def submit(
    name: str, folder: Path, tasks: Sequence[PopulationTask], slots: int, resources: Resources, after: str | None
) -> list[str]:
    """Submit an array of jobs, ``slots`` of them at once; gives their ids.

    folder: of their scripts, pickles and logs. after: the id of an array that is to end before. Raises UserError where
    SLURM does not take it.
    """
    executor = _Executor(folder, max_num_timeout=MOST_REQUEUES)
    executor.update_parameters(
        job_name=name,
        time=resources.minutes,
        cpus_per_task=resources.cores,
        mem=None if resources.memory is None else f"{round(resources.memory * 1024)}MB",
        partition=resources.partition,
        array_parallelism=slots,
        signal_delay_s=min(SIGNAL_SECONDS, 30 * resources.minutes),
        dependency=None if after is None else f"afterany:{after}",
        wckey=None,
        setup=[f"export PYTHONPATH={shlex.quote(str(PACKAGES))}${{PYTHONPATH:+:$PYTHONPATH}}"],
        srun_args=[f"--cpus-per-task={resources.cores}"],  # which it does not take over from sbatch
        additional_parameters={"requeue": True, **resources.more},
    )
    try:
        with outside_of_jobs(), executor.batch():
            jobs = [executor.submit(task) for task in tasks]
    except (FailedJobError, FailedSubmissionError) as error:
        raise UserError(f"hydra.launcher.engine=slurm: {' '.join(str(error).split())}") from None
    return [job.job_id for job in jobs]


if __name__ == "__main__":
    submitit_main()
