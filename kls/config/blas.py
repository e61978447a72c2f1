"""What the training takes of BLAS beside NumPy: its threads, and a product added to an array that is there already."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import lru_cache

import numpy as np
from scipy.linalg import blas
from threadpoolctl import ThreadpoolController


def limited(threads: int) -> AbstractContextManager[object]:
    """Context in which BLAS takes so many threads: both of them, since importing this has loaded SciPy's own."""
    return _controller().limit(limits=threads)


@lru_cache(maxsize=1)
def _controller() -> ThreadpoolController:
    return ThreadpoolController()  # which takes milliseconds to find the libraries


def add_product(x: np.ndarray, delta: np.ndarray, w: np.ndarray) -> None:
    """w (d, n) += x^T (d, B) by delta (B, n), in place; all C-contiguous and of one dtype.

    gemm with alpha = beta = 1 on the transposed views, which are BLAS's own column-major order. Another beta
    would save nothing: OpenBLAS scales the array in a pass of its own.
    """
    gemm = blas.sgemm if w.dtype == np.float32 else blas.dgemm
    done = gemm(1.0, delta.T, x.T, beta=1.0, c=w.T, overwrite_c=1, trans_b=1)
    if not np.shares_memory(done, w):
        w[...] = done.T
