"""The mini-batches of a training run: a fresh permutation each epoch, gathered into one buffer."""

from __future__ import annotations

import numpy as np

from kls.core.augmentation import Augmenter
from kls.core.streams import stream


class Batches:
    """Mini-batches of standardised pictures x (N, d) and target distributions q (N, C).

    Pictures may be augmented, and then projected on axes (d, k). Each epoch runs through a permutation
    drawn from (order_seed, epoch) alone, so any step's mini-batch can be had without the ones before
    it. N modulo batch_size pictures sit out an epoch.
    """

    def __init__(
        self,
        x: np.ndarray,
        q: np.ndarray,
        batch_size: int,
        order_seed: int,
        augmenter: Augmenter | None = None,
        axes: np.ndarray | None = None,
    ) -> None:
        self.x, self.q = x, q
        self._targets = np.ascontiguousarray(q.T)  # whose columns are gathered: the softmax wants pictures last
        self.batch_size, self.order_seed, self.augmenter, self.axes = batch_size, order_seed, augmenter, axes
        self.steps_per_epoch = len(x) // batch_size
        self._epoch = -1
        self._x = np.empty((batch_size, x.shape[1]), x.dtype)
        self._augmented = np.empty_like(self._x)
        self._projected = None if axes is None else np.empty((batch_size, axes.shape[1]), x.dtype)
        self._q = np.empty((q.shape[1], batch_size), q.dtype)

    def get(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """The mini-batch of update step 0, 1, ...: x (B, d or k) and q (B, C), valid until the next call."""
        epoch, position = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._start_epoch(epoch)
        rows = slice(position * self.batch_size, (position + 1) * self.batch_size)
        np.take(self.x, self._order[rows], axis=0, out=self._x, mode="clip")
        np.take(self._targets, self._order[rows], axis=1, out=self._q, mode="clip")
        x = self._x
        if self.augmenter is not None:
            self.augmenter.apply(x, self._choices[rows], self._augmented)
            x = self._augmented
        if self.axes is not None:
            x = np.matmul(x, self.axes, out=self._projected)
        return x, self._q.T

    def _start_epoch(self, epoch: int) -> None:
        self._epoch = epoch
        self._order = stream(self.order_seed, "order", epoch).permutation(len(self.x))
        if self.augmenter is not None:
            rng = stream(self.order_seed, "augmentation", epoch)
            self._choices = self.augmenter.augmentation.draw(rng, len(self.x))
