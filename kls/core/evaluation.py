"""Scores of a population on a set of pictures. Nothing of the network changes and nothing is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kls.core import cross_entropy
from kls.core.network import Network

BLOCK_ROWS = 1000


@dataclass(frozen=True)
class Scores:
    """Of each member, shape (K,), float64: mean cross-entropy, loss + L2 term, share of right answers."""

    loss: np.ndarray
    cost: np.ndarray
    accuracy: np.ndarray


def _blocks(network: Network, n: int) -> list[slice]:
    """Row ranges to evaluate at once: all rows where BN takes the set's own statistics."""
    whole = network.architecture.bn is not None and network.architecture.bn_statistics == "adaptive"
    rows = n if whole else BLOCK_ROWS
    return [slice(start, min(start + rows, n)) for start in range(0, n, rows)]


def evaluate(network: Network, x: np.ndarray, labels: np.ndarray, lam: np.ndarray) -> Scores:
    """Scores on pictures x (N, d) with integer labels (N,); lam (K,) of the L2 term."""
    loss, correct = np.zeros(network.n_members), np.zeros(network.n_members)
    for rows in _blocks(network, len(x)):
        block_loss, block_correct = cross_entropy.loss_and_correct(network.logits(x[rows]), labels[rows])
        loss += block_loss
        correct += block_correct
    loss /= len(x)
    return Scores(loss, loss + network.penalty(lam), correct / len(x))


def probabilities(network: Network, x: np.ndarray) -> np.ndarray:
    """Softmax outputs, shape (N, K, C), float64, for pictures x (N, d)."""
    found = []
    for rows in _blocks(network, len(x)):
        logits = network.logits(x[rows]).astype(np.float64)
        p = np.exp(logits - np.max(logits, axis=2, keepdims=True))
        found.append(p / np.sum(p, axis=2, keepdims=True))
    return np.concatenate(found)


def predict(network: Network, x: np.ndarray) -> np.ndarray:
    """The class with the largest logit, shape (N, K), for pictures x (N, d)."""
    return np.concatenate([np.argmax(network.logits(x[rows]), axis=2) for rows in _blocks(network, len(x))])
