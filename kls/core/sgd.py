"""Stochastic gradient descent on J = loss + lam * sum(W**2), with or without momentum.

g = dloss/dw + 2 lam w (weights only);  v <- mu v + g;  w <- w - eta v     (heavy ball, Polyak 1964)
Without momentum this is w <- (1 - 2 eta lam) w - eta dloss/dw, which is how it is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from kls.core import affine
from kls.core.parameter import Block


class SGD:
    """momentum: mu, shared by the members; rates and lam are each member's own.

    add_product: computes w += x^T delta for the first layer's weights, or their velocities, whose update is
    that product itself, so that its gradient need not be written down.
    """

    def __init__(
        self,
        blocks: Sequence[Block],
        momentum: float = 0.0,
        add_product: Callable[[np.ndarray, np.ndarray, np.ndarray], None] = affine.add_product_first,
    ) -> None:
        self.blocks = blocks
        self.momentum = momentum
        self.uses_factors = True
        self._add_product = add_product
        self.velocities = [np.zeros_like(b.value) for b in blocks] if momentum else []

    def step(self, eta: np.ndarray, lam: np.ndarray) -> None:
        """One update of all members with their gradients; eta and lam have shape (K,)."""
        if self.momentum:
            self._step_with_momentum(eta, lam)
            return
        decay = 1.0 - 2.0 * eta * lam
        for block in self.blocks:
            np.multiply(block.penalised_value, block.broadcast_penalised(decay), block.penalised_value)
            if block.factors is None:
                np.multiply(block.gradient, block.broadcast(eta), block.gradient)
                np.subtract(block.value, block.gradient, block.value)
            else:
                x, delta = block.factors
                np.multiply(delta, block.broadcast(-eta), delta)
                self._add_product(x, delta, block.value)

    def _step_with_momentum(self, eta: np.ndarray, lam: np.ndarray) -> None:
        for block, velocity in zip(self.blocks, self.velocities, strict=True):
            rate, decay = block.broadcast(eta), block.broadcast_penalised(2.0 * lam)
            if block.factors is not None:
                velocity *= self.momentum
                self._add_product(*block.factors, velocity)
            for part, penalised in block.parts:
                w, v, scratch = block.value[part], velocity[part], block.gradient[part]
                if block.factors is None:
                    v *= self.momentum
                    v += scratch
                if penalised:
                    v += np.multiply(w, block.part_of(decay, part), scratch)
                w -= np.multiply(v, block.part_of(rate, part), scratch)

    def keep(self, members: np.ndarray) -> None:
        """Drop every member but those with the given indices, before the blocks do."""
        self.velocities = [b.keep_of(v, members) for b, v in zip(self.blocks, self.velocities, strict=False)]

    def member_state(self, k: int) -> dict[str, np.ndarray]:
        """Copies of member k's velocities."""
        kept = zip(self.blocks, self.velocities, strict=False)
        return {f"velocity.{block.name}": block.member_of(v, k) for block, v in kept}

    def load_member(self, k: int, state: dict[str, np.ndarray]) -> None:
        """Set member k from what ``member_state`` gave."""
        for block, v in zip(self.blocks, self.velocities, strict=False):
            block.set_member(v, k, state[f"velocity.{block.name}"])
