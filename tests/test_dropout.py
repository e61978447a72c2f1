"""Inverted dropout: values, rate, each member's own generator, training only."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import OPTIMIZERS, random_network, toy_architecture, toy_batches, toy_members, toy_pictures

from kls.core.dropout import draw_masks
from kls.core.population import Population
from kls.core.streams import stream


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_masks_keep_the_expected_value(rate: float, dtype: type) -> None:
    """40 000 draws a member; bounds of 5 standard errors."""
    masks = np.full((400, 2, 100), np.nan, dtype)
    draw_masks([stream(1, "dropout"), stream(2, "dropout")], rate, masks)
    assert np.unique(masks) == pytest.approx([0.0, 1.0 / (1.0 - rate)], rel=1e-6)
    error = 5.0 * np.sqrt(rate * (1.0 - rate) / 40_000)
    for k in range(2):
        assert np.mean(masks[:, k] == 0.0) == pytest.approx(rate, abs=error)
        assert masks[:, k].mean(dtype=np.float64) == pytest.approx(1.0, abs=error / (1.0 - rate))
    assert 0.0 < np.mean((masks[:, 0] == 0.0) & (masks[:, 1] == 0.0)) < rate


def test_each_member_draws_as_it_would_alone() -> None:
    together, alone = np.empty((7, 3, 5)), np.empty((7, 1, 5))
    draw_masks([stream(s, "dropout") for s in (1, 2, 3)], 0.4, together)
    for k, seed in enumerate((1, 2, 3)):
        draw_masks([stream(seed, "dropout")], 0.4, alone)
        assert np.array_equal(together[:, k], alone[:, 0])
    assert not np.array_equal(together[:, 0], together[:, 1])


def test_masks_differ_from_step_to_step() -> None:
    rng, first, second = stream(1, "dropout"), np.empty((7, 1, 5)), np.empty((7, 1, 5))
    draw_masks([rng], 0.5, first)
    draw_masks([rng], 0.5, second)
    assert not np.array_equal(first, second)


def test_evaluation_is_without_dropout() -> None:
    with_dropout = random_network(toy_architecture(dropout=(0.5, 0.9)), 2, 10, np.random.default_rng(4))
    without = random_network(toy_architecture(), 2, 10, np.random.default_rng(4))
    x, _ = toy_pictures(30)
    assert np.array_equal(with_dropout.logits(x), without.logits(x))
    assert np.array_equal(with_dropout.logits(x), with_dropout.logits(x))


def test_dropout_changes_training() -> None:
    states = []
    for rates in ((), (0.5, 0.0), (0.0, 0.5)):
        population = Population(
            toy_architecture(dropout=rates), toy_members(1, 5, "sgd"), OPTIMIZERS["sgd"], toy_batches()
        )
        population.advance(5)
        states.append(population.member_state(0))
    assert not np.array_equal(states[0]["W1"], states[1]["W1"])
    assert not np.array_equal(states[0]["W1"], states[2]["W1"])
    assert not np.array_equal(states[1]["W1"], states[2]["W1"])
    assert states[0]["dropout_rng"] != states[1]["dropout_rng"]
