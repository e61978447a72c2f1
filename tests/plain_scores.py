"""Scores of a checkpoint, worked out from its arrays and the raw data set, without the code that trained it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from entry_points import Array, arrays_of, config_of
from helpers import plain_forward

from kls.core.architecture import Architecture
from kls.data.dataset import DataSet
from kls.data.load import load_dataset
from kls.data.source import Request
from kls.data.standardise import Sizes
from kls.records import names


@dataclass(frozen=True)
class PlainScores:
    loss: float
    cost: float
    accuracy: float
    predicted: Array


def small_data(root: Path) -> DataSet:
    """The data set of the settings SMALL, in float64."""
    return load_dataset(
        "cifar10",
        Request(root),
        Sizes(600, 200, 200),
        split_seed=0,
        dtype=np.float64,
    )


def plain_architecture(folder: Path) -> Architecture:
    """What a run's config.yaml says of the network, as far as a forward pass needs it."""
    model = config_of(folder)["model"]
    bn = model["bn"]["placement"] if model["bn"]["enabled"] else None
    return Architecture(3072, tuple(model["hidden"]), 10, 3072, bn=bn, bn_epsilon=model["bn"]["epsilon"])


def plain_state(folder: Path, checkpoint: str = names.LAST) -> dict[str, Array]:
    """The parameters and kept statistics of a checkpoint, in float64."""
    arrays = arrays_of(folder, checkpoint)
    return {name: value.astype(np.float64) for name, value in arrays.items() if value.dtype.kind == "f"}


def plain_scores(
    folder: Path,
    x: Array,
    y: Array,
    checkpoint: str = names.LAST,
    kept: bool = True,
    state: dict[str, Array] | None = None,
) -> PlainScores:
    """Scores on x (n, 3072) and y (n,); with kept=False batch norm uses the statistics of x itself.

    state: float64 arrays to take in place of the checkpoint's.
    """
    state = state or plain_state(folder, checkpoint)
    logits, _ = plain_forward(plain_architecture(folder), state, x, kept=kept)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    loss = -log_p[np.arange(len(y)), y].mean()
    squares = sum((value**2).sum() for name, value in state.items() if name.startswith("W"))
    predicted = logits.argmax(axis=1)
    return PlainScores(loss, loss + config_of(folder)["lam"] * squares, (predicted == y).mean(), predicted)
