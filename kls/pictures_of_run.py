"""Draws the pictures of a finished run from its files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kls.data.dataset import IMAGE_SHAPE
from kls.plots.curves import plot_curves
from kls.plots.weights import plot_weights
from kls.records import names
from kls.records.run_folder import RunFolder
from kls.summary import network_name
from kls.validation import validate


def draw(folder: Path) -> None:
    """Write curves.png, and weights.png where the network's inputs are pixels."""
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
