"""An ensemble of the networks that each run passes through: those of the ends of its cycles, where the rate is lowest.

The ensemble's answer is the mean of their softmax outputs (Huang et al. 2017, "Snapshot ensembles: train 1, get M for
free": the last m of the M snapshots). They are kept in the runs' folders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import product
from pathlib import Path

import numpy as np

from kls.config import build
from kls.config.settings import Settings
from kls.core.architecture import Architecture
from kls.core.evaluation import probabilities
from kls.core.population import Population
from kls.records import names
from kls.records.run_folder import RunFolder


class Snapshots:
    """The snapshots of the runs of one population, which share their cycles."""

    def __init__(self, shared: Settings, n_steps: int) -> None:
        """``n_steps`` have as many whole cycles as the ensemble has members, which the settings' validation sees to."""
        assert shared.optimizer.schedule.cycle is not None
        self.period = shared.optimizer.schedule.cycle
        n = n_steps // self.period
        self.cycles = range(n - shared.ensemble.snapshots + 1, n + 1)

    @property
    def files(self) -> dict[str, int]:
        """Names of the snapshots' files, and the steps that they are of."""
        return {names.SNAPSHOT.format(cycle): cycle * self.period for cycle in self.cycles}

    def keep(self, population: Population, folders: Sequence[Path]) -> None:
        """At the end of a cycle, write every member's network to its folder; ``folders`` of all that began."""
        cycle, rest = divmod(population.step, self.period)
        name = names.SNAPSHOT.format(cycle)
        if rest == 0 and name in self.files:
            for k, i in enumerate(population.ids):
                state = population.network.member_state(k) | {"step": np.array(population.step)}
                RunFolder(folders[i]).write_checkpoint(name, state)

    def scores(
        self,
        architecture: Architecture,
        folders: Sequence[Path],
        batch_size: int,
        views: Callable[[], Iterable[np.ndarray]],
        labels: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Mean cross-entropy and share of right answers of each run's ensemble, each (K,) float64.

        All snapshots of all runs answer together, as one population.
        views: gives the inputs (n, d) of the same pictures once for each view; labels (n,) int.
        """
        k, m = len(folders), len(self.cycles)
        network = build.blank_network(architecture, [0.0] * (k * m), batch_size)
        for i, (folder, cycle) in enumerate(product(folders, self.cycles)):
            network.load_member(i, RunFolder(folder).read_checkpoint(names.SNAPSHOT.format(cycle)))
        total, n = np.zeros((len(labels), k, architecture.n_classes)), 0
        for x in views():
            total += probabilities(network, x).reshape(len(labels), k, m, -1).sum(axis=2)
            n += m
        of_label = total[np.arange(len(labels)), :, labels] / n
        right = np.argmax(total, axis=2) == labels[:, None]
        return -np.mean(np.log(of_label), axis=0), np.mean(right, axis=0)
