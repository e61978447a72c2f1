"""Flips and shifts of hand-made pictures, and the random choice of them."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import Array

from kls.core.augmentation import Augmentation, Augmenter, augment_share

SHAPE = (1, 3, 3)
PICTURE = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
MOVES = {
    "unmoved": [1, 2, 3, 4, 5, 6, 7, 8, 9],
    "right": [0, 1, 2, 0, 4, 5, 0, 7, 8],
    "left": [2, 3, 0, 5, 6, 0, 8, 9, 0],
    "down": [0, 0, 0, 1, 2, 3, 4, 5, 6],
    "up": [4, 5, 6, 7, 8, 9, 0, 0, 0],
    "down right": [0, 0, 0, 0, 1, 2, 0, 4, 5],
    "down left": [0, 0, 0, 2, 3, 0, 5, 6, 0],
    "up right": [0, 4, 5, 0, 7, 8, 0, 0, 0],
    "up left": [5, 6, 0, 8, 9, 0, 0, 0, 0],
}
FLIPPED = [3, 2, 1, 6, 5, 4, 9, 8, 7]


def applied(augmentation: Augmentation, x: Array, choice: Array, shape: tuple[int, int, int] = SHAPE) -> Array:
    out = np.full_like(x, np.nan)
    Augmenter(augmentation, shape).apply(x, choice, out)
    return out


def drawn(augmentation: Augmentation, n: int, seed: int = 0) -> list[list[float]]:
    """n augmented copies of the picture."""
    choice = augmentation.draw(np.random.default_rng(seed), n)
    assert choice.shape == (n,)
    return applied(augmentation, np.tile(PICTURE.reshape(1, -1), (n, 1)), choice).tolist()


def moved(picture: Array, dy: int, dx: int) -> Array:
    """The picture (c, h, w) moved dy pixels down and dx to the right, pixel by pixel."""
    result = np.zeros_like(picture)
    channels, height, width = picture.shape
    for c in range(channels):
        for i in range(height):
            for j in range(width):
                if 0 <= i - dy < height and 0 <= j - dx < width:
                    result[c, i, j] = picture[c, i - dy, j - dx]
    return result


def test_probability_zero_changes_nothing() -> None:
    augmentation = Augmentation(flip=0.0, translate=0.0, reach=1)
    assert not augmentation.enabled
    assert drawn(augmentation, 50) == [MOVES["unmoved"]] * 50


def test_flip_probability_one_mirrors_every_picture() -> None:
    augmentation = Augmentation(flip=1.0)
    assert augmentation.enabled
    assert drawn(augmentation, 50) == [FLIPPED] * 50


def test_shifts_of_one_pixel_are_the_nine_made_by_hand() -> None:
    """Each about a ninth of the time: 4500 draws, 500 +- 5 standard deviations of 21."""
    pictures = drawn(Augmentation(translate=1.0, reach=1), 4500)
    counts = {name: pictures.count(pixels) for name, pixels in MOVES.items()}
    assert sum(counts.values()) == 4500
    assert all(395 <= n <= 605 for n in counts.values()), counts


def test_probabilities_are_those_asked_for() -> None:
    """flip 0.3, translate 0.6: 1 - 0.6 * 8/9 unmoved; 10000 draws, 5 standard deviations."""
    pictures = np.array(drawn(Augmentation(flip=0.3, translate=0.6, reach=1), 10_000))
    x = pictures.reshape(-1, 3, 3)
    unflipped = [any(p == m for m in MOVES.values()) for p in pictures.tolist()]
    assert np.mean(unflipped) == pytest.approx(0.7, abs=0.023)
    unmoved = (x[:, 1, 1] == 5.0).mean()
    assert unmoved == pytest.approx(1.0 - 0.6 * 8.0 / 9.0, abs=0.025)
    both = [p == FLIPPED for p in pictures.tolist()]
    assert np.mean(both) == pytest.approx(0.3 * (1.0 - 0.6 * 8.0 / 9.0), abs=0.018)


def test_translation_needs_a_reach() -> None:
    assert not Augmentation(translate=1.0, reach=0).enabled
    assert Augmentation(translate=0.1, reach=1).enabled
    assert drawn(Augmentation(translate=1.0, reach=0), 5) == [MOVES["unmoved"]] * 5


def test_every_map_of_a_colour_picture() -> None:
    """2 channels, 3 by 4 pixels, up to 2 pixels: 50 maps, each one a flip or none and a shift of its own."""
    shape, augmentation = (2, 3, 4), Augmentation(0.5, 0.5, 2)
    picture = np.arange(1.0, 25.0).reshape(shape)
    got = applied(augmentation, np.tile(picture.reshape(1, -1), (50, 1)), np.arange(50), shape)
    expected = {
        moved(source, dy, dx).tobytes()
        for source in (picture, picture[:, :, ::-1])
        for dy in range(-2, 3)
        for dx in range(-2, 3)
    }
    assert len(expected) == 50
    assert {row.tobytes() for row in got} == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_picture_of_a_batch_takes_its_own_view(dtype: type) -> None:
    rng, augmentation = np.random.default_rng(3), Augmentation(0.5, 0.8, 1)
    x = rng.standard_normal((200, 9)).astype(dtype)
    choice = augmentation.draw(rng, 200)
    got = applied(augmentation, x, choice)
    assert got.dtype == dtype
    for picture, view, seen in zip(x.reshape(-1, *SHAPE), choice, got, strict=True):
        flip, dy, dx = np.unravel_index(view, (2, 3, 3))  # a view begins dy - 1 pixels lower, so its pixels move up
        assert np.array_equal(seen, moved(picture[:, :, ::-1] if flip else picture, 1 - dy, 1 - dx).ravel())


def test_batches_of_other_sizes_and_types_follow() -> None:
    augmenter, rng = Augmenter(Augmentation(1.0, 1.0, 1), SHAPE), np.random.default_rng(4)
    for n, dtype in ((5, np.float64), (3, np.float64), (3, np.float32), (5, np.float64)):
        x, choice = rng.standard_normal((n, 9)).astype(dtype), rng.integers(0, 18, n)
        assert np.array_equal(augmenter.applied(x, choice), applied(augmenter.augmentation, x, choice))


@pytest.mark.parametrize(("share", "n"), [(0.0, 0), (0.1, 150), (0.3, 450), (1.0, 1500)])
def test_share_of_augmented_test_pictures_is_exact(share: float, n: int) -> None:
    """A flip changes each of these pictures, so the changed ones can be counted."""
    x = np.random.default_rng(4).standard_normal((1500, 9))
    kept = x.copy()
    result = augment_share(x, Augmentation(flip=1.0), share, SHAPE, np.random.default_rng(5))
    assert np.array_equal(x, kept)
    changed = np.any(result != x, axis=1)
    assert changed.sum() == n
    flipped = x.reshape(-1, 3, 3)[:, :, ::-1].reshape(-1, 9)
    assert np.array_equal(result[changed], flipped[changed])
    again = augment_share(x, Augmentation(flip=1.0), share, SHAPE, np.random.default_rng(5))
    assert np.array_equal(result, again)


def test_augmented_test_pictures_are_chosen_at_random() -> None:
    x = np.random.default_rng(4).standard_normal((1000, 9))
    chosen = [
        np.flatnonzero(
            np.any(augment_share(x, Augmentation(flip=1.0), 0.2, SHAPE, np.random.default_rng(s)) != x, axis=1)
        )
        for s in (1, 2)
    ]
    assert not np.array_equal(chosen[0], chosen[1])
    assert all(c.mean() == pytest.approx(499.5, abs=100) for c in chosen)
