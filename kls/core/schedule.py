"""Learning-rate schedules: triangular cyclical, constant and step decay.

Each is a pure function of the update steps t = 0, 1, ... and gives the rates as float64.
"""

from __future__ import annotations

import numpy as np


def triangular(
    t: np.ndarray, eta_min: float, eta_max: float, n_s: int, eta_max_factor: float = 1.0
) -> np.ndarray:
    """Triangular cyclical rate (Smith 2017, section 3.1): from eta_min up to eta_max in n_s steps and down in n_s.

    In cycle l = floor(t / (2 n_s)) the top is eta_max * eta_max_factor**l, but never under eta_min.
    """
    cycle, position = np.divmod(np.asarray(t), 2 * n_s)
    top = np.maximum(eta_min, eta_max * eta_max_factor ** cycle.astype(np.float64))
    height = 1.0 - np.abs(position / n_s - 1.0)
    return eta_min + height * (top - eta_min)


def constant(t: np.ndarray, eta: float) -> np.ndarray:
    """The same rate at every step."""
    return np.full(np.shape(t), eta, dtype=np.float64)


def step_decay(t: np.ndarray, eta: float, factor: float, every: int) -> np.ndarray:
    """eta * factor**floor(t / every): multiplied by ``factor`` after each ``every`` steps."""
    return eta * factor ** (np.asarray(t) // every).astype(np.float64)
