"""Stands between a sweeper and a launcher: keeps finished jobs, goes on with cut ones, and outlives failures.

Each trial has the folder <stage>/<trial number>. A finished one is not launched again but answered from its record; a
job that raises is recorded as failed with its message, and the sweep goes on until more than ``max_failures`` have
failed. A sweep that is gone on with tries failed jobs again. What is no job's own fault, such as a full disk, stops the
sweep. Where a launcher loses its whole batch, as joblib does when a worker is killed, the rest is launched again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher

from kls.config.flat_settings import EXECUTION
from kls.config.resume import unquoted
from kls.errors import DamageError, UserError
from kls.records import checked, names
from kls.records.folders import refuse_links
from kls.records.run_folder import RunFolder
from kls.sweep.sweep_progress import SweepProgress

log = logging.getLogger("kls")

LAUNCHES = 3  # of a batch whose launcher broke down


class JobKeeper:
    """Has a launcher's ``launch``; ``numbers`` gives the trial numbers of the batch that is under way.

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
        before_launch: Callable[[], None] = lambda: None,
    ) -> None:
        self._launcher, self._folder, self._numbers = launcher, folder, numbers
        self._failures, self._max_failures = failures, max_failures
        self._show_progress, self._fixed, self._before_launch = show_progress, fixed, before_launch
        self._failed: dict[Path, str] = {}  # messages of this process's own failures

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Results of all jobs of the batch, those kept and those run now, in their order."""
        numbers = list(self._numbers())
        if len(numbers) != len(job_overrides):
            raise RuntimeError(f"{len(job_overrides)} jobs for the {len(numbers)} trials under way")
        folders = [self._folder / str(number) for number in numbers]
        for folder in folders:
            refuse_links(folder)
        self._before_launch()
        try:
            with SweepProgress(folders, self._folder.name, self._show_progress):
                for attempt in range(1, LAUNCHES + 1):
                    todo = [i for i, folder in enumerate(folders) if folder not in self._failed and not _ended(folder)]
                    if todo:
                        self._launch(todo, folders, job_overrides, last=attempt == LAUNCHES)
                    self._stop_if_too_many()
        except KeyboardInterrupt:
            for folder in folders:
                _mark_as_interrupted(folder)
            raise
        return [self._answer(folder) for folder in folders]

    def _launch(
        self, todo: Sequence[int], folders: Sequence[Path], job_overrides: Sequence[Sequence[str]], last: bool
    ) -> None:
        overrides = [[*job_overrides[i], *self._fixed, *_folder_overrides(folders[i])] for i in todo]
        try:
            returns = self._launcher.launch(overrides, initial_job_idx=int(folders[todo[0]].name))
        except (UserError, OSError, MemoryError):
            raise
        except Exception as error:
            said = f"the launcher broke down ({type(error).__name__}: {error})"
            if last:
                raise UserError(f"{said}, {LAUNCHES} times") from error
            log.warning("%s; launching what is left again", said)
            return
        for i, job in zip(todo, returns, strict=True):
            if job.status is not JobStatus.COMPLETED:
                fault = job._return_value
                if isinstance(fault, OSError | MemoryError):
                    raise fault
                self._record_failure(folders[i], fault, job_overrides[i])

    def _record_failure(self, folder: Path, error: Any, overrides: Sequence[str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        message = " ".join(f"{type(error).__name__}: {error}".split())
        log.error("%s: failed: %s", folder, message)
        self._failed[folder] = message
        self._failures.append(f"{folder}: {message}")
        failure = {"schema": names.SCHEMA, names.STATUS: names.FAILED, names.MESSAGE: message}
        RunFolder(folder).write_metrics(_asked_for(overrides) | _metrics(folder) | failure)

    def _stop_if_too_many(self) -> None:
        if len(self._failures) > self._max_failures:
            shown = "".join(f"\n  {line}" for line in self._failures[:10])
            raise UserError(
                f"{len(self._failures)} jobs failed, more than max_failures={self._max_failures}; "
                f"the logs are in their folders:{shown}"
            )

    def _answer(self, folder: Path) -> JobReturn:
        """What the sweeper gets: the run's value; for a failed one its message, which is no number."""
        job = JobReturn()
        job.status = JobStatus.COMPLETED
        job.return_value = "the job failed" if folder in self._failed else _metrics(folder).get(names.VAL_ACCURACY)
        return job


def _ended(folder: Path) -> bool:
    """Whether nothing is left to be done: the training has ended, and Hydra has written the last of its records."""
    last = folder / names.HYDRA_OVERRIDES
    return RunFolder(folder).ended and last.is_file() and last.stat().st_size > 0


def _folder_overrides(folder: Path) -> list[str]:
    return [f"hydra.sweep.subdir='{folder.name}'", "hydra.job_logging.root.handlers=[file]"]


def _asked_for(overrides: Sequence[str]) -> dict[str, Any]:
    """Model and settings, as far as a job's overrides give them, for a run that failed before it had settings."""
    pairs = (override.lstrip("+").split("=", 1) for override in overrides if "=" in override)
    settings = {key: checked.parse_yaml(key, unquoted(text)) for key, text in pairs if key not in EXECUTION}
    return {"model": settings.pop("model", None), "settings": settings}


def _mark_as_interrupted(folder: Path) -> None:
    """What the process of a run that is under way would have said of it, had it not been killed."""
    metrics = _metrics(folder)
    if metrics.get(names.STATUS) == names.RUNNING:
        with suppress(OSError):
            RunFolder(folder).write_metrics(metrics | {names.STATUS: names.INTERRUPTED})


def _metrics(folder: Path) -> dict[str, Any]:
    try:
        return RunFolder(folder).read_metrics()
    except DamageError:
        return {}
