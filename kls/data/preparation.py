"""How raw examples become what a network takes: standardised, and perhaps projected on axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

BLOCK_ROWS = 256


@dataclass(frozen=True)
class Preparation:
    """A raw example x (d,) enters the network as (x - mean) / sd, and from there as the products with the axes.

    Attributes:
        mean: (d,) float64 mean of each dimension over the raw training set.
        sd: (d,) float64 population standard deviation likewise, 1 where it is 0.
        dtype: float32 or float64, that of the inputs.
        axes: (d, k) of that type, or None where there is no projection.
    """

    mean: NDArray[np.float64]
    sd: NDArray[np.float64]
    dtype: np.dtype[Any]
    axes: NDArray[np.floating] | None = None

    @classmethod
    def of(cls, x: NDArray[Any], dtype: DTypeLike) -> Preparation:
        """That of a training set x (n, d) of numbers, without a projection."""
        mean, sd = number_moments(x, np.arange(len(x)))
        return cls(mean, np.where(sd == 0, 1.0, sd), np.dtype(dtype))

    @property
    def n_inputs(self) -> int:
        """How many inputs the network has."""
        return len(self.mean) if self.axes is None else self.axes.shape[1]

    def standardise(self, x: NDArray[Any], out: NDArray[np.floating]) -> None:
        """Write (x - mean) / sd of raw examples x (n, d) to ``out`` (n, d).

        Bytes are computed with in the type of the inputs, other numbers in double precision.
        """
        if x.dtype == np.uint8:
            np.subtract(x, self.mean.astype(self.dtype), out=out)
            out /= self.sd.astype(self.dtype)
        else:
            out[...] = (x - self.mean) / self.sd

    def apply(self, x: NDArray[Any]) -> NDArray[np.floating]:
        """Inputs (n, d or k) of raw examples x (n, d)."""
        inputs = np.empty(x.shape, self.dtype)
        for start in range(0, len(x), BLOCK_ROWS):
            rows = slice(start, start + BLOCK_ROWS)
            self.standardise(x[rows], inputs[rows])
        return inputs if self.axes is None else inputs @ self.axes


def number_moments(x: NDArray[Any], rows: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and population standard deviation of each column of numbers ``x[rows]``, in two passes; float64.

    A column of one value has exactly that mean and an sd of 0.
    """
    blocks = [rows[start : start + BLOCK_ROWS] for start in range(0, len(rows), BLOCK_ROWS)]
    first = x[rows[0]].astype(np.float64)
    mean, squares = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    with np.errstate(over="ignore", invalid="ignore"):
        for block in blocks:
            mean += (x[block] - first).sum(axis=0) / len(rows)
        mean += first
        for block in blocks:
            squares += np.square(x[block] - mean).sum(axis=0)
        return mean, np.sqrt(squares / len(rows))
