"""Which mean and variance batch norm uses at evaluation, kept up while training.

ema       Running average (Ioffe & Szegedy 2015, section 3.1): r <- alpha r + (1 - alpha) batch value,
          started at the first mini-batch's value. alpha is the member's momentum.
precise   The true mean and variance over the last N mini-batches, renewed every N mini-batches
          (Wu & Johnson 2021, section 3): mean of the batch means; mean of the batch variances plus the
          variance of the batch means.
adaptive  Those of the evaluated set itself; nothing is kept.

Variances are the biased ones (divided by the number of pictures), as in training.
"""

from __future__ import annotations

import numpy as np

KINDS = ("ema", "precise", "adaptive")


class RunningAverage:
    """``ema``: exponential moving averages; moments (2, K, m) hold the mean and the variance."""

    def __init__(self, shape: tuple[int, int], momentum: np.ndarray, dtype: np.dtype) -> None:
        self.moments = np.stack([np.zeros(shape, dtype), np.ones(shape, dtype)])
        self.keep_share = momentum.astype(dtype)[:, None]
        self.new_share = (1.0 - momentum).astype(dtype)[:, None]
        self.started = False
        self._scratch = np.empty_like(self.moments)

    def update(self, moments: np.ndarray) -> None:
        """Take in the mean and variance of a mini-batch, (2, K, m)."""
        if not self.started:
            self.moments[...] = moments
            self.started = True
            return
        np.multiply(moments, self.new_share, out=self._scratch)
        self.moments *= self.keep_share
        self.moments += self._scratch

    def keep(self, members: np.ndarray) -> None:
        self.moments = self.moments[:, members]
        self.keep_share, self.new_share = self.keep_share[members], self.new_share[members]
        self._scratch = np.empty_like(self.moments)

    def state(self, k: int) -> dict[str, np.ndarray]:
        mean, variance = self.moments[:, k]
        return {"mean": mean, "variance": variance, "started": np.array(self.started)}

    def load_state(self, k: int, state: dict[str, np.ndarray]) -> None:
        self.moments[:, k] = state["mean"], state["variance"]
        self.started = bool(state["started"])


class RecentAverage:
    """``precise``: true mean and variance over windows of ``window`` mini-batches."""

    def __init__(self, shape: tuple[int, int], window: int, dtype: np.dtype) -> None:
        self.moments = np.stack([np.zeros(shape, dtype), np.ones(shape, dtype)])
        self.recent = np.zeros((2, shape[0], window, shape[1]), dtype)
        self.filled = 0
        self.renewed = False

    def update(self, moments: np.ndarray) -> None:
        """Take in the mean and variance of a mini-batch, (2, K, m)."""
        self.recent[:, :, self.filled] = moments
        self.filled += 1
        window = self.recent.shape[2]
        if self.filled == window or not self.renewed:
            means = self.recent[0, :, : self.filled]
            self.moments = self.recent[:, :, : self.filled].mean(axis=2)
            self.moments[1] += means.var(axis=1)
        if self.filled == window:
            self.filled, self.renewed = 0, True

    def keep(self, members: np.ndarray) -> None:
        self.moments, self.recent = self.moments[:, members], self.recent[:, members]

    def state(self, k: int) -> dict[str, np.ndarray]:
        mean, variance = self.moments[:, k]
        means, variances = self.recent[:, k]
        return {
            "mean": mean,
            "variance": variance,
            "means": means,
            "variances": variances,
            "filled": np.array(self.filled),
            "renewed": np.array(self.renewed),
        }

    def load_state(self, k: int, state: dict[str, np.ndarray]) -> None:
        self.moments[:, k] = state["mean"], state["variance"]
        self.recent[:, k] = state["means"], state["variances"]
        self.filled, self.renewed = int(state["filled"]), bool(state["renewed"])
