"""Mini-batches: permutations of the pictures, the same for any order of asking."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import Array

from kls.core.augmentation import Augmentation, Augmenter
from kls.core.batches import Batches

SHAPE = (1, 2, 3)
AUGMENTATION = Augmentation(flip=0.5, translate=0.6, reach=1)


def made(n: int = 53, batch_size: int = 10, order_seed: int = 1, augment: bool = False) -> Batches:
    """Picture i holds i + 1 in every pixel; its target is (i, -i)."""
    x = np.repeat(np.arange(1.0, n + 1)[:, None], 6, axis=1)
    q = np.stack([np.arange(n), -np.arange(n)], axis=1).astype(float)
    return Batches(x, q, batch_size, order_seed, Augmenter(AUGMENTATION, SHAPE) if augment else None)


def pictures(batches: Batches, step: int) -> list[int]:
    """Which pictures a mini-batch holds, and that picture and target belong together."""
    x, q = batches.get(step)
    assert x.shape == (batches.batch_size, 6)
    assert np.array_equal(x, np.repeat(x[:, :1], 6, axis=1))
    assert np.array_equal(q, np.stack([x[:, 0] - 1, 1 - x[:, 0]], axis=1))
    return (x[:, 0] - 1).astype(int).tolist()


def epoch(batches: Batches, number: int) -> list[int]:
    first = number * batches.steps_per_epoch
    return [i for step in range(first, first + batches.steps_per_epoch) for i in pictures(batches, step)]


@pytest.mark.parametrize(("n", "batch_size"), [(50, 10), (50, 50), (50, 1), (7, 7)])
def test_an_epoch_is_a_permutation(n: int, batch_size: int) -> None:
    batches = made(n, batch_size)
    assert batches.steps_per_epoch == n // batch_size
    for number in range(4):
        assert sorted(epoch(batches, number)) == list(range(n))


def test_no_picture_comes_twice_in_an_epoch_when_some_are_left_over() -> None:
    batches = made(53, 10)
    assert batches.steps_per_epoch == 5
    left_out = set()
    for number in range(400):
        seen = epoch(batches, number)
        assert len(set(seen)) == len(seen) == 50
        left_out |= set(range(53)) - set(seen)
    assert left_out == set(range(53))


def test_epochs_and_order_seeds_differ() -> None:
    orders = [epoch(made(order_seed=seed), number) for seed in (1, 2, 3) for number in (0, 1, 2)]
    assert len({tuple(order) for order in orders}) == 9
    in_order = [sum(a == b for a, b in zip(order, range(50), strict=True)) for order in orders]
    assert max(in_order) < 10


@pytest.mark.parametrize("augment", [False, True])
def test_any_order_of_steps_gives_the_same_mini_batches(augment: bool) -> None:
    def copies(steps: list[int]) -> dict[int, tuple[Array, Array]]:
        batches = made(augment=augment)
        got = {}
        for step in steps:
            x, q = batches.get(step)
            got[step] = x.copy(), q.copy()
        return got

    forwards = copies(list(range(30)))
    shuffled = copies(np.random.default_rng(2).permutation(30).tolist())
    alone = copies([17])
    for step in range(30):
        assert all(np.array_equal(a, b) for a, b in zip(forwards[step], shuffled[step], strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(forwards[17], alone[17], strict=True))


def test_augmentation_changes_neither_order_nor_targets() -> None:
    """Each augmented picture is one of the plain picture's 18 flips and shifts."""
    plain, augmented = made(), made(augment=True)
    views = np.arange(18)
    for step in range(12):
        x, q = plain.get(step)
        seen, q_seen = augmented.get(step)
        assert np.array_equal(q, q_seen)
        for picture, result in zip(x, seen, strict=True):
            assert result.tolist() in Augmenter(AUGMENTATION, SHAPE).applied(np.tile(picture, (18, 1)), views).tolist()


def test_a_picture_is_augmented_anew_each_epoch() -> None:
    batches = made(n=20, batch_size=20, augment=True)
    results = {tuple(batches.get(step)[0][batches.get(step)[1][:, 0] == 3][0]) for step in range(40)}
    assert len(results) >= 6


def test_the_data_are_not_changed() -> None:
    batches = made(augment=True)
    x, q = batches.x.copy(), batches.q.copy()
    for step in range(12):
        got_x, got_q = batches.get(step)
        got_x[...], got_q[...] = np.nan, np.nan
    assert np.array_equal(batches.x, x)
    assert np.array_equal(batches.q, q)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("augment", [False, True])
def test_mini_batches_keep_the_dtype(dtype: type, augment: bool) -> None:
    x, q = np.ones((10, 6), dtype), np.ones((10, 2), dtype)
    batches = Batches(x, q, 5, 0, Augmenter(AUGMENTATION, SHAPE) if augment else None)
    got_x, got_q = batches.get(3)
    assert got_x.dtype == got_q.dtype == dtype
