"""This project's training loop at the benchmark's task: a population, as the trainer makes it."""

from __future__ import annotations

import numpy as np

from kls.benchmark.task import BATCH_SIZE, BN_MOMENTUM, N_CLASSES, ORDER_SEED, Task
from kls.config.blas import add_product
from kls.core import cross_entropy
from kls.core.batches import Batches
from kls.core.population import Member, Population
from kls.core.sgd import SGD
from kls.errors import UserError


class OwnLoop:
    """``work.members`` networks in one population; member k starts from seed k."""

    def __init__(self, task: Task) -> None:
        q = cross_entropy.targets(task.labels, N_CLASSES, 0.0, task.x.dtype)
        members = [
            Member(seed, task.lam, task.rates, task.work.scheme, bn_momentum=BN_MOMENTUM)
            for seed in range(task.work.members)
        ]
        feed = Batches(task.x, q, BATCH_SIZE, ORDER_SEED)
        self.population = Population(
            task.architecture, members, lambda blocks: SGD(blocks, add_product=add_product), feed
        )

    def advance(self, steps: int) -> None:
        """Train for so many steps. Raises UserError if a network diverges, since the rest would be less work."""
        if self.population.advance(self.population.step + steps):
            raise UserError("a network of the benchmark diverged")

    def weights(self, member: int = 0) -> list[np.ndarray]:
        """A member's weights, one (rows, columns) array a layer."""
        return [w.member(member).copy() for w in self.population.network.weights]
