"""Initial weights: He, Xavier, or normal with a given standard deviation. Biases start at zero.

He (He et al. 2015, eq. 10):         W ~ N(0, 2 / fan_in)
Xavier (as in the five studies):     W ~ N(0, 1 / fan_in)
normal:                              W ~ N(0, sigma**2)
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

SCHEMES = {"he": 2.0, "xavier": 1.0}


def standard_deviation(scheme: str, sigma: float | None, fan_in: int) -> float:
    """Standard deviation of a layer's initial weights; ``sigma``, where given, replaces ``scheme``."""
    return sigma if sigma is not None else math.sqrt(SCHEMES[scheme] / fan_in)


def initial_weights(
    rng: np.random.Generator, fans: Sequence[int], widths: Sequence[int], scheme: str, sigma: float | None
) -> list[np.ndarray]:
    """The weights of one member, float64: one (rows, width) array a layer.

    fans: fan_in that sets the standard deviation of each layer.
    widths: the number of rows of the first array, then each layer's units.
    The draws are float64 whatever the network's dtype, so float32 and float64 runs start alike.
    """
    return [
        rng.standard_normal((rows, columns)) * standard_deviation(scheme, sigma, fan_in)
        for fan_in, rows, columns in zip(fans, widths[:-1], widths[1:], strict=True)
    ]
