"""Train a network, or with --multirun a sweep of networks.

    python -m kls.train                                    3-layer batch-norm net, embedded data
    python -m kls.train model=9layer_bn data=cifar10       another network, the real pictures
    python -m kls.train resume=outputs/...                 go on with a run that was stopped
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from kls.cli import reporting, run_hydra
from kls.errors import UserError
from kls.flat_settings import differences
from kls.records import names
from kls.records.run_folder import RunFolder
from kls.resume import resume_arguments
from kls.settings import Settings
from kls.validation import validate

if TYPE_CHECKING:
    from kls.training import Job

log = logging.getLogger("kls")


def task(config: DictConfig) -> float:
    """Train what a composed configuration describes and return its validation accuracy."""
    settings, folder = settings_of(config), Path(HydraConfig.get().runtime.output_dir)
    job = job_of(settings, folder)
    if job is not None:
        from kls.progress import Progress
        from kls.training import train

        try:
            with Progress(settings.progress) as progress:
                train([job], progress.update)
        except KeyboardInterrupt:
            log.warning("stopped; to go on: python -m kls.train resume=%s", folder)
            raise
    return finish(settings, folder)


def settings_of(config: DictConfig) -> Settings:
    """The validated settings of a composed configuration. Raises UserError."""
    container = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(container, dict)
    return validate({str(key): value for key, value in container.items()})


def job_of(settings: Settings, folder: Path) -> Job | None:
    """The training that is to be done in ``folder``; None where resume finds it done.

    Raises UserError where resume finds a run with other settings.
    """
    from kls.training import Job

    run = RunFolder(folder)
    if settings.resume is None:
        return Job(settings, folder)
    changed = differences(run.read_config(), settings.model_dump())
    if changed:
        raise UserError(f"{folder}: a run goes on with the settings it began with; changed: {'; '.join(changed)}")
    if run.read_metrics().get(names.STATUS) in (names.FINISHED, names.DIVERGED, names.PRUNED):
        log.info("%s: has ended already", folder)
        return None
    return Job(settings, folder, resume=run.has(names.LAST))


def finish(settings: Settings, folder: Path) -> float:
    """Draw the pictures of a trained run, log its summary and give its validation accuracy."""
    from kls.summary import summary

    if settings.plots:
        from kls.pictures_of_run import draw

        draw(folder)
    metrics = RunFolder(folder).read_metrics()
    log.info(summary(settings, metrics, folder))
    return float(metrics[names.VALUE])


def run() -> None:
    """The work of the console script, with exceptions."""
    run_hydra(task, "train", resume_arguments(sys.argv[1:]))


def main() -> None:
    """Console script ``kls-train``."""
    reporting(run)


if __name__ == "__main__":
    from kls.train import main as importable_main  # so that worker processes can import the task

    importable_main()
