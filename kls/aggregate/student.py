"""Student's t quantile for the interval of a mean of few seeds."""

from __future__ import annotations

import math
from functools import lru_cache


@lru_cache(maxsize=1024)
def t_quantile(dof: int, level: float = 0.95) -> float:
    """The t with P(-t < T < t) = ``level`` for Student's T with ``dof`` >= 1 degrees of freedom, to 1e-12.

    Bisection on theta = atan(t / sqrt(dof)), of which `central_probability` is an increasing function.
    """
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if central_probability(middle, dof) < level else (low, middle)
    return math.sqrt(dof) * math.tan((low + high) / 2)


def central_probability(theta: float, dof: int) -> float:
    """P(-t < T < t) for t = sqrt(dof) tan(theta), exact for whole ``dof``.

    Source: Abramowitz & Stegun, Handbook of Mathematical Functions (1964), 26.7.3 and 26.7.4.
    """
    sine, cosine = math.sin(theta), math.cos(theta)
    odd = dof % 2
    term, total = (cosine if odd else 1.0), 0.0
    for power in range(odd, dof - 1, 2):  # terms in cos(theta)^power, up to the power dof - 2
        total += term
        term *= cosine**2 * (power + 1) / (power + 2)
    return 2.0 / math.pi * (theta + sine * total) if odd else sine * total
