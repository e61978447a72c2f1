"""Gradients of small networks against central differences of a loss written out in the test, in float64."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest
from helpers import FLOAT64, Array, State, gradient_errors, plain_forward, random_network

from kls.core import cross_entropy, dropout
from kls.core.architecture import Architecture
from kls.core.streams import stream

STEP = 1e-5
BATCH = 9


def difference_quotients(loss: Callable[[State], float], state: State) -> State:
    """Central differences of the loss in every number of every trained array."""
    quotients: State = {}
    for name, value in state.items():
        if "." in name:
            continue
        quotient = np.empty_like(value)
        for index in np.ndindex(value.shape):
            kept = value[index]
            value[index] = kept + STEP
            above = loss(state)
            value[index] = kept - STEP
            below = loss(state)
            value[index] = kept
            quotient[index] = (above - below) / (2.0 * STEP)
        quotients[name] = quotient
    return quotients


def mean_cross_entropy(logits: Array, q: Array) -> float:
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return float(-np.mean(np.sum(q * log_p, axis=1)))


@pytest.mark.parametrize("bn", [None, "before", "after"])
@pytest.mark.parametrize(
    ("hidden", "rates", "smoothing"), [((), (), 0.0), ((6,), (), 0.1), ((5, 4), (0.3, 0.5), 0.0), ((4, 5, 3), (), 0.2)]
)
def test_gradients_equal_central_differences(
    bn: str | None, hidden: tuple[int, ...], rates: tuple[float, ...], smoothing: float
) -> None:
    architecture = Architecture(
        7, hidden, 3, 7, bn=bn, bn_epsilon=1e-3, dropout=rates, label_smoothing=smoothing, dtype=FLOAT64
    )
    rng = np.random.default_rng(len(hidden))
    network = random_network(architecture, 2, BATCH, rng)
    x = rng.standard_normal((BATCH, 7))
    q = cross_entropy.targets(rng.integers(0, 3, BATCH), 3, smoothing, FLOAT64)
    rngs = [stream(5, "dropout"), stream(6, "dropout")]
    equal_rngs = copy.deepcopy(rngs)
    assert network.gradients(x, q, rngs) is None

    for k, equal_rng in enumerate(equal_rngs):
        masks = [np.empty((BATCH, 1, m)) for m in hidden] if rates else []
        for mask, rate in zip(masks, rates, strict=True):
            dropout.draw_masks([equal_rng], rate, mask)

        def loss(state: State, masks: tuple[Array, ...] = tuple(mask[:, 0] for mask in masks)) -> float:
            return mean_cross_entropy(plain_forward(architecture, state, x, masks)[0], q)

        expected = difference_quotients(loss, network.member_state(k))
        got = {p.name: np.moveaxis(p.gradient, p.member_axis, 0)[k] for p in network.parameters}
        assert {name: e for name, e in gradient_errors(got, expected).items() if not e < 1e-7} == {}, k
