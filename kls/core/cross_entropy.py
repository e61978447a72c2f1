"""Softmax and cross-entropy, with label smoothing in training.

p = softmax(z);  loss = -(1/B) sum over pictures of log p[label].
With smoothing s the target is q = (1 - s) onehot + s / C (Szegedy et al. 2016, section 7) and the
gradient of the loss with respect to z is (p - q) / B.
"""

from __future__ import annotations

import math

import numpy as np


def targets(labels: np.ndarray, n_classes: int, smoothing: float, dtype: np.dtype) -> np.ndarray:
    """Target distributions q, shape (N, C), of integer labels (N,)."""
    q = np.full((len(labels), n_classes), smoothing / n_classes, dtype=dtype)
    q[np.arange(len(labels)), labels] += 1.0 - smoothing
    return q


def gradient(logits: np.ndarray, q: np.ndarray, row_sum: np.ndarray) -> bool:
    """Turn logits (B, K, C) into dJ/dlogits, in place, for the targets q (B, C).

    row_sum: buffer (B, K) for the softmax denominators.
    Returns whether every number is finite; where not, the members at fault are the columns of
    ``row_sum`` that are not finite.
    """
    column = row_sum[:, :, None]
    np.maximum.reduce(logits, axis=2, out=row_sum)
    logits -= column
    np.exp(logits, out=logits)
    np.add.reduce(logits, axis=2, out=row_sum)
    finite = math.isfinite(np.add.reduce(row_sum, axis=None))
    np.reciprocal(row_sum, out=row_sum)
    logits *= column
    logits -= q[:, None, :]
    logits *= 1.0 / len(logits)
    return finite


def loss_and_correct(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sums over the pictures of cross-entropy (float64, no smoothing) and of right answers, each (K,).

    logits (B, K, C) are overwritten. A picture counts as right if its label has the largest logit
    (the first of equal ones, as numpy.argmax takes it).
    """
    correct = np.sum(np.argmax(logits, axis=2) == labels[:, None], axis=0)
    logits -= np.max(logits, axis=2, keepdims=True)
    of_label = logits[np.arange(len(labels)), :, labels]
    np.exp(logits, out=logits)
    log_sum = np.log(np.sum(logits, axis=2, dtype=np.float64))
    return np.asarray(np.sum(log_sum - of_label, axis=0, dtype=np.float64)), correct
