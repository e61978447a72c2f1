"""Draws the pictures of a finished run from its files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kls.data.dataset import IMAGE_SHAPE
from kls.plots.curves import plot_curves
from kls.plots.weights import plot_weights
from kls.records import names
from kls.records.run_folder import RunFolder
from kls.settings import validate
from kls.summary import network_name


def draw(folder: Path) -> None:
    """Write curves.png, and weights.png where the network has inputs of a picture's shape."""
    run = RunFolder(folder)
    rows = run.read_history()
    metrics, config = run.read_metrics(), run.read_config()
    settings = validate(config)
    title = f"{network_name(settings)} on {metrics['data']}, lam {settings.lam:.4g}"
    if rows:
        history = {column: np.array([row[column] for row in rows]) for column in names.HISTORY_COLUMNS}
        plot_curves(history, folder / names.CURVES, title)
    if run.has(names.LAST):
        first = run.read_checkpoint(names.LAST)["W1"]
        if len(first) == np.prod(IMAGE_SHAPE):
            plot_weights(first, IMAGE_SHAPE, folder / names.WEIGHTS, f"First-layer weights: {title}")
