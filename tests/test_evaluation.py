"""Scores and predictions, and that taking them changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import (
    OPTIMIZERS,
    Array,
    assert_same_state,
    plain_forward,
    random_network,
    toy_architecture,
    toy_batches,
    toy_members,
    toy_pictures,
)

from kls.core.evaluation import evaluate, predict
from kls.core.network import Network
from kls.core.population import Population

LAM = np.array([0.0, 1e-3, 0.5])


def trained_network(bn: str | None, statistics: str, dtype: type = np.float64) -> Network:
    """Three members with random parameters and statistics of six mini-batches."""
    architecture = toy_architecture(bn=bn, bn_statistics=statistics, precise_batches=4, dtype=np.dtype(dtype))
    network = random_network(architecture, 3, 20, np.random.default_rng(1))
    batches = toy_batches(np.dtype(dtype))
    for step in range(6):
        assert network.gradients(*batches.get(step), []) is None
    return network


def by_hand(network: Network, k: int, x: Array, labels: Array) -> tuple[float, float, float, Array]:
    """Loss, L2 term for lam = 1, accuracy and predictions of one member, for all pictures at once."""
    state = network.member_state(k)
    logits, _ = plain_forward(network.architecture, state, x, kept="bn1.mean" in state)
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    squares = sum(float(np.sum(state[name] ** 2)) for name in ("W1", "W2", "W3"))
    predicted = logits.argmax(axis=1)
    return (
        float(-np.mean(np.log(p[np.arange(len(x)), labels]))),
        squares,
        float(np.mean(predicted == labels)),
        predicted,
    )


@pytest.mark.parametrize("n", [1, 999, 1000, 1001, 2503])
@pytest.mark.parametrize(
    ("bn", "statistics"),
    [(None, "ema"), ("before", "ema"), ("after", "precise"), ("before", "adaptive"), ("after", "adaptive")],
)
def test_scores_and_predictions_by_hand_in_any_number_of_blocks(bn: str | None, statistics: str, n: int) -> None:
    """More pictures than fit a block give what they give at once, with adaptive statistics too."""
    network = trained_network(bn, statistics)
    x, labels = toy_pictures(n, seed=3)
    scores, predicted = evaluate(network, x, labels, LAM), predict(network, x)
    assert predicted.shape == (n, 3)
    for k in range(3):
        loss, squares, accuracy, expected = by_hand(network, k, x, labels)
        assert scores.loss[k] == pytest.approx(loss, rel=1e-12)
        assert scores.cost[k] == pytest.approx(loss + LAM[k] * squares, rel=1e-12)
        assert scores.accuracy[k] == pytest.approx(accuracy, abs=1e-15)
        assert np.array_equal(predicted[:, k], expected)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-13)])
def test_scores_equal_torch(dtype: type, tolerance: float) -> None:
    torch = pytest.importorskip("torch")
    network = trained_network("before", "ema", dtype)
    x, labels = toy_pictures(2503, seed=3)
    x = x.astype(dtype)
    scores, logits = evaluate(network, x, labels, LAM), torch.tensor(network.logits(x).astype(np.float64))
    assert scores.loss.dtype == scores.cost.dtype == scores.accuracy.dtype == np.float64
    for k in range(3):
        loss = torch.nn.functional.cross_entropy(logits[:, k], torch.tensor(labels)).item()
        state = network.member_state(k)
        penalty = sum(torch.tensor(state[f"W{i}"].astype(np.float64)).square().sum().item() for i in (1, 2, 3))
        accuracy = (logits[:, k].argmax(1) == torch.tensor(labels)).double().mean().item()
        assert scores.loss[k] == pytest.approx(loss, rel=tolerance)
        assert scores.cost[k] == pytest.approx(loss + LAM[k] * penalty, rel=tolerance)
        assert scores.accuracy[k] == pytest.approx(accuracy, abs=1e-3 if dtype is np.float32 else 1e-12)


def test_label_smoothing_is_not_part_of_the_scores() -> None:
    x, labels = toy_pictures(100)
    smoothed, plain = (
        random_network(toy_architecture(label_smoothing=s), 2, 20, np.random.default_rng(2)) for s in (0.3, 0.0)
    )
    got, expected = (evaluate(network, x, labels, np.zeros(2)) for network in (smoothed, plain))
    assert np.array_equal(got.loss, expected.loss)


@pytest.mark.parametrize("statistics", ["ema", "precise", "adaptive"])
@pytest.mark.parametrize("bn", [None, "before", "after"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_evaluation_changes_nothing(optimizer: str, bn: str | None, statistics: str) -> None:
    """Neither a state nor the rest of the training, nor the pictures; random states are part of the state."""
    architecture = toy_architecture(bn=bn, bn_statistics=statistics, dropout=(0.2, 0.3))
    evaluated, undisturbed = (
        Population(architecture, toy_members(2, 30, optimizer), OPTIMIZERS[optimizer], toy_batches(augment=True))
        for _ in range(2)
    )
    x, labels = toy_pictures(70, seed=4)
    kept_x, kept_labels = x.copy(), labels.copy()
    for step in range(0, 31, 6):
        evaluated.advance(step)
        before = [evaluated.member_state(i) for i in range(2)]
        first = evaluate(evaluated.network, x, labels, evaluated.lam)
        predict(evaluated.network, x)
        second = evaluate(evaluated.network, x, labels, evaluated.lam)
        assert np.array_equal(first.cost, second.cost)
        for i in range(2):
            assert_same_state(evaluated.member_state(i), before[i])
    assert np.array_equal(x, kept_x)
    assert np.array_equal(labels, kept_labels)
    undisturbed.advance(30)
    for i in range(2):
        assert_same_state(evaluated.member_state(i), undisturbed.member_state(i))


def test_adaptive_statistics_depend_on_the_whole_set() -> None:
    """So the first pictures of a set score differently when they come alone; with kept ones they do not."""
    x, _ = toy_pictures(1500, seed=3)
    adaptive, kept = trained_network("before", "adaptive"), trained_network("before", "ema")
    assert not np.allclose(adaptive.logits(x)[:20], adaptive.logits(x[:20]), atol=1e-3)
    assert np.allclose(kept.logits(x)[:20], kept.logits(x[:20]), rtol=0.0, atol=1e-11)


def test_a_member_without_finite_weights_spoils_no_other() -> None:
    network = trained_network("before", "ema")
    x, labels = toy_pictures(50)
    expected = evaluate(network, x, labels, LAM)
    state = network.member_state(1)
    state["W2"][0, 0] = np.nan
    network.load_member(1, state)
    with np.errstate(invalid="ignore"):
        scores = evaluate(network, x, labels, LAM)
    assert np.isnan(scores.loss[1])
    assert scores.loss[[0, 2]] == pytest.approx(expected.loss[[0, 2]], rel=1e-13)
    assert np.array_equal(scores.accuracy[[0, 2]], expected.accuracy[[0, 2]])
