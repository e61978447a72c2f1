"""The affine map Z = A W + b of a layer, for all members of a population at once.

First layer: every member sees the same X (B, d), so its weights are kept as (d, K, m) and all
members together are one matrix product X (B, d) by W (d, K*m), for which W is taken as a matrix (d, K*m).
Later layers: activations (K, B, m), weights (K, m, n); a batched product over the member axis,
whose arguments may be transposed views: BLAS reads these without a copy.

Gradients, for delta = dJ/dZ:  dJ/dW = A^T delta,  dJ/db = sum over the batch of delta,
dJ/dA = delta W^T.
"""

from __future__ import annotations

import numpy as np


def forward_first(x: np.ndarray, w: np.ndarray, out: np.ndarray) -> None:
    """out (B, K*m) = x (B, d) by w (d, K*m)."""
    np.dot(x, w, out)


def weight_gradient_first(x: np.ndarray, delta: np.ndarray, out: np.ndarray) -> None:
    """out (d, K*m) = x^T (d, B) by delta (B, K*m)."""
    np.dot(x.T, delta, out)


def add_product_first(x: np.ndarray, delta: np.ndarray, w: np.ndarray) -> None:
    """w (d, K*m) += x^T (d, B) by delta (B, K*m), in blocks of rows that stay in the cache."""
    rows = 768
    for start in range(0, len(w), rows):
        w[start : start + rows] += x.T[start : start + rows] @ delta


def forward(a: np.ndarray, w: np.ndarray, out: np.ndarray) -> None:
    """out (K, B, n) = a (K, B, m) by w (K, m, n), member by member."""
    np.matmul(a, w, out)


def weight_gradient(a: np.ndarray, delta: np.ndarray, out: np.ndarray) -> None:
    """out (K, m, n) = a^T (K, m, B) by delta (K, B, n), member by member."""
    np.matmul(a.transpose(0, 2, 1), delta, out)


def input_gradient(delta: np.ndarray, w: np.ndarray, out: np.ndarray) -> None:
    """out (K, B, m) = delta (K, B, n) by w^T (K, n, m), member by member."""
    np.matmul(delta, w.transpose(0, 2, 1), out)
