"""Has a launcher run the jobs of a stage: keeps finished ones, goes on with cut ones, and outlives failures.

Each job has the folder <stage>/<number>. A finished one is not launched again; one that raises is recorded as failed
with its message, and the sweep goes on until more than ``max_failures`` have failed. A sweep that is gone on with tries
failed jobs again. What is no job's own fault, such as a full disk, stops the sweep. Where a launcher loses its whole
batch, as joblib does when a worker is killed, the rest is launched again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.utils import JobStatus
from hydra.plugins.launcher import Launcher

from kls.config.flat_settings import EXECUTION
from kls.config.resume import unquoted
from kls.errors import DamageError, UserError
from kls.records import checked, names
from kls.records.folders import refuse_links
from kls.records.run_folder import RunFolder
from kls.sweep.job_configs import SUBFOLDER
from kls.sweep.sweep_progress import SweepProgress

log = logging.getLogger("kls")

LAUNCHES = 3  # of a batch whose launcher broke down


class JobKeeper:
    """Runs the jobs of one stage by a launcher. ``fixed`` are overrides of all jobs."""

    def __init__(
        self,
        launcher: Launcher,
        folder: Path,
        failures: list[str],
        max_failures: int,
        show_progress: bool,
        fixed: Sequence[str] = (),
    ) -> None:
        self._launcher, self._folder = launcher, folder
        self._failures, self._max_failures = failures, max_failures
        self._show_progress, self._fixed = show_progress, fixed
        self._failed: set[Path] = set()  # by this process

    def run(self, jobs: Mapping[int, Sequence[str]]) -> None:
        """Have all jobs of a batch end, those of them that have not yet; overrides by number."""
        folders = {number: self._folder / str(number) for number in jobs}
        for folder in folders.values():
            refuse_links(folder)
        try:
            with SweepProgress(list(folders.values()), self._folder.name, self._show_progress):
                for attempt in range(1, LAUNCHES + 1):
                    todo = [n for n, folder in folders.items() if folder not in self._failed and not _ended(folder)]
                    if todo:
                        self._launch({n: jobs[n] for n in todo}, last=attempt == LAUNCHES)
                    self._stop_if_too_many()
        except KeyboardInterrupt:
            for folder in folders.values():
                _mark_as_interrupted(folder)
            raise

    def _launch(self, jobs: Mapping[int, Sequence[str]], last: bool) -> None:
        overrides = [[*given, *self._fixed, *_folder_overrides(number)] for number, given in jobs.items()]
        try:
            returns = self._launcher.launch(overrides, initial_job_idx=next(iter(jobs)))
        except (UserError, OSError, MemoryError):
            raise
        except Exception as error:
            said = f"the launcher broke down ({type(error).__name__}: {error})"
            if last:
                raise UserError(f"{said}, {LAUNCHES} times") from error
            log.warning("%s; launching what is left again", said)
            return
        for number, job in zip(jobs, returns, strict=True):
            if job.status is JobStatus.FAILED:
                fault = job._return_value
                if isinstance(fault, OSError | MemoryError):
                    raise fault
                self._record_failure(self._folder / str(number), fault, jobs[number])

    def _record_failure(self, folder: Path, error: Any, overrides: Sequence[str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        message = " ".join(f"{type(error).__name__}: {error}".split())
        log.error("%s: failed: %s", folder, message)
        self._failed.add(folder)
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


def _ended(folder: Path) -> bool:
    """Whether nothing is left to be done: the training has ended, and Hydra has written the last of its records."""
    last = folder / names.HYDRA_OVERRIDES
    return RunFolder(folder).ended and last.is_file() and last.stat().st_size > 0


def _folder_overrides(number: int) -> list[str]:
    return [f"{SUBFOLDER}='{number}'", "hydra.job_logging.root.handlers=[file]"]


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
