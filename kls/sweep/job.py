"""A job of Hydra's: from a composed configuration to a trained run, its pictures and its summary."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from kls.config.flat_settings import differences
from kls.config.limits import require_runs, require_training
from kls.config.model_name import model_name, network_name
from kls.config.settings import Settings
from kls.config.validation import validate
from kls.errors import UserError
from kls.records import names
from kls.records.run_folder import RunFolder
from kls.training.progress import Progress
from kls.training.session import ORPHAN_SECONDS, Job, train
from kls.training.summary import summary

log = logging.getLogger("kls")

LOG_LINE = logging.Formatter("[%(asctime)s][%(levelname)s] %(message)s")  # of a run's log, as in conf/train.yaml


def task(config: DictConfig) -> float:
    """Train what a composed configuration describes and return its validation accuracy."""
    settings, hydra = settings_of(config), HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    job = job_of(settings, folder, name_of_model(settings, hydra))
    if job is not None:
        alone = OmegaConf.is_missing(hydra.job, "num")
        train_alone(job, 0.0 if alone else ORPHAN_SECONDS)
    score, text = finish(settings, folder)
    log.info(text)
    return score


def settings_of(config: DictConfig) -> Settings:
    """The validated settings of a composed configuration. Raises UserError."""
    container = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(container, dict)
    return validate({str(key): value for key, value in container.items()})


def name_of_model(settings: Settings, hydra: Any) -> str:
    """What tables call the network; ``hydra``: the node of a composed configuration that says what was chosen."""
    own = [Path(source.path) for source in hydra.runtime.config_sources if source.provider == "command-line"]
    return model_name(settings, hydra.runtime.choices.get("model"), own[0] if own else None)


def job_of(settings: Settings, folder: Path, model: str | None = None) -> Job | None:
    """The training that is to be done in ``folder``; None where it is done already.

    model: what tables call the network (see `Job`). Raises UserError where the folder has a run with other settings.
    """
    run = RunFolder(folder)
    ended = run.ended
    if run.has(names.CONFIG):
        changed = differences(run.read_config(), settings.model_dump())
        if changed:
            raise UserError(f"{folder}: a run goes on with the settings it began with; changed: {'; '.join(changed)}")
    return None if ended else Job(settings, folder, model)


def finish(settings: Settings, folder: Path) -> tuple[float, str]:
    """Draw the pictures of a trained run; gives its validation accuracy, and its summary in lines of text."""
    if settings.plots:
        draw(folder)
    metrics = RunFolder(folder).read_metrics()
    return float(metrics[names.VAL_ACCURACY]), summary(settings, metrics, folder)


def draw(folder: Path) -> None:
    """Write curves.png, and weights.png where the network's inputs are pixels that can be shown."""
    from kls.plots.learning_curves import plot_run_curves
    from kls.plots.weights import CHANNELS, plot_weights

    run = RunFolder(folder)
    rows = run.read_history()
    metrics, config = run.read_metrics(), run.read_config()
    settings = validate(config)
    title = f"{network_name(settings)} on {metrics['data']}, lam {settings.lam:.4g}"
    if rows:
        history = {column: np.array([row[column] for row in rows]) for column in names.HISTORY_COLUMNS}
        plot_run_curves(history, folder / names.CURVES, title)
    shape = _shape(metrics.get(names.IMAGE_SHAPE)) or settings.data.known.shape
    if run.has(names.LAST) and settings.data.projection is None and shape and shape[0] in CHANNELS:
        first = run.read_checkpoint(names.LAST)["W1"]
        if len(first) == math.prod(shape):
            plot_weights(first, shape, folder / names.WEIGHTS, f"First-layer weights: {title}")


def _shape(recorded: Any) -> tuple[int, int, int] | None:
    """Channels, rows and columns of pictures as a run's metrics have them, if they have."""
    match recorded:
        case [int(channels), int(rows), int(columns)] if min(channels, rows, columns) > 0:
            return channels, rows, columns
    return None


def train_alone(job: Job, patience: float) -> None:
    """Train one job in this process. patience: seconds that a folder's former process has to leave it.

    Raises UserError if memory or disk do not suffice.
    """
    require_training(job.settings)
    require_runs(job.folder, [(job.settings, 1)])
    try:
        with Progress(job.settings.progress) as progress:
            train([job], progress.update, patience)
    except KeyboardInterrupt:
        log.warning("stopped; to go on: python -m kls.train resume=%s", job.folder)
        raise
