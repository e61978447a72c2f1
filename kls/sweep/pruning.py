"""Rules that say which members of a population fall behind, from what all of them have reported so far.

``reports`` is (K, e): the score of each of K members at evaluations 1 to e, larger is better. All members
report in lockstep, so each is judged as Optuna would judge it if it were the last of them to report.
Each rule is a pure function and gives bool (K,): who is to be dropped after evaluation e.
"""

from __future__ import annotations

import numpy as np


def behind_median(reports: np.ndarray, n_startup: int, n_warmup: int) -> np.ndarray:
    """Members whose best score so far is below the median of the others' scores at evaluation e.

    The rule of optuna.pruners.MedianPruner with n_startup_trials=n_startup and n_warmup_steps=n_warmup, where
    evaluation e is Optuna's step e - 1 and the others are its complete trials. Nobody is dropped in the first
    n_warmup evaluations, or where there are fewer than n_startup others.
    """
    members, evaluations = reports.shape
    if evaluations <= n_warmup or members - 1 < max(n_startup, 1):
        return np.zeros(members, bool)
    now = reports[:, -1]
    medians = [np.percentile(np.delete(now, k), 50.0) for k in range(members)]
    return np.max(reports, axis=1) < np.array(medians)


def behind_top_share(reports: np.ndarray, min_resource: int, reduction_factor: int) -> np.ndarray:
    """Members that are not among the best K // reduction_factor (at least 1) at a rung; equal ones stay.

    Rungs are evaluations min_resource * reduction_factor^0, ^1, ^2, ... The rule of
    optuna.pruners.SuccessiveHalvingPruner, where evaluation e is Optuna's step e (Jamieson and Talwalkar 2016).
    """
    members, evaluations = reports.shape
    rung = min_resource
    while rung < evaluations:
        rung *= reduction_factor
    if rung != evaluations:
        return np.zeros(members, bool)
    now = reports[:, -1]
    return now < np.sort(now)[::-1][max(members // reduction_factor, 1) - 1]
