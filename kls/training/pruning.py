"""Which members of a population are dropped before their end.

The decision follows from the histories of all that have come so far, so that a training that is cut makes it again.
A rule is a pure function. It gets ``reports`` (K, e), the score of each of K members at evaluations 1 to e, larger is
better, and gives bool (K,): who is to be dropped after evaluation e. All members report in lockstep, so each is judged
as Optuna would judge it if it were the last of them to report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kls.config.settings import Settings
from kls.records import names

History = Sequence[Mapping[str, float]]


class Pruning:
    """The decisions on one population, whose runs share the pruning settings."""

    def __init__(self, shared: Settings, steps_per_epoch: int, n_steps: int) -> None:
        self.settings, self.n_steps = shared.pruning, n_steps
        self.period = steps_per_epoch
        if self.settings.at == "cycle":
            assert shared.optimizer.schedule.cycle is not None
            self.period = shared.optimizer.schedule.cycle

    def judges(self, step: int) -> bool:
        """Whether members may be dropped after ``step`` updates; not at the end, where nothing is left to save."""
        return 0 < step < self.n_steps and step % self.period == 0

    def dropped(self, histories: Mapping[int, History]) -> list[int]:
        """The members that go now, of those that ``histories`` are given for: rows of history.csv until now."""
        behind = self._behind([self._reports(rows) for rows in histories.values()])
        return [i for i, is_behind in zip(histories, behind, strict=True) if is_behind]

    def _behind(self, reports: Sequence[Sequence[float]]) -> np.ndarray:
        rules, scores = self.settings, np.array(reports)
        if rules.rule == "median":
            return behind_median(scores, rules.n_startup, rules.n_warmup)
        return behind_top_share(scores, rules.min_resource, rules.reduction_factor)

    def _reports(self, rows: History) -> list[float]:
        return [row[names.VAL_ACCURACY] for row in rows if row["step"] > 0 and row["step"] % self.period == 0]


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
