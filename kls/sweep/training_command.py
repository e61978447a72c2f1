"""What a command line of settings asks for: a run, a sweep, or to go on with one."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from kls.config.hydra_entry import run_hydra
from kls.config.resume import folder_to_resume, is_multirun, settings_of_run, sweep_arguments
from kls.config.storage_setting import taken
from kls.data.dataset import default_root
from kls.records import names
from kls.sweep.job import LOG_LINE, finish, job_of, task, train_alone
from kls.training.stop_signal import stop_on_signals

log = logging.getLogger("kls")


def run_training(arguments: Sequence[str], doc: str = "") -> Path | None:
    """Do it, and give the folder of the run or sweep; None where nothing was run.

    doc: what --help begins with. Raises UserError for every mistake, Stopped after a signal.
    """
    multirun = is_multirun(arguments)
    with taken(arguments, multirun) as arguments, stop_on_signals():
        folder = folder_to_resume(arguments)
        if folder is None:
            return run_hydra(task, "train", arguments, doc)
        if multirun:
            return run_hydra(task, "train", sweep_arguments(folder, arguments, default_root()), doc)
        _go_on(folder, arguments)
        return folder


def _go_on(folder: Path, arguments: Sequence[str]) -> None:
    """Train a run to its end whose folder has its settings; where it has ended, tell what came of it."""
    console = logging.StreamHandler(sys.stdout)
    console.setFormatter(logging.Formatter("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[console], force=True)
    settings = settings_of_run(folder, arguments, default_root())
    job = job_of(settings, folder)
    if job is None and (not settings.plots or (folder / names.CURVES).is_file()):
        log.info("%s: has ended already", folder)
        log.info(finish(settings.model_copy(update={"plots": False}), folder)[1])
        return
    file = logging.FileHandler(folder / names.LOG)
    file.setFormatter(LOG_LINE)
    logging.getLogger().addHandler(file)
    if job is not None:
        train_alone(job, 0.0)
    log.info(finish(settings, folder)[1])
