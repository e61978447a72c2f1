"""Which members of a population are dropped before their end.

The decision follows from the histories of all that have come so far, so that a training that is cut makes it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kls.records import names
from kls.settings import CyclicSettings, Settings
from kls.sweep.pruning import behind_median, behind_top_share

History = Sequence[Mapping[str, float]]


class Pruning:
    """The decisions on one population, whose runs share the pruning settings."""

    def __init__(self, shared: Settings, steps_per_epoch: int, n_steps: int) -> None:
        self.settings, self.n_steps = shared.pruning, n_steps
        self.period = steps_per_epoch
        if self.settings.at == "cycle":
            assert isinstance(shared.optimizer.schedule, CyclicSettings)
            self.period = 2 * shared.optimizer.schedule.n_s

    def judges(self, step: int) -> bool:
        """Whether members may be dropped after ``step`` updates; not at the end, where nothing is left to save."""
        return 0 < step < self.n_steps and step % self.period == 0

    def dropped(self, histories: Mapping[int, History]) -> list[int]:
        """The members that go now, of those that ``histories`` are given for: rows of history.csv until now."""
        behind = self._behind([self._reports(rows) for rows in histories.values()])
        return [i for i, is_behind in zip(histories, behind, strict=True) if is_behind]

    def _behind(self, reports: Sequence[Sequence[float]]) -> np.ndarray:
        wish, scores = self.settings, np.array(reports)
        if wish.rule == "median":
            return behind_median(scores, wish.n_startup, wish.n_warmup)
        return behind_top_share(scores, wish.min_resource, wish.reduction_factor)

    def _reports(self, rows: History) -> list[float]:
        return [row[names.VALUE] for row in rows if row["step"] > 0 and row["step"] % self.period == 0]
