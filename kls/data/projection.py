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

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
from filelock import FileLock

from kls.data.dataset import DataSet, Projection, Split
from kls.records.atomic import atomic_path

log = logging.getLogger("kls")

BLOCK_ROWS = 4096


def project(
    data: DataSet, share: float, root: Path, ridge: float | None = None, keep_pixels: bool = False
) -> DataSet:
    """The data set with inputs (n, k); the axes are kept in ``root`` under the split's fingerprint.

    share: of the variance of the training inputs, above 0, at most 1.
    ridge: of the whitening, above 0; None for none.
    keep_pixels: whether the pixels go along, to be augmented.
    """
    variances, axes = _cached_axes(data, root)
    reached = np.cumsum(variances) / variances.sum()
    k = int(np.searchsorted(reached, share - 1e-12)) + 1 if share < 1.0 else len(variances)
    scale = 1.0 if ridge is None else 1.0 / np.sqrt(variances[:k] + ridge)
    kept = np.ascontiguousarray(axes[:, :k] * scale, dtype=data.train.x.dtype)
    return replace(
        data,
        train=_rotated(data.train, kept),
        val=_rotated(data.val, kept),
        test=_rotated(data.test, kept),
        projection=Projection(kept, data if keep_pixels else None),
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
    path = root / f"principal-axes-{data.fingerprint}.npz"
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            if path.is_file():
                try:
                    with np.load(path, allow_pickle=False) as file:
                        return file["variances"], file["axes"]
                except Exception as error:  # a damaged zip raises many kinds
                    log.warning("%s: damaged, made again (%s)", path, error)
            variances, axes = principal_axes(data.train.x)
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                np.savez(file, variances=variances, axes=axes.astype(np.float32))
    except OSError as error:
        log.warning("%s: the principal axes cannot be kept there (%s)", root, error)
        variances, axes = principal_axes(data.train.x)
    return variances, axes.astype(np.float32)


def _rotated(split: Split, axes: np.ndarray) -> Split:
    return Split(split.x @ axes, split.y)
