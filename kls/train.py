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
from typing import TYPE_CHECKING

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from kls.config.entry_point import reporting
from kls.config.flat_settings import differences
from kls.config.hydra_entry import run_hydra
from kls.config.resume import folder_to_resume, is_multirun, settings_of_run, sweep_arguments
from kls.config.settings import Settings
from kls.config.validation import validate
from kls.data.dataset import default_root
from kls.errors import UserError
from kls.records import names
from kls.records.run_folder import RunFolder
from kls.training.stop_signal import stop_on_signals

if TYPE_CHECKING:
    from kls.training.session import Job

log = logging.getLogger("kls")


def task(config: DictConfig) -> float:
    """Train what a composed configuration describes and return its validation accuracy."""
    settings, folder = settings_of(config), Path(HydraConfig.get().runtime.output_dir)
    job = job_of(settings, folder)
    if job is not None:
        from kls.training.session import ORPHAN_SECONDS

        alone = OmegaConf.is_missing(HydraConfig.get().job, "num")
        _train(job, 0.0 if alone else ORPHAN_SECONDS)
    return finish(settings, folder)


def settings_of(config: DictConfig) -> Settings:
    """The validated settings of a composed configuration. Raises UserError."""
    container = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(container, dict)
    return validate({str(key): value for key, value in container.items()})


def job_of(settings: Settings, folder: Path) -> Job | None:
    """The training that is to be done in ``folder``; None where it is done already.

    Raises UserError where the folder has a run with other settings.
    """
    from kls.training.session import Job

    run = RunFolder(folder)
    ended = run.ended
    if run.has(names.CONFIG):
        changed = differences(run.read_config(), settings.model_dump())
        if changed:
            raise UserError(f"{folder}: a run goes on with the settings it began with; changed: {'; '.join(changed)}")
    return None if ended else Job(settings, folder)


def finish(settings: Settings, folder: Path) -> float:
    """Draw the pictures of a trained run, log its summary and give its validation accuracy."""
    from kls.training.summary import summary

    if settings.plots:
        draw(folder)
    metrics = RunFolder(folder).read_metrics()
    log.info(summary(settings, metrics, folder))
    return float(metrics[names.VAL_ACCURACY])


def draw(folder: Path) -> None:
    """Write curves.png, and weights.png where the network's inputs are pixels."""
    import numpy as np

    from kls.config.model_name import network_name
    from kls.data.dataset import IMAGE_SHAPE
    from kls.plots.curves import plot_curves
    from kls.plots.weights import plot_weights

    run = RunFolder(folder)
    rows = run.read_history()
    metrics, config = run.read_metrics(), run.read_config()
    settings = validate(config)
    title = f"{network_name(settings)} on {metrics['data']}, lam {settings.lam:.4g}"
    if rows:
        history = {column: np.array([row[column] for row in rows]) for column in names.HISTORY_COLUMNS}
        plot_curves(history, folder / names.CURVES, title)
    if run.has(names.LAST) and settings.data.projection is None:
        first = run.read_checkpoint(names.LAST)["W1"]
        plot_weights(first, IMAGE_SHAPE, folder / names.WEIGHTS, f"First-layer weights: {title}")


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
        _train(job, 0.0)
    finish(settings, folder)


def _train(job: Job, patience: float) -> None:
    from kls.config.limits import require_runs, require_training
    from kls.training.progress import Progress
    from kls.training.session import train

    require_training(job.settings)
    require_runs(job.folder, [(job.settings, 1)])
    try:
        with Progress(job.settings.progress) as progress:
            train([job], progress.update, patience)
    except KeyboardInterrupt:
        log.warning("stopped; to go on: python -m kls.train resume=%s", job.folder)
        raise


def run() -> None:
    """The work of the console script, with exceptions."""
    arguments = sys.argv[1:]
    folder = folder_to_resume(arguments)
    with stop_on_signals():
        if folder is None:
            run_hydra(task, "train", arguments)
        elif is_multirun(arguments):
            run_hydra(task, "train", sweep_arguments(folder, arguments, default_root()))
        else:
            go_on(folder, arguments)


def main() -> None:
    """Console script ``kls-train``."""
    reporting(run)


if __name__ == "__main__":
    from kls.train import main as importable_main  # so that worker processes can import the task

    importable_main()
