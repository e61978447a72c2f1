"""Adam (Kingma & Ba 2015, algorithm 1) on J = loss + lam * sum(W**2).

g = dloss/dw + 2 lam w (weights only), t = 1, 2, ...
m <- beta1 m + (1 - beta1) g        v <- beta2 v + (1 - beta2) g**2
w <- w - eta (m / (1 - beta1**t)) / (sqrt(v / (1 - beta2**t)) + epsilon)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kls.core.parameter import PART, Block


class Adam:
    """beta1, beta2, epsilon: shared by the members; rates and lam are each member's own."""

    def __init__(
        self, blocks: Sequence[Block], beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8
    ) -> None:
        self.blocks = blocks
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self.t = 0
        self.uses_factors = False
        self.first = [np.zeros_like(b.value) for b in blocks]
        self.second = [np.zeros_like(b.value) for b in blocks]
        self._scratch = np.empty(max(PART, *(b.value[0].size for b in blocks)), blocks[0].value.dtype)

    def step(self, eta: np.ndarray, lam: np.ndarray) -> None:
        """One update of all members with their gradients; eta and lam have shape (K,)."""
        self.t += 1
        correct1, correct2 = 1.0 - self.beta1**self.t, 1.0 - self.beta2**self.t
        for block, first, second in zip(self.blocks, self.first, self.second, strict=True):
            rate, decay = block.broadcast(eta / correct1), block.broadcast_penalised(2.0 * lam)
            for part, penalised in block.parts:
                w, g, m, v = block.value[part], block.gradient[part], first[part], second[part]
                scratch = self._scratch[: g.size].reshape(g.shape)
                if penalised:
                    g += np.multiply(w, block.part_of(decay, part), scratch)
                m *= self.beta1
                m += np.multiply(g, 1.0 - self.beta1, scratch)
                v *= self.beta2
                np.multiply(g, g, scratch)
                scratch *= 1.0 - self.beta2
                v += scratch
                np.multiply(v, 1.0 / correct2, scratch)
                np.sqrt(scratch, scratch)
                scratch += self.epsilon
                np.divide(m, scratch, scratch)
                scratch *= block.part_of(rate, part)
                w -= scratch

    def keep(self, members: np.ndarray) -> None:
        """Drop every member but those with the given indices, before the blocks do."""
        for moments in (self.first, self.second):
            moments[:] = [b.keep_of(m, members) for b, m in zip(self.blocks, moments, strict=True)]

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
