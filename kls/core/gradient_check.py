"""Numerical gradients of the cost, to hold the analytic ones against. Float64, one network.

The gradient of J at each entry w of each parameter is taken by the five-point central difference

    D(h) = (8 (J(w+h) - J(w-h)) - (J(w+2h) - J(w-2h))) / (12 h) = dJ/dw + O(h**4).

Step: no single h suits every entry; a large one truncates where BN bends J sharply, a small one
drowns in the rounding of J. D is taken with h = 1e-3, 3e-4, 1e-4, ... until two neighbouring steps
agree to 1e-8 of D or 1e-11, else the estimate is kept that agrees best with its neighbour (Ridders 1982).

Kinks: a difference across a kink of a ReLU measures no derivative. Each evaluation compares the signs
of all ReLU inputs with those at w itself, and an estimate that crossed one is not used. Entries whose
every step crosses a kink are reported as NaN; none are expected.

Speed: an entry of layer l changes one column of that layer's values, so J is computed from there on,
for many entries at once. This forward pass is written anew here and shares no code with the network.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

STEPS = (1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6)
AGREEMENT = 1e-8  # of two steps, relative
NEGLIGIBLE = 1e-11  # absolute
CHUNK_NUMBERS = 100_000  # of one array, at most: stays in the cache

Values = dict[str, np.ndarray]


class CostFrom:
    """The cost of one network on one mini-batch, from any layer on.

    values: parameters by name, W (m, n), b, gamma, beta (n,). bn: None, "before" or "after".
    x (B, d) inputs; q (B, C) target distributions.
    """

    def __init__(self, values: Values, n_layers: int, bn: str | None, epsilon: float, x: np.ndarray, q: np.ndarray):
        self.values, self.n_layers, self.bn, self.epsilon, self.q = values, n_layers, bn, epsilon, q
        self.inputs: list[np.ndarray] = []  # of each layer, (B, m)
        self.products: list[np.ndarray] = []  # x W + b of each layer, (B, n)
        self.normalised: list[np.ndarray] = []  # of each hidden layer under BN, (B, n)
        self.signs: list[np.ndarray] = []  # of the ReLU inputs, (B, n)
        a = x
        for layer in range(1, n_layers + 1):
            self.inputs.append(a)
            self.products.append(self._affine(a, layer))
            if layer < n_layers:
                self.normalised.append(self._normalise(self.products[-1]))
                a = self._hidden(self.products[-1], layer, record=True)

    def _affine(self, a: np.ndarray, layer: int) -> np.ndarray:
        return a @ self.values[f"W{layer}"] + self.values.get(f"b{layer}", 0.0)

    def _normalise(self, z: np.ndarray) -> np.ndarray:
        if self.bn is None:
            return z
        s = np.maximum(z, 0.0) if self.bn == "after" else z
        centred = s - s.mean(axis=-2, keepdims=True)
        return centred / np.sqrt((centred**2).mean(axis=-2, keepdims=True) + self.epsilon)

    def _scale(self, normalised: np.ndarray, layer: int) -> np.ndarray:
        return normalised * self.values[f"gamma{layer}"] + self.values[f"beta{layer}"]

    def scaled(self, layer: int) -> np.ndarray:
        """The hidden layer's values (B, n) after gamma and beta, as they are without any change."""
        return self._scale(self.normalised[layer - 1], layer)

    def _relu(self, s: np.ndarray, layer: int, record: bool, kinked: np.ndarray | None = None) -> np.ndarray:
        if record:
            self.signs.append(s > 0.0)
        if kinked is not None:
            kinked |= ((s > 0.0) != self.signs[layer - 1]).any(axis=(-2, -1))
        return np.maximum(s, 0.0)

    def _hidden(
        self, z: np.ndarray, layer: int, record: bool = False, kinked: np.ndarray | None = None
    ) -> np.ndarray:
        if self.bn == "before":
            return self._relu(self._scale(self._normalise(z), layer), layer, record, kinked)
        a = self._relu(z, layer, record, kinked)
        return self._scale(self._normalise(z), layer) if self.bn == "after" else a

    def after_product(self, z: np.ndarray, layer: int) -> tuple[np.ndarray, np.ndarray]:
        """Loss (P,) for P versions z (P, B, n) of the layer's products, and which crossed a kink (P,)."""
        kinked = np.zeros(len(z), bool)
        while layer < self.n_layers:
            z = self._affine(self._hidden(z, layer, kinked=kinked), layer + 1)
            layer += 1
        return self._loss(z), kinked

    def after_scale(self, y: np.ndarray, layer: int) -> tuple[np.ndarray, np.ndarray]:
        """The same for versions y (P, B, n) of the layer's scaled and shifted values."""
        kinked = np.zeros(len(y), bool)
        a = self._relu(y, layer, False, kinked) if self.bn == "before" else y
        loss, later = self.after_product(self._affine(a, layer + 1), layer + 1)
        return loss, kinked | later

    def _loss(self, logits: np.ndarray) -> np.ndarray:
        shifted = logits - logits.max(axis=-1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        return -(self.q * log_p).sum(axis=(-2, -1)) / len(self.q)


def numerical_gradients(cost: CostFrom, lam: float) -> Values:
    """dJ/dw of every entry of every parameter, J = loss + lam * sum of squared W; NaN on a kink."""
    found: Values = {}
    for name, value in cost.values.items():
        kind, layer = name.rstrip("0123456789"), int(name.lstrip("Wbgamet"))
        units = np.arange(value.size) % value.shape[-1]
        follow: Callable[..., tuple[np.ndarray, np.ndarray]]
        if kind in ("W", "b"):
            base, follow = cost.products[layer - 1], cost.after_product
        else:
            base, follow = cost.scaled(layer), cost.after_scale
        match kind:
            case "W":
                change = cost.inputs[layer - 1].T[np.arange(value.size) // value.shape[-1]]
            case "gamma":
                change = cost.normalised[layer - 1].T
            case _:
                change = np.ones((value.size, len(base)))
        gradient = _differences(base, units, change, partial(follow, layer=layer))
        if kind == "W":
            gradient += 2.0 * lam * value.reshape(-1)  # the exact central difference of lam * w**2
        found[name] = gradient.reshape(value.shape)
    return found


def _differences(
    base: np.ndarray,
    units: np.ndarray,
    change: np.ndarray,
    loss: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
) -> np.ndarray:
    """Five-point differences of the loss for entries that add h * change[e] (B,) to column units[e] of base (B, n)."""
    best, doubt = np.full(len(units), np.nan), np.full(len(units), np.inf)
    before = np.full(len(units), np.nan)
    todo = np.arange(len(units))
    chunk = max(1, CHUNK_NUMBERS // max(base.size, 1))
    for h in STEPS:
        estimate = np.concatenate(
            [_five_point(base, units[e], change[e], h, loss) for e in np.split(todo, range(chunk, len(todo), chunk))]
        )
        difference = np.abs(estimate - before[todo])
        difference[np.isnan(difference)] = np.inf
        better = (difference < doubt[todo]) | (np.isnan(best[todo]) & ~np.isnan(estimate))
        best[todo[better]], doubt[todo[better]] = estimate[better], difference[better]
        before[todo] = estimate
        todo = todo[~(doubt[todo] <= np.maximum(AGREEMENT * np.abs(best[todo]), NEGLIGIBLE))]
        if not len(todo):
            break
    return best


def _five_point(
    base: np.ndarray,
    units: np.ndarray,
    change: np.ndarray,
    h: float,
    loss: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
) -> np.ndarray:
    """D(h) of each entry, NaN where an evaluation crossed a kink."""
    weighted, kinked = np.zeros(len(units)), np.zeros(len(units), bool)
    for multiple, weight in ((1, 8.0), (-1, -8.0), (2, -1.0), (-2, 1.0)):
        versions = np.repeat(base[None], len(units), axis=0)
        versions[np.arange(len(units)), :, units] += multiple * h * change
        value, crosses = loss(versions)
        weighted += weight * value
        kinked |= crosses
    return np.where(kinked, np.nan, weighted / (12.0 * h))
