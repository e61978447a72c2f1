"""Train a network, or with --multirun a sweep of networks.

    python -m kls.train                                    3-layer batch-norm net, embedded data
    python -m kls.train model=9layer_bn data=cifar10       another network, the real pictures
    python -m kls.train resume=outputs/...                 go on with a run that was stopped
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from kls.config.entry_point import reporting
from kls.config.hydra_entry import run_hydra
from kls.config.resume import folder_to_resume, is_multirun, settings_of_run, sweep_arguments
from kls.data.dataset import default_root
from kls.records import names
from kls.sweep.job import finish, job_of, task, train_alone
from kls.training.stop_signal import stop_on_signals

log = logging.getLogger("kls")


def go_on(folder: Path, arguments: Sequence[str]) -> None:
    """Train a run to its end whose folder has its settings; where it has ended, tell what came of it."""
    console = logging.StreamHandler(sys.stdout)
    console.setFormatter(logging.Formatter("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[console], force=True)
    settings = settings_of_run(folder, arguments, default_root())
    job = job_of(settings, folder)
    if job is None and (not settings.plots or (folder / names.CURVES).is_file()):
        log.info("%s: has ended already", folder)
        finish(settings.model_copy(update={"plots": False}), folder)
        return
    file = logging.FileHandler(folder / names.LOG)
    file.setFormatter(logging.Formatter("[%(asctime)s][%(levelname)s] %(message)s"))
    logging.getLogger().addHandler(file)
    if job is not None:
        train_alone(job, 0.0)
    finish(settings, folder)


def run() -> None:
    """The work of the console script, with exceptions."""
    arguments = sys.argv[1:]
    folder = folder_to_resume(arguments)
    with stop_on_signals():
        if folder is None:
            run_hydra(task, "train", arguments, __doc__ or "")
        elif is_multirun(arguments):
            run_hydra(task, "train", sweep_arguments(folder, arguments, default_root()), __doc__ or "")
        else:
            go_on(folder, arguments)


def main() -> None:
    """Console script ``kls-train``."""
    reporting(run)


if __name__ == "__main__":
    main()
