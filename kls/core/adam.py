"""Adam (Kingma & Ba 2015, algorithm 1) on J = loss + lam * sum(W**2).

g = dloss/dw + 2 lam w (weights only), t = 1, 2, ...
m <- beta1 m + (1 - beta1) g        v <- beta2 v + (1 - beta2) g**2
w <- w - eta (m / (1 - beta1**t)) / (sqrt(v / (1 - beta2**t)) + epsilon)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kls.core.parameter import Block


class Adam:
    """beta1, beta2, epsilon: shared by the members; rates and lam are each member's own."""

    def __init__(
        self, blocks: Sequence[Block], beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8
    ) -> None:
        self.blocks = blocks
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self.t = 0
        self.takes_factors = False
        self.first = [np.zeros_like(b.value) for b in blocks]
        self.second = [np.zeros_like(b.value) for b in blocks]
        self._scratch = [np.empty_like(b.value) for b in blocks]

    def step(self, eta: np.ndarray, lam: np.ndarray) -> None:
        """One update of all members with their gradients; eta and lam have shape (K,)."""
        self.t += 1
        correct1, correct2 = 1.0 - self.beta1**self.t, 1.0 - self.beta2**self.t
        for block, m, v, scratch in zip(self.blocks, self.first, self.second, self._scratch, strict=True):
            g, n = block.gradient, len(block.penalised_value)
            np.multiply(block.penalised_value, block.spread_penalised(2.0 * lam), out=scratch[:n])
            g[:n] += scratch[:n]
            m *= self.beta1
            np.multiply(g, 1.0 - self.beta1, out=scratch)
            m += scratch
            v *= self.beta2
            np.multiply(g, g, out=scratch)
            scratch *= 1.0 - self.beta2
            v += scratch
            np.multiply(v, 1.0 / correct2, out=scratch)
            np.sqrt(scratch, out=scratch)
            scratch += self.epsilon
            np.divide(m, scratch, out=scratch)
            scratch *= block.spread(eta / correct1)
            block.value -= scratch

    def keep(self, members: np.ndarray) -> None:
        """Drop every member but those with the given indices, before the blocks do."""
        for moments in (self.first, self.second):
            moments[:] = [b.keep_of(m, members) for b, m in zip(self.blocks, moments, strict=True)]
        self._scratch = [np.empty_like(m) for m in self.first]

    def member_state(self, k: int) -> dict[str, np.ndarray]:
        """Copies of member k's moments, and the number of updates."""
        state = {"adam.t": np.array(self.t)}
        for kind, moments in (("first", self.first), ("second", self.second)):
            for block, moment in zip(self.blocks, moments, strict=True):
                state[f"adam.{kind}.{block.name}"] = block.member_of(moment, k)
        return state

    def load_member(self, k: int, state: dict[str, np.ndarray]) -> None:
        """Set member k from what ``member_state`` gave."""
        self.t = int(state["adam.t"])
        for kind, moments in (("first", self.first), ("second", self.second)):
            for block, moment in zip(self.blocks, moments, strict=True):
                block.set_member(moment, k, state[f"adam.{kind}.{block.name}"])
