"""Inputs rotated by the training split's principal axes, cut at a share of the variance, and perhaps whitened.

With X the standardised training inputs (n, d) and X^T X / n = V diag(v) V^T, v falling, an input x
becomes V_k^T x, where k is the smallest number of axes with v_1 + ... + v_k >= share * (v_1 + ... + v_d).

Uncut (share 1), the rotation changes nothing that SGD with an L2 penalty does from Gaussian weights of
the full fan-in's variance: loss and penalty depend on W through V^T W alone, and a Gaussian W rotates
into one of the same law.

Whitened with a ridge r, x becomes diag(v_k + r)^(-1/2) V_k^T x, so that the inputs have variances v / (v + r): axes of
fine detail, whose v is a thousandth of the first, are learnt as fast (LeCun et al. 1998, "Efficient BackProp", 4.3).
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from kls.data.array_cache import Arrays, cached_arrays
from kls.data.dataset import DataSet, Projection, Split

BLOCK_ROWS = 4096


def project(data: DataSet, share: float, root: Path, ridge: float | None = None, keep_pixels: bool = False) -> DataSet:
    """The data set with inputs (n, k); the axes are kept in ``root``, by the split's fingerprint and the inputs' type.

    share: of the variance of the training inputs, above 0, at most 1.
    ridge: of the whitening, above 0; None for none.
    keep_pixels: whether the pixels go along, to be augmented.
    """
    variances, axes = _cached_axes(data, root)
    reached = np.cumsum(variances) / variances.sum()
    k = int(np.searchsorted(reached, share - 1e-12)) + 1 if share < 1.0 else len(variances)
    scale = 1.0 if ridge is None else 1.0 / np.sqrt(variances[:k] + ridge)
    kept = np.ascontiguousarray(axes[:, :k] * scale, dtype=data.train.x.dtype)
    digest = hashlib.sha256(f"{kept.shape} {kept.dtype}\0".encode())
    digest.update(kept.data)
    return replace(
        data,
        train=_rotated(data.train, kept),
        val=_rotated(data.val, kept),
        test=_rotated(data.test, kept),
        projection=Projection(kept, digest.hexdigest()[:16], data if keep_pixels else None),
    )


def principal_axes(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Variances (d,), falling, and axes (d, d), a column an axis, of centred inputs x (n, d); float64.

    Each axis points so that its largest component is positive, whatever LAPACK returns.
    """
    moment = np.zeros((x.shape[1], x.shape[1]))
    for start in range(0, len(x), BLOCK_ROWS):
        block = x[start : start + BLOCK_ROWS]
        moment += block.T @ block
    variances, axes = np.linalg.eigh(moment / len(x))
    variances, axes = np.maximum(variances[::-1], 0.0), axes[:, ::-1]
    largest = axes[np.argmax(np.abs(axes), axis=0), np.arange(axes.shape[1])]
    return variances, axes * np.sign(largest)


def _cached_axes(data: DataSet, root: Path) -> tuple[np.ndarray, np.ndarray]:
    """Variances and axes of the training inputs, the axes in their type; from a file in ``root`` if it is there."""
    d, dtype = data.train.x.shape[1], data.train.x.dtype

    def make() -> Arrays:
        variances, axes = principal_axes(data.train.x)
        return {"variances": variances, "axes": axes.astype(dtype)}

    cached = cached_arrays(
        root / f"principal-axes-{data.fingerprint}-{dtype}.npz",
        {"variances": ((d,), np.dtype(np.float64)), "axes": ((d, d), dtype)},
        make,
        lambda arrays: all(bool(np.isfinite(array).all()) for array in arrays.values()),
    )
    return cached["variances"], cached["axes"]


def _rotated(split: Split, axes: np.ndarray) -> Split:
    return Split(split.x @ axes, split.y)
