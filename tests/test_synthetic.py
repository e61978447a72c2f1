"""The synthetic pictures: layout, determinism, shares of the labels, and how hard they are."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from kls.data import synthetic
from kls.data.synthetic import BLOCK, CLASS_NAMES, make_pictures
from kls.errors import UserError

N_TRAIN, N_TEST = 6000, 2000
Parts = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]


@pytest.fixture(scope="module")
def parts() -> Parts:
    return make_pictures(0, N_TRAIN, N_TEST)


def digest(parts: Parts) -> str:
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()


def test_shapes_and_types(parts: Parts) -> None:
    train_x, train_y, test_x, test_y = parts
    assert train_x.shape == (N_TRAIN, 3072)
    assert train_y.shape == (N_TRAIN,)
    assert test_x.shape == (N_TEST, 3072)
    assert test_y.shape == (N_TEST,)
    for part in parts:
        assert part.dtype == np.uint8
        assert part.flags.c_contiguous
    assert len(CLASS_NAMES) == len(set(CLASS_NAMES)) == 10


def test_no_pictures() -> None:
    assert [part.shape for part in make_pictures(0, 0, 0)] == [(0, 3072), (0,), (0, 3072), (0,)]


def test_same_seed_gives_the_same_bits_here_and_in_another_process() -> None:
    here = digest(make_pictures(3, 250, 120))
    assert digest(make_pictures(3, 250, 120)) == here
    program = (
        "import hashlib; from kls.data.synthetic import make_pictures;"
        "print(hashlib.sha256(b''.join(p.tobytes() for p in make_pictures(3, 250, 120))).hexdigest())"
    )
    there = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == here


@pytest.mark.parametrize("n", [1, BLOCK - 1, BLOCK, BLOCK + 1])
def test_smaller_part_is_the_beginning_of_a_larger_one(parts: Parts, n: int) -> None:
    for small, large in zip(make_pictures(0, n, n + 1), parts, strict=True):
        np.testing.assert_array_equal(small, large[: len(small)])


def test_seed_changes_pictures_and_labels(parts: Parts) -> None:
    other = make_pictures(1, BLOCK, BLOCK)
    for mine, its in zip(parts, other, strict=True):
        assert np.mean(mine[:BLOCK] == its) < 0.3


def test_no_picture_is_there_twice(parts: Parts) -> None:
    assert len(np.unique(np.concatenate([parts[0], parts[2]]), axis=0)) == N_TRAIN + N_TEST


def test_labels_are_balanced(parts: Parts) -> None:
    for labels in (parts[1], parts[3]):
        counts = np.bincount(labels, minlength=10)
        assert len(counts) == 10
        # Only the wrong labels scatter: a count's variance is below 2 * WRONG_SHARE * its mean.
        mean = len(labels) / 10
        assert np.abs(counts - mean).max() < 5 * np.sqrt(2 * synthetic.WRONG_SHARE * mean)


def test_share_of_wrong_labels(monkeypatch: pytest.MonkeyPatch, parts: Parts) -> None:
    monkeypatch.setattr(synthetic, "WRONG_SHARE", 0.0)
    train_x, true, _, true_test = make_pictures(0, N_TRAIN, N_TEST)
    np.testing.assert_array_equal(train_x, parts[0])
    np.testing.assert_array_equal(np.bincount(true), N_TRAIN // 10)
    assert np.mean(parts[1] != true) == pytest.approx(0.15, abs=5 * np.sqrt(0.15 * 0.85 / N_TRAIN))
    assert np.mean(parts[3] != true_test) == pytest.approx(0.15, abs=5 * np.sqrt(0.15 * 0.85 / N_TEST))


def test_background_has_the_documented_variance_and_is_isotropic() -> None:
    spectrum = synthetic._spectrum(32, 1.25)
    fields = synthetic._fields(np.random.default_rng(0), (3000,), spectrum)
    assert fields.dtype == np.float32
    np.testing.assert_allclose(fields.mean(axis=(2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(fields.var(axis=(0, 2, 3)), 1 + synthetic.CHROMA**2, rtol=0.02)
    down, across = (np.mean(np.diff(fields, axis=axis) ** 2) for axis in (2, 3))
    assert down == pytest.approx(across, rel=0.02)


def test_background_spectrum_falls_with_the_slope() -> None:
    fields = synthetic._fields(np.random.default_rng(1), (2000,), synthetic._spectrum(32, 1.25))
    power = np.mean(np.abs(np.fft.rfft2(fields.mean(axis=1))) ** 2, axis=0)
    slopes = [np.log(power[0, 2] / power[0, 8]), np.log(power[2, 0] / power[8, 0])]
    np.testing.assert_allclose(slopes, 2 * 1.25 * np.log(4), rtol=0.05)


def test_kinds_are_layout_plus_and_minus_texture() -> None:
    unshifted = synthetic._objects(np.random.default_rng(0))[:, :, 0, 4, 4]
    plus, minus = np.split(unshifted, 2, axis=1)
    assert plus.shape == (10, synthetic.TEXTURES, 3, 32, 32)
    layouts, textures = (plus + minus) / 2, (plus - minus) / 2
    np.testing.assert_allclose(layouts, np.broadcast_to(layouts[:, :1], layouts.shape), atol=1e-5)
    assert layouts.std() == pytest.approx(synthetic.LAYOUT_WEIGHT, rel=0.1)
    assert textures.std() == pytest.approx(synthetic.TEXTURE_WEIGHT, rel=0.1)


def test_views_of_an_object_are_shifted_and_mirrored() -> None:
    objects = synthetic._objects(np.random.default_rng(0))
    assert objects.shape == (10, 2 * synthetic.TEXTURES, 2, 9, 9, 3, 32, 32)
    view, mirrored = objects[3, 5]
    np.testing.assert_array_equal(view[2, 6][:, 1:, 1:], view[3, 7][:, :-1, :-1])
    np.testing.assert_array_equal(mirrored[2, 6], view[2, 2][:, :, ::-1])
    assert not np.allclose(view[2, 6], mirrored[2, 6], atol=0.1)


def test_classes_are_neither_plain_nor_hidden(parts: Parts) -> None:
    """The nearest class mean is right for about a fifth of the pictures; it is for 27 % of CIFAR-10's."""
    train_x, train_y, test_x, test_y = parts
    means = np.stack([train_x[train_y == label].mean(axis=0) for label in range(10)])
    distance = np.sum(means**2, axis=1) - 2 * test_x.astype(float) @ means.T
    assert 0.15 < np.mean(np.argmin(distance, axis=1) == test_y) < 0.3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 10, 10), "synthetic pictures: seed is -1; it must be at least 0"),
        ((0, -5, 10), "synthetic pictures: n_train is -5; it must be at least 0"),
        ((0, 10, -2), "synthetic pictures: n_test is -2; it must be at least 0"),
    ],
)
def test_negative_arguments_are_refused(arguments: tuple[int, int, int], message: str) -> None:
    with pytest.raises(UserError) as caught:
        make_pictures(*arguments)
    assert str(caught.value) == message
