"""Which members of a population are dropped before their end, decided once and kept on disk.

The runs of a population know each other by the names of their folders. Every one's pruning.json holds with
whom it began and which of them were dropped at which step. It is written before any checkpoint of that step,
so that a training that is cut anywhere goes on with the same decisions and the same company.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from kls.records import names
from kls.records.run_folder import RunFolder
from kls.settings import CyclicSettings, Settings
from kls.sweep.pruning import behind_median, behind_top_share


class Pruning:
    """The decisions on one population, whose runs have the given folders and share the pruning settings."""

    def __init__(self, shared: Settings, folders: Sequence[Path], steps_per_epoch: int, n_steps: int) -> None:
        self.settings, self.folders, self.n_steps = shared.pruning, folders, n_steps
        self.period = steps_per_epoch
        if self.settings.at == "cycle":
            assert isinstance(shared.optimizer.schedule, CyclicSettings)
            self.period = 2 * shared.optimizer.schedule.n_s
        self.together = [folder.name for folder in folders]
        self._dropped: dict[str, list[str]] = {}  # by step
        for found in filter(None, (RunFolder(folder).read_pruning() for folder in folders)):
            self.together = found["together"]
            self._dropped |= found["dropped"]

    def judges(self, step: int) -> bool:
        """Whether members may be dropped after ``step`` updates; not at the end, where nothing is left to save."""
        return 0 < step < self.n_steps and step % self.period == 0

    def dropped(self, step: int, histories: Mapping[int, Sequence[Mapping[str, float]]]) -> list[int]:
        """The members that go after ``step`` updates, of those that ``histories`` are given for.

        histories: rows of history.csv up to ``step``, by the member's place among the folders.
        """
        if str(step) not in self._dropped:
            behind = self._behind([self._reports(rows) for rows in histories.values()])
            self._dropped[str(step)] = [
                self.folders[i].name for i, is_behind in zip(histories, behind, strict=True) if is_behind
            ]
            for i in histories:
                RunFolder(self.folders[i]).write_pruning({"together": self.together, "dropped": self._dropped})
        return [i for i in histories if self.folders[i].name in self._dropped[str(step)]]

    def _behind(self, reports: Sequence[Sequence[float]]) -> np.ndarray:
        wish, scores = self.settings, np.array(reports)
        if wish.rule == "median":
            return behind_median(scores, wish.n_startup, wish.n_warmup)
        return behind_top_share(scores, wish.min_resource, wish.reduction_factor)

    def _reports(self, rows: Sequence[Mapping[str, float]]) -> list[float]:
        return [row[names.VALUE] for row in rows if row["step"] > 0 and row["step"] % self.period == 0]


def keep_together(folders: Sequence[Path]) -> None:
    """Write down, before a population begins or goes on, who is judged together."""
    together = companies(folders).get(folders[0], tuple(folder.name for folder in folders))
    for folder in folders:
        if RunFolder(folder).read_pruning() is None:
            RunFolder(folder).write_pruning({"together": together, "dropped": {}})


def companies(folders: Iterable[Path]) -> dict[Path, tuple[str, ...]]:
    """The names of the runs that each run is judged together with, by its folder, as far as that is written down."""
    known: dict[Path, tuple[str, ...]] = {}
    for folder in folders:
        found = RunFolder(folder).read_pruning()
        if found is not None:
            known |= {folder.parent / name: tuple(found["together"]) for name in found["together"]}
    return known
