"""An ensemble of the networks that each run passes through: those of the ends of its cycles, where the rate is lowest.

The ensemble's answer is the mean of their softmax outputs (Huang et al. 2017, "Snapshot ensembles: train 1, get M for
free"). The snapshots are kept in the runs' folders, and read again one cycle at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kls import build
from kls.core.architecture import Architecture
from kls.core.evaluation import probabilities
from kls.core.population import Population
from kls.data.dataset import Split
from kls.errors import UserError
from kls.records import names
from kls.records.run_folder import RunFolder
from kls.settings import CyclicSettings, Settings


class Snapshots:
    """The snapshots of the runs of one population, which share their cycles."""

    def __init__(self, shared: Settings, n_steps: int) -> None:
        """Raises UserError where the training of ``n_steps`` has not one whole cycle."""
        assert isinstance(shared.optimizer.schedule, CyclicSettings)
        self.period = 2 * shared.optimizer.schedule.n_s
        self.cycles = range(1, n_steps // self.period + 1)
        if not self.cycles:
            raise UserError(f"ensemble=true: {n_steps} steps are not one whole cycle, which has {self.period}")

    def keep(self, population: Population, folders: Sequence[Path]) -> None:
        """At the end of a cycle, write every member's network to its folder; ``folders`` of all that began."""
        if population.step % self.period == 0:
            name = names.SNAPSHOT.format(population.step // self.period)
            for k, i in enumerate(population.ids):
                state = population.network.member_state(k) | {"step": np.array(population.step)}
                RunFolder(folders[i]).write_checkpoint(name, state)

    def scores(
        self, architecture: Architecture, folders: Sequence[Path], batch_size: int, splits: Mapping[str, Split]
    ) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Mean cross-entropy and share of right answers, each (K,) float64, of each run's ensemble on each split."""
        network = build.blank_network(architecture, [0.0] * len(folders), batch_size)
        sums = {name: np.zeros((len(s.y), len(folders), architecture.n_classes)) for name, s in splits.items()}
        for cycle in self.cycles:
            for k, folder in enumerate(folders):
                network.load_member(k, RunFolder(folder).read_checkpoint(names.SNAPSHOT.format(cycle)))
            for name, split in splits.items():
                sums[name] += probabilities(network, split.x)
        return {name: _scores(sums[name] / len(self.cycles), split.y) for name, split in splits.items()}


def _scores(p: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of distributions p (N, K, C) and integer labels (N,)."""
    of_label = p[np.arange(len(labels)), :, labels]
    right = np.argmax(p, axis=2) == labels[:, None]
    return -np.mean(np.log(of_label), axis=0), np.mean(right, axis=0)
