"""Scores of a loaded network: every split, every class of the test set, confusion matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from kls import build
from kls.core.evaluation import evaluate, predict
from kls.core.network import Network
from kls.data.dataset import DataSet
from kls.records import names
from kls.settings import Settings


def score_splits(network: Network, settings: Settings, data: DataSet) -> tuple[dict[str, Any], np.ndarray]:
    """A report to be written as JSON, and the test set's confusion matrix (C, C), rows the true classes."""
    splits = {"train": data.train, "val": data.val, "test": build.test_split(settings, data)}
    report: dict[str, Any] = {"data": data.name, "data_fingerprint": data.fingerprint, "splits": {}}
    lam = np.array([settings.lam])
    for name, split in splits.items():
        scores = evaluate(network, split.x, split.y, lam)
        report["splits"][name] = {"pictures": len(split.x)} | {
            q: float(getattr(scores, q)[0]) for q in names.QUANTITIES
        }
    test = splits["test"]
    matrix = confusion(test.y, predict(network, test.x)[:, 0], len(data.class_names))
    pictures = matrix.sum(axis=1)
    report["class_accuracy"] = {
        name: float(matrix[c, c] / pictures[c]) if pictures[c] else None for c, name in enumerate(data.class_names)
    }
    report["confusion"] = matrix.tolist()
    return report, matrix


def confusion(labels: np.ndarray, predicted: np.ndarray, n_classes: int) -> np.ndarray:
    """Counts (C, C): row the true class, column the predicted one."""
    return np.bincount(labels * n_classes + predicted, minlength=n_classes**2).reshape(n_classes, n_classes)
