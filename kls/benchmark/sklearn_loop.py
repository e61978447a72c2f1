"""scikit-learn's MLPClassifier at the benchmark's task: float32, no batch norm, a constant learning rate.

One call of partial_fit makes one pass over the pictures it is given, in mini-batches and in an order of its
own; its check for numbers that are not finite, which a long fit would make once, is off.
"""

from __future__ import annotations

import numpy as np
import sklearn
from sklearn.neural_network import MLPClassifier

from kls.benchmark.task import BATCH_SIZE, ETA_MAX, N_CLASSES, Task

VERSION = str(sklearn.__version__)


class SklearnLoop:
    """One network; its first weights are its own too."""

    def __init__(self, task: Task) -> None:
        self.x, self.labels = task.x, task.labels
        self.classifier = MLPClassifier(
            task.work.hidden,
            solver="sgd",
            alpha=2.0 * task.lam * BATCH_SIZE,  # it divides by the pictures of a mini-batch
            batch_size=BATCH_SIZE,
            learning_rate_init=ETA_MAX / 10.0,
            momentum=0.0,
            nesterovs_momentum=False,
            random_state=0,
        )

    def advance(self, steps: int) -> None:
        """Train for so many steps, at most as many as an epoch has."""
        n = steps * BATCH_SIZE
        with sklearn.config_context(assume_finite=True):
            self.classifier.partial_fit(self.x[:n], self.labels[:n], classes=np.arange(N_CLASSES))

    def weights(self) -> list[np.ndarray]:
        """One (rows, columns) array a layer."""
        return [np.array(w) for w in self.classifier.coefs_]
