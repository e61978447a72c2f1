"""Training of a population: K members of one architecture on the same mini-batches.

Each member has its own lam, learning rates, initial standard deviation, seed and BN momentum.
A single run is a population of one. A member whose loss stops being finite leaves the arrays at
once and the others go on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from kls.core.architecture import Architecture
from kls.core.batches import Batches
from kls.core.initialisation import initial_weights
from kls.core.network import Network
from kls.core.parameter import Block
from kls.core.streams import stream


@dataclass(frozen=True)
class Member:
    """What one member has for itself.

    seed: of its initial weights and dropout masks.     lam: L2 factor.
    rates: learning rate of every step, (n_steps,) float64.
    scheme, sigma: initial weights (see initialisation). bn_momentum: of the running statistics.
    """

    seed: int
    lam: float
    rates: np.ndarray
    scheme: str = "he"
    sigma: float | None = None
    bn_momentum: float = 0.9


class Optimizer(Protocol):
    """What the population asks of an optimizer. uses_factors: whether it reads Block.factors."""

    uses_factors: bool

    def step(self, eta: np.ndarray, lam: np.ndarray) -> None: ...
    def keep(self, members: np.ndarray) -> None: ...
    def member_state(self, k: int) -> dict[str, np.ndarray]: ...
    def load_member(self, k: int, state: dict[str, np.ndarray]) -> None: ...


class Population:
    """Members in training. ``ids`` are the places in ``members`` of those still in the arrays."""

    def __init__(
        self,
        architecture: Architecture,
        members: Sequence[Member],
        make_optimizer: Callable[[Sequence[Block]], Optimizer],
        batches: Batches,
    ) -> None:
        weights = [
            initial_weights(stream(m.seed, "init"), architecture.fans, architecture.widths, m.scheme, m.sigma)
            for m in members
        ]
        self.network = Network(architecture, weights, np.array([m.bn_momentum for m in members]), batches.batch_size)
        self.optimizer = make_optimizer(self.network.blocks)
        self.network.defers = self.optimizer.uses_factors
        self.batches = batches
        self.ids = list(range(len(members)))
        self.lam = np.array([m.lam for m in members], dtype=np.float64)
        self.rates = np.stack([m.rates for m in members], axis=1)
        self.dropout_rngs = [stream(m.seed, "dropout") for m in members]
        self.step = 0
        self.diverged_at: dict[int, int] = {}  # by id: the step that a member diverged in

    def advance(self, until: int, stop: Callable[[], bool] = lambda: False) -> list[int]:
        """Take steps up to step number ``until``, or until ``stop()`` says so between two steps.

        Returns the ids of the members that diverged on the way; they are no longer in the arrays.
        """
        diverged: list[int] = []
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            while self.step < until and self.ids and not stop():
                x, q = self.batches.get(self.step)
                bad = self.network.gradients(x, q, self.dropout_rngs)
                self.optimizer.step(self.rates[self.step], self.lam)
                self.step += 1
                if bad is not None:
                    lost = [self.ids[k] for k in np.flatnonzero(bad)]
                    diverged += lost
                    self.diverged_at |= dict.fromkeys(lost, self.step)
                    self.drop(lost)
        return diverged

    def drop(self, ids: Sequence[int]) -> None:
        """Take members out of the arrays."""
        kept = np.array([k for k, i in enumerate(self.ids) if i not in set(ids)], dtype=np.intp)
        self.ids = [self.ids[k] for k in kept]
        if not self.ids:
            return
        self.optimizer.keep(kept)
        self.network.keep(kept)
        self.lam, self.rates = self.lam[kept], np.ascontiguousarray(self.rates[:, kept])
        self.dropout_rngs = [self.dropout_rngs[k] for k in kept]

    def member_state(self, member_id: int) -> dict[str, np.ndarray]:
        """Everything that member ``member_id`` needs to go on: arrays of numbers and one string."""
        k = self.ids.index(member_id)
        rng_state = json.dumps(self.dropout_rngs[k].bit_generator.state)
        return {
            **self.network.member_state(k),
            **self.optimizer.member_state(k),
            "step": np.array(self.step),
            "dropout_rng": np.array(rng_state),
        }

    def load_member(self, member_id: int, state: dict[str, np.ndarray]) -> None:
        """Set a member from what ``member_state`` gave; all members must come from the same step."""
        k = self.ids.index(member_id)
        self.network.load_member(k, state)
        self.optimizer.load_member(k, state)
        self.step = int(state["step"])
        self.dropout_rngs[k].bit_generator.state = json.loads(str(state["dropout_rng"]))
