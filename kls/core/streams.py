"""Independent random streams from a seed: one generator a purpose, so that none disturbs another."""

from __future__ import annotations

import numpy as np

_PURPOSES = ("init", "order", "augmentation", "dropout", "test augmentation", "gradient check", "split")


def stream(seed: int, purpose: str, index: int = 0) -> np.random.Generator:
    """The generator of ``purpose`` (for example "init") under ``seed`` >= 0; ``index`` distinguishes epochs.

    The same arguments give the same numbers in any process, whatever else was drawn before.
    """
    return np.random.default_rng([seed, _PURPOSES.index(purpose), index])
