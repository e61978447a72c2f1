"""Stands between a sweeper and a launcher: keeps finished jobs, resumes cut ones, and outlives failures.

Each trial has the folder <stage>/<trial number>. A finished one is not launched again but answered
from its record; one with a checkpoint goes on from it; a job that raises is recorded as failed with
its message, and the sweep goes on until more than ``max_failures`` have failed. Where a launcher
loses its whole batch, as joblib does when a worker is killed, the rest of the batch is launched again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher

from kls.errors import UserError
from kls.plugins.sweep_progress import SweepProgress
from kls.records import names
from kls.records.run_folder import RunFolder
from kls.resume import quoted

log = logging.getLogger("kls")

LAUNCHES = 3  # of a batch whose launcher broke down


class JobKeeper:
    """Has a launcher's ``launch``; ``numbers`` tells the trial numbers of the batch that is under way.

    ``fixed`` are overrides of all jobs. Given to the sweeper, each would be written to its database for each trial.
    """

    def __init__(
        self,
        launcher: Launcher,
        folder: Path,
        numbers: Callable[[], Sequence[int]],
        failures: list[str],
        max_failures: int,
        show_progress: bool,
        fixed: Sequence[str] = (),
    ) -> None:
        self._launcher, self._folder, self._numbers = launcher, folder, numbers
        self._failures, self._max_failures = failures, max_failures
        self._show_progress, self._fixed = show_progress, fixed

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Results of all jobs of the batch, those kept and those run now, in their order."""
        numbers = list(self._numbers())
        if len(numbers) != len(job_overrides):
            raise RuntimeError(f"{len(job_overrides)} jobs for the {len(numbers)} trials under way")
        folders = [self._folder / str(number) for number in numbers]
        with SweepProgress(folders, self._folder.name, self._show_progress):
            for attempt in range(1, LAUNCHES + 1):
                todo = [i for i, folder in enumerate(folders) if not _ended(folder)]
                if todo:
                    self._launch(todo, folders, job_overrides, last=attempt == LAUNCHES)
                self._stop_if_too_many(folders)
        return [_answer(folder) for folder in folders]

    def _launch(
        self, todo: Sequence[int], folders: Sequence[Path], job_overrides: Sequence[Sequence[str]], last: bool
    ) -> None:
        overrides = [[*job_overrides[i], *self._fixed, *_folder_overrides(folders[i])] for i in todo]
        try:
            returns = self._launcher.launch(overrides, initial_job_idx=int(folders[todo[0]].name))
        except Exception as error:
            if isinstance(error, UserError) or last:
                raise
            log.warning("the launcher broke down (%s: %s); launching what is left again", type(error).__name__, error)
            return
        for i, job in zip(todo, returns, strict=True):
            if job.status is not JobStatus.COMPLETED:
                _record_failure(folders[i], job._return_value)

    def _stop_if_too_many(self, folders: Sequence[Path]) -> None:
        for folder in folders:
            line = failure_in(folder)
            if line and line not in self._failures:
                self._failures.append(line)
        if len(self._failures) > self._max_failures:
            shown = "".join(f"\n  {line}" for line in self._failures[:10])
            raise UserError(
                f"{len(self._failures)} jobs failed, more than max_failures={self._max_failures}; "
                f"the logs are in their folders:{shown}"
            )


def failure_in(folder: Path) -> str | None:
    """A line about the failed run in a folder; None where it has not failed."""
    metrics = RunFolder(folder).read_metrics()
    return f"{folder}: {metrics.get(names.MESSAGE)}" if metrics.get(names.STATUS) == names.FAILED else None


def _ended(folder: Path) -> bool:
    """Whether nothing is left to be done: the training has ended, and Hydra has written the last of its records."""
    status = RunFolder(folder).read_metrics().get(names.STATUS)
    last = folder / names.HYDRA_OVERRIDES
    return status == names.FAILED or (status in names.ENDED and last.is_file() and last.stat().st_size > 0)


def _folder_overrides(folder: Path) -> list[str]:
    found = [f"hydra.sweep.subdir='{folder.name}'", "hydra.job_logging.root.handlers=[file]"]
    run = RunFolder(folder)
    if run.has(names.LAST) and run.has(names.CONFIG):
        found.append(f"resume={quoted(folder)}")
    return found


def _record_failure(folder: Path, error: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    message = " ".join(f"{type(error).__name__}: {error}".split())
    log.error("%s: failed: %s", folder, message)
    run = RunFolder(folder)
    run.write_metrics(run.read_metrics() | {names.STATUS: names.FAILED, names.MESSAGE: message})


def _answer(folder: Path) -> JobReturn:
    """What the sweeper gets: the run's value; for a failed one its message, which is no number."""
    metrics = RunFolder(folder).read_metrics()
    job = JobReturn()
    job.status = JobStatus.COMPLETED
    job.return_value = metrics.get(names.VALUE) if metrics.get(names.STATUS) != names.FAILED else "the job failed"
    return job
