"""The task that every contender is given: the same numbers, first weights, mini-batches and learning rates."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from kls.benchmark.cases import Work
from kls.config.schedules import CyclicSettings
from kls.core.architecture import Architecture
from kls.core.initialisation import initial_weights
from kls.core.streams import stream

BATCH_SIZE = 100
N_PICTURES = 45_000
STEPS_PER_EPOCH = N_PICTURES // BATCH_SIZE
N_CLASSES = 10
LAM = 0.005
ETA_MIN, ETA_MAX = 1e-5, 1e-1
BN_MOMENTUM = 0.9
BN_EPSILON = 1e-12
ORDER_SEED = 0


def made_up(n: int, n_inputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Standardised random inputs (n, n_inputs) float32, and labels (n,) that a linear map of them gives."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, n_inputs), dtype=np.float32)
    labels = np.argmax(x @ rng.standard_normal((n_inputs, N_CLASSES), dtype=np.float32), axis=1)
    return x, labels


@dataclass
class Task:
    """x (n, n_inputs) float32, labels (n,); SGD with L2 and one cycle of the learning rate over ``total_steps``."""

    work: Work
    x: np.ndarray
    labels: np.ndarray
    total_steps: int
    lam: float = LAM
    _orders: dict[int, np.ndarray] = field(default_factory=dict)

    @property
    def architecture(self) -> Architecture:
        """Of one member."""
        work = self.work
        bn = "before" if work.bn else None
        return Architecture(work.n_inputs, work.hidden, N_CLASSES, work.n_inputs, bn, BN_EPSILON)

    @cached_property
    def rates(self) -> np.ndarray:
        """Learning rate of every step, (total_steps,) float64."""
        return CyclicSettings(
            kind="cyclic",
            eta_min=ETA_MIN,
            eta_max=ETA_MAX,
            n_s=max(1, self.total_steps // 2),
            eta_max_factor=1.0,
            cycles=1,
            epochs=None,
            steps=None,
        ).rates(np.arange(self.total_steps))

    def weights(self, member: int = 0) -> list[np.ndarray]:
        """The first weights of a member: one (rows, columns) float32 array a layer."""
        a = self.architecture
        drawn = initial_weights(stream(member, "init"), a.fans, a.widths, self.work.scheme, None)
        return [w.astype(np.float32) for w in drawn]

    def rows(self, start: int, steps: int) -> np.ndarray:
        """Which pictures are in the mini-batches of ``steps`` steps from ``start``: (steps, BATCH_SIZE)."""
        an_epoch = len(self.x) // BATCH_SIZE
        found = np.empty((steps, BATCH_SIZE), np.int64)
        for i in range(steps):
            epoch, place = divmod(start + i, an_epoch)
            found[i] = self._order(epoch)[place * BATCH_SIZE : (place + 1) * BATCH_SIZE]
        return found

    def _order(self, epoch: int) -> np.ndarray:
        if epoch not in self._orders:
            self._orders = {epoch: stream(ORDER_SEED, "order", epoch).permutation(len(self.x))}
        return self._orders[epoch]
