"""Batch normalisation with learned scale and shift (Ioffe & Szegedy 2015, algorithm 1), a population at once.

Training, over the B pictures of a mini-batch, each unit and member for itself:

    mean = (1/B) sum z          variance = (1/B) sum (z - mean)**2
    y = gamma * (z - mean) / sqrt(variance + epsilon) + beta

Evaluation: the same with the mean and variance that ``statistics`` holds (see batch_statistics),
or with those of the evaluated set where it is None (adaptive).

Gradients, for delta = dJ/dy, zc = z - mean, r = 1 / sqrt(variance + epsilon):

    dJ/dbeta = sum delta        dJ/dgamma = r * sum delta * zc
    dJ/dz = gamma * r * (delta - dJ/dbeta / B - zc * r * dJ/dgamma / B)
"""

from __future__ import annotations

import numpy as np

from kls.core.batch_statistics import RecentAverage, RunningAverage
from kls.core.parameter import Parameter


class BatchNorm:
    """Normalises one layer's (B, K, m) values; gamma and beta are parameters of shape (K, m)."""

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
        self._allocate(batch_size)

    def _allocate(self, batch_size: int) -> None:
        k, m = self.gamma.value.shape
        dtype = self.gamma.value.dtype
        self._centred = np.empty((batch_size, k, m), dtype)
        self._scratch = np.empty((batch_size, k, m), dtype)
        self._moments = np.empty((2, k, m), dtype)
        self._mean, self._variance = self._moments
        self._rstd, self._scale, self._term = np.empty((3, k, m), dtype)

    @staticmethod
    def _weighted_sum(weights: np.ndarray, values: np.ndarray, out: np.ndarray) -> None:
        """Sum over the batch axis as a product, which BLAS does faster than a reduction."""
        np.dot(weights, values.reshape(len(values), -1), out=out.reshape(-1))

    def forward_batch(self, z: np.ndarray, out: np.ndarray) -> None:
        """Normalise the mini-batch z (B, K, m) into ``out`` by its own statistics, and record them."""
        self._weighted_sum(self._shares, z, self._mean)
        np.subtract(z, self._mean, out=self._centred)
        np.multiply(self._centred, self._centred, out=self._scratch)
        self._weighted_sum(self._shares, self._scratch, self._variance)
        if self.statistics is not None:
            self.statistics.update(self._moments)
        np.add(self._variance, self.epsilon, out=self._rstd)
        np.sqrt(self._rstd, out=self._rstd)
        np.reciprocal(self._rstd, out=self._rstd)
        np.multiply(self.gamma.value, self._rstd, out=self._scale)
        np.multiply(self._centred, self._scale, out=out)
        out += self.beta.value

    def backward(self, delta: np.ndarray) -> None:
        """Turn delta = dJ/dy (B, K, m) into dJ/dz, in place, and set the gradients of gamma and beta."""
        per_picture = 1.0 / len(delta)
        self._weighted_sum(self._ones, delta, self.beta.gradient)
        np.multiply(delta, self._centred, out=self._scratch)
        self._weighted_sum(self._ones, self._scratch, self.gamma.gradient)
        self.gamma.gradient *= self._rstd
        np.multiply(self.gamma.gradient, self._rstd, out=self._term)
        self._term *= per_picture
        np.multiply(self._centred, self._term, out=self._scratch)
        delta -= self._scratch
        np.multiply(self.beta.gradient, per_picture, out=self._term)
        delta -= self._term
        delta *= self._scale

    def evaluate(self, z: np.ndarray) -> None:
        """Normalise z (N, K, m) in place with the kept statistics, or its own where none are kept."""
        if self.statistics is None:
            mean = z.mean(axis=0, dtype=np.float64).astype(z.dtype)
            z -= mean
            variance = np.einsum("bkm,bkm->km", z, z, dtype=np.float64).astype(z.dtype) / len(z)
            z *= self.gamma.value / np.sqrt(variance + self.epsilon)
            z += self.beta.value
            return
        mean, variance = self.statistics.moments
        z -= mean
        z *= self.gamma.value / np.sqrt(variance + self.epsilon)
        z += self.beta.value

    def keep(self, members: np.ndarray) -> None:
        """Drop every member but those given; gamma and beta are dropped by their owner."""
        if self.statistics is not None:
            self.statistics.keep(members)
        self._allocate(len(self._centred))
