"""Batch normalisation with learned scale and shift (Ioffe & Szegedy 2015, algorithm 1), a population at once.

Training, over the B pictures of a mini-batch, each unit and member for itself:

    mean = (1/B) sum z          variance = (1/B) sum (z - mean)**2          s = sqrt(variance + epsilon)
    y = gamma * (z - mean) / s + beta

Evaluation: the same with the mean and variance that ``statistics`` holds (see batch_statistics),
or with those of the evaluated set where it is None (adaptive).

Gradients, for delta = dJ/dy, zc = z - mean:

    dJ/dbeta = sum delta        dJ/dgamma = sum(delta * zc) / s
    dJ/dz = gamma / s * (delta - dJ/dbeta / B - zc * dJ/dgamma / (s B))
"""

from __future__ import annotations

import numpy as np

from kls.core.batch_statistics import RecentAverage, RunningAverage
from kls.core.parameter import Parameter


class BatchNorm:
    """Normalises one layer; gamma and beta are parameters of shape (K, m).

    In training it takes the values of K members with m units each as (B, K*m), so that NumPy has long rows to
    work on.
    """

    def __init__(
        self,
        gamma: Parameter,
        beta: Parameter,
        epsilon: float,
        statistics: RunningAverage | RecentAverage | None,
        batch_size: int,
    ) -> None:
        self.gamma, self.beta = gamma, beta
        self.epsilon = gamma.value.dtype.type(epsilon)
        self.statistics = statistics
        self._ones = np.full(batch_size, 1.0, gamma.value.dtype)
        self._shares = np.full(batch_size, 1.0 / batch_size, gamma.value.dtype)
        self.allocate()

    def allocate(self) -> None:
        """Make the buffers anew, and the views of gamma and beta, after these have got other arrays."""
        k, m = self.gamma.value.shape
        batch_size, dtype = len(self._ones), self.gamma.value.dtype
        self._gamma, self._gamma_gradient = self.gamma.value.reshape(-1), self.gamma.gradient.reshape(-1)
        self._beta, self._beta_gradient = self.beta.value.reshape(-1), self.beta.gradient.reshape(-1)
        self._centred, self._scratch = np.empty((2, batch_size, k * m), dtype)
        flat = np.empty((2, k * m), dtype)
        self._mean, self._variance = flat
        self._moments = flat.reshape(2, k, m)
        self._deviation, self._scale, self._term = np.empty((3, k * m), dtype)

    def forward_batch(self, z: np.ndarray, out: np.ndarray) -> None:
        """Normalise the mini-batch z (B, K*m) into ``out`` by its own statistics, and record them.

        Sums over the batch are products with a vector, which BLAS does faster than NumPy its reductions.
        """
        np.dot(self._shares, z, self._mean)
        np.subtract(z, self._mean, self._centred)
        np.multiply(self._centred, self._centred, self._scratch)
        np.dot(self._shares, self._scratch, self._variance)
        if self.statistics is not None:
            self.statistics.update(self._moments)
        np.add(self._variance, self.epsilon, self._deviation)
        np.sqrt(self._deviation, self._deviation)
        np.divide(self._gamma, self._deviation, self._scale)
        np.multiply(self._centred, self._scale, out)
        np.add(out, self._beta, out)

    def backward(self, delta: np.ndarray) -> None:
        """Turn delta = dJ/dy (B, K*m) into dJ/dz, in place, and set the gradients of gamma and beta."""
        per_picture = 1.0 / len(delta)
        np.dot(self._ones, delta, self._beta_gradient)
        np.multiply(delta, self._centred, self._scratch)
        np.dot(self._ones, self._scratch, self._gamma_gradient)
        np.divide(self._gamma_gradient, self._deviation, self._gamma_gradient)
        np.divide(self._gamma_gradient, self._deviation, self._term)
        np.multiply(self._term, per_picture, self._term)
        np.multiply(self._centred, self._term, self._scratch)
        np.subtract(delta, self._scratch, delta)
        np.multiply(self._beta_gradient, per_picture, self._term)
        np.subtract(delta, self._term, delta)
        np.multiply(delta, self._scale, delta)

    def evaluate(self, z: np.ndarray) -> None:
        """Normalise z (N, K, m) in place with the kept statistics, or its own where none are kept."""
        if self.statistics is None:
            mean = z.mean(axis=0, dtype=np.float64).astype(z.dtype)
            z -= mean
            variance = np.einsum("bkm,bkm->km", z, z, dtype=np.float64).astype(z.dtype) / len(z)
        else:
            mean, variance = self.statistics.moments
            z -= mean
        z *= self.gamma.value / np.sqrt(variance + self.epsilon)
        z += self.beta.value

    def keep(self, members: np.ndarray) -> None:
        """Drop every member but those given; gamma and beta are dropped by their owner, who then calls `allocate`."""
        if self.statistics is not None:
            self.statistics.keep(members)
