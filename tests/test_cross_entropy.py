"""Softmax, cross-entropy and label smoothing against hand-computed values and torch."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import relative_error

from kls.core import cross_entropy

FLOAT64 = np.dtype(np.float64)


def test_targets_by_hand() -> None:
    q = cross_entropy.targets(np.array([1, 0]), 4, 0.0, FLOAT64)
    assert q.tolist() == [[0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]]
    smooth = cross_entropy.targets(np.array([1]), 4, 0.2, FLOAT64)
    assert smooth == pytest.approx(np.array([[0.05, 0.85, 0.05, 0.05]]), abs=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_targets_are_distributions(dtype: type, smoothing: float) -> None:
    labels = np.random.default_rng(0).integers(0, 10, 100).astype(np.uint8)
    q = cross_entropy.targets(labels, 10, smoothing, np.dtype(dtype))
    assert q.dtype == dtype
    assert q.sum(axis=1) == pytest.approx(np.ones(100), abs=1e-6)
    assert np.array_equal(q.argmax(axis=1), labels)


def test_gradient_by_hand() -> None:
    """Two pictures, three classes; p = (1, 2, 5) / 8 and (1/3, 1/3, 1/3)."""
    logits = np.log(np.array([[[1.0, 2.0, 5.0]], [[4.0, 4.0, 4.0]]]))
    q = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    assert cross_entropy.gradient(logits, q, np.empty((2, 1)))
    assert logits[0, 0] == pytest.approx(np.array([1 / 16, 2 / 16, -3 / 16]), abs=1e-15)
    assert logits[1, 0] == pytest.approx(np.array([-1 / 3, 1 / 6, 1 / 6]), abs=1e-15)


def test_loss_and_right_answers_by_hand() -> None:
    logits = np.log(np.array([[[1.0, 2.0, 5.0], [7.0, 1.0, 2.0]], [[4.0, 4.0, 4.0], [1.0, 8.0, 1.0]]]))
    loss, correct = cross_entropy.loss_and_correct(logits, np.array([2, 0]))
    assert loss == pytest.approx([np.log(8 / 5) + np.log(3), np.log(10 / 2) + np.log(10)], rel=1e-14)
    assert correct.tolist() == [2, 0], "of equal logits the first counts"


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_gradient_equals_torch(smoothing: float) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    logits, labels = 5.0 * rng.standard_normal((37, 3, 10)), rng.integers(0, 10, 37)
    t = torch.tensor(logits, requires_grad=True)
    losses = [
        torch.nn.functional.cross_entropy(t[:, k], torch.tensor(labels), label_smoothing=smoothing) for k in range(3)
    ]
    sum(losses).backward()
    q = cross_entropy.targets(labels, 10, smoothing, FLOAT64)
    assert cross_entropy.gradient(logits, q, np.empty((37, 3)))
    assert relative_error(logits, t.grad.numpy()) < 1e-14


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-6), (np.float64, 1e-14)])
def test_loss_equals_torch(dtype: type, tolerance: float) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    logits, labels = (5.0 * rng.standard_normal((1000, 3, 10))).astype(dtype), rng.integers(0, 10, 1000)
    t = torch.tensor(logits.astype(np.float64))
    expected = [torch.nn.functional.cross_entropy(t[:, k], torch.tensor(labels), reduction="sum") for k in range(3)]
    right = [int((t[:, k].argmax(1) == torch.tensor(labels)).sum()) for k in range(3)]
    loss, correct = cross_entropy.loss_and_correct(logits, labels)
    assert loss.dtype == np.float64
    assert loss == pytest.approx([e.item() for e in expected], rel=tolerance)
    assert correct.tolist() == right


@pytest.mark.parametrize("size", [1e2, 1e4, 1e30])
def test_large_logits_neither_overflow_nor_lose_the_loss(size: float) -> None:
    logits = np.array([[[size, 0.0, -size]], [[0.0, size, 0.0]]], np.float32)
    loss, correct = cross_entropy.loss_and_correct(logits.copy(), np.array([1, 1]))
    assert loss == pytest.approx([size], rel=1e-6)
    assert correct.tolist() == [1]
    assert cross_entropy.gradient(logits, np.eye(3, dtype=np.float32)[[1, 1]], np.empty((2, 1), np.float32))
    assert logits[:, 0] == pytest.approx(np.array([[0.5, -0.5, 0.0], [0.0, 0.0, 0.0]]), abs=1e-40)


def test_gradient_of_a_picture_that_is_surely_right_is_zero() -> None:
    logits = np.array([[[800.0, 0.0]]])
    assert cross_entropy.gradient(logits, np.array([[1.0, 0.0]]), np.empty((1, 1)))
    assert logits.tolist() == [[[0.0, 0.0]]]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_members_with_a_logit_that_is_no_number_are_named(wrong: float) -> None:
    logits = np.random.default_rng(3).standard_normal((4, 3, 5))
    logits[2, 1] = wrong
    row_sum = np.empty((4, 3))
    with np.errstate(invalid="ignore"):
        assert not cross_entropy.gradient(logits, np.eye(5)[[0, 1, 2, 3]], row_sum)
    assert np.isfinite(row_sum).all(axis=0).tolist() == [True, False, True]
