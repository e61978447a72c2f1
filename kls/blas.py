"""The one BLAS operation that NumPy does not offer: a product added to an array that is there already."""

from __future__ import annotations

import numpy as np
from scipy.linalg import blas


def add_product(x: np.ndarray, delta: np.ndarray, w: np.ndarray) -> None:
    """w (d, K, m) += x^T (d, B) by delta (B, K, m), in place; all C-contiguous and of one dtype.

    gemm with alpha = beta = 1 on the transposed views, which are BLAS's own column-major order.
    """
    gemm = blas.sgemm if w.dtype == np.float32 else blas.dgemm
    flat = w.reshape(len(w), -1)
    done = gemm(1.0, delta.reshape(len(x), -1).T, x.T, beta=1.0, c=flat.T, overwrite_c=1, trans_b=1)
    if done.base is not flat.base and not np.shares_memory(done, flat):
        flat[...] = done.T
