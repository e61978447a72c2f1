"""Inverted dropout (Srivastava et al. 2014, section 10): a = mask * a / (1 - rate), in training only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def draw_masks(rngs: Sequence[np.random.Generator], rate: float, out: np.ndarray) -> None:
    """Fill out (B, K, m) with 0 or 1 / (1 - rate); member k's part comes from its own generator.

    Each member draws as it would alone, so a population changes nobody's masks.
    """
    b, _, m = out.shape
    for k, rng in enumerate(rngs):
        uniform = rng.random((b, m), dtype=np.float32)
        np.multiply(uniform >= rate, 1.0 / (1.0 - rate), out=out[:, k, :], casting="same_kind")
