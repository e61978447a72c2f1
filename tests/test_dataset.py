"""Splits, standardisation and fingerprint of a data set."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kls.core.streams import stream
from kls.data import standardise
from kls.data.dataset import DataSet
from kls.data.examples import Examples
from kls.data.standardise import Sizes, build_dataset
from kls.errors import UserError

N_TRAIN, N_TEST = 60, 20


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standardise, "BLOCK_ROWS", 7)


def made_pictures() -> Examples:
    """Random pictures whose pixel 0 is the number of the picture and whose pixel 1 never changes."""
    rng = np.random.default_rng(5)
    train_x = rng.integers(0, 256, (N_TRAIN, 3072), dtype=np.uint8)
    test_x = rng.integers(0, 256, (N_TEST, 3072), dtype=np.uint8)
    train_x[:, 0], test_x[:, 0] = np.arange(N_TRAIN), np.arange(N_TEST)
    train_x[:, 1], test_x[:, 1] = 17, 19
    train_y = rng.integers(0, 10, N_TRAIN, dtype=np.uint8)
    test_y = rng.integers(0, 10, N_TEST, dtype=np.uint8)
    return Examples("made", train_x, train_y, test_x, test_y, tuple("abcdefghij"), (3, 32, 32))


def build(pictures: Examples | None = None, **changes: Any) -> DataSet:
    sizes = {key: changes.pop(key, n) for key, n in (("n_train", 30), ("n_val", 11), ("n_test", 9))}
    arguments: dict[str, Any] = {"split_seed": 3, "dtype": np.float64}
    return build_dataset(pictures or made_pictures(), Sizes(**sizes), **(arguments | changes))


def numbers(data: DataSet, x: NDArray[np.floating]) -> list[int]:
    """Which pictures of the source the rows of `x` are."""
    return [round(pixel) for pixel in x[:, 0] * data.sd[0] + data.mean[0]]


# Splits


def test_split_is_the_start_of_one_seeded_permutation() -> None:
    data = build()
    order = stream(3, "split").permutation(N_TRAIN).tolist()
    assert numbers(data, data.val.x) == order[:11]
    assert numbers(data, data.train.x) == order[11:41]
    assert numbers(data, data.test.x) == list(range(9))


def test_labels_stay_with_their_pictures() -> None:
    data, pictures = build(), made_pictures()
    for split, labels in (
        (data.train, pictures.train_y),
        (data.val, pictures.train_y),
        (data.test, pictures.test_y),
    ):
        assert split.y.tolist() == labels[numbers(data, split.x)].tolist()
        assert split.y.dtype == np.intp


def test_none_takes_all_pictures() -> None:
    data = build(n_train=None, n_test=None)
    assert sorted(numbers(data, data.train.x) + numbers(data, data.val.x)) == list(range(N_TRAIN))
    assert numbers(data, data.test.x) == list(range(N_TEST))


def test_validation_set_does_not_depend_on_the_size_of_the_training_set() -> None:
    small, large = build(n_train=4), build(n_train=None)
    assert numbers(small, small.val.x) == numbers(large, large.val.x)
    assert small.val.y.tolist() == large.val.y.tolist()
    assert numbers(small, small.train.x) == numbers(large, large.train.x)[:4]


def test_split_seed_changes_the_split_and_not_the_test_set() -> None:
    first, second = build(split_seed=0), build(split_seed=1)
    assert numbers(first, first.val.x) != numbers(second, second.val.x)
    assert numbers(first, first.test.x) == numbers(second, second.test.x)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"n_train": 50}, "n_train 50 and n_val 11 need 61 training pictures; made has 60"),
        ({"n_test": 21}, "n_test is 21; made has 20 test pictures"),
        ({"n_train": None, "n_val": 60}, "n_train is 0; each set needs at least 1 picture"),
        ({"n_val": 0}, "n_val is 0; each set needs at least 1 picture"),
        ({"n_train": -1}, "n_train is -1; each set needs at least 1 picture"),
        ({"n_test": 0}, "n_test is 0; each set needs at least 1 picture"),
    ],
)
def test_sizes_that_do_not_fit(sizes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        build(**sizes)
    assert str(caught.value) == message


# Standardisation


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-12)])
def test_standardisation_follows_its_formula(dtype: type[np.floating], tolerance: float) -> None:
    data, pictures = build(dtype=dtype), made_pictures()
    raw = pictures.train_x[numbers(data, data.train.x)].astype(np.float64)
    mean, sd = raw.mean(axis=0), raw.std(axis=0)
    sd[1] = 1.0
    np.testing.assert_allclose(data.mean, mean, rtol=1e-13)
    np.testing.assert_allclose(data.sd, sd, rtol=1e-13)
    assert data.mean.dtype == data.sd.dtype == np.float64
    assert data.mean[1] == 17.0

    for split, source in (
        (data.train, pictures.train_x),
        (data.val, pictures.train_x),
        (data.test, pictures.test_x),
    ):
        expected = (source[numbers(data, split.x)].astype(np.float64) - mean) / sd
        np.testing.assert_allclose(split.x, expected, rtol=0, atol=tolerance)
        assert split.x.dtype == dtype
        assert split.x.flags.c_contiguous
    np.testing.assert_allclose(data.train.x.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(np.delete(data.train.x, 1, axis=1).std(axis=0), 1.0, atol=1e-5)
    assert (data.train.x[:, 1] == 0).all()
    assert (data.test.x[:, 1] == 2).all()


def test_moments_do_not_overflow_or_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # blocks of their true size
    n = 2000
    x = np.full((n, 3), 255, dtype=np.uint8)
    x[::2, 1] = 0
    x[0, 2] = 254
    labels = np.zeros(n, dtype=np.uint8)
    pictures = Examples("x", np.concatenate([x, x[:1]]), np.append(labels, labels[:1]), x, labels, ("a",), (3, 1, 1))
    order = stream(0, "split").permutation(n + 1)
    chosen = pictures.train_x[order[1:]].astype(int)
    data = build(pictures, n_train=None, n_val=1, n_test=None, split_seed=0)
    for column in range(3):
        ones, total = int((chosen[:, column] ** 2).sum()), int(chosen[:, column].sum())
        assert data.mean[column] == total / n
        assert data.sd[column] == (np.sqrt(n * ones - total**2) / n or 1.0)
    assert data.mean[0] == 255.0
    assert data.sd[0] == 1.0


def test_source_is_not_changed() -> None:
    pictures, untouched = made_pictures(), made_pictures()
    build(pictures)
    np.testing.assert_array_equal(pictures.train_x, untouched.train_x)
    np.testing.assert_array_equal(pictures.test_x, untouched.test_x)


def test_description_is_passed_on() -> None:
    data = build()
    assert data.name == "made"
    assert data.class_names == tuple("abcdefghij")
    assert data.image_shape == (3, 32, 32)


def test_arrays_are_read_only() -> None:
    data = build()
    splits = (data.train, data.val, data.test)
    arrays = [data.mean, data.sd, *(split.x for split in splits), *(split.y for split in splits)]
    assert [array.flags.writeable for array in arrays] == [False] * 8


# Fingerprint


def test_fingerprint_is_the_sha256_of_name_sizes_labels_and_pixels() -> None:
    pictures = made_pictures()
    order = stream(3, "split").permutation(N_TRAIN)
    digest = hashlib.sha256(b"made\x0030\x0011\x009\x00")
    for x, y, rows in (
        (pictures.train_x, pictures.train_y, order[11:41]),
        (pictures.train_x, pictures.train_y, order[:11]),
        (pictures.test_x, pictures.test_y, np.arange(9)),
    ):
        digest.update(y[rows].tobytes() + x[rows].tobytes())
    assert build().fingerprint == digest.hexdigest()[:16]


def test_fingerprint_does_not_depend_on_dtype_or_unused_pictures() -> None:
    pictures = made_pictures()
    pictures.test_x[9] = 0
    assert build(pictures, dtype=np.float32).fingerprint == build().fingerprint


@pytest.mark.parametrize("changes", [{"split_seed": 4}, {"n_train": 29}, {"n_val": 10}, {"n_test": 8}])
def test_fingerprint_changes_with_seed_and_sizes(changes: dict[str, Any]) -> None:
    assert build(**changes).fingerprint != build().fingerprint


@pytest.mark.parametrize("part", ["train", "val", "test"])
@pytest.mark.parametrize("kind", ["x", "y"])
def test_fingerprint_changes_with_a_pixel_or_label(part: str, kind: str) -> None:
    pictures = made_pictures()
    order = stream(3, "split").permutation(N_TRAIN)
    row = {"train": order[40], "val": order[10], "test": 8}[part]
    array = getattr(pictures, f"{'test' if part == 'test' else 'train'}_{kind}")
    array[(row, 3071) if kind == "x" else row] ^= 1
    assert build(pictures).fingerprint != build().fingerprint


def test_fingerprint_changes_with_the_name() -> None:
    assert build(dataclasses.replace(made_pictures(), name="other")).fingerprint != build().fingerprint


def test_fingerprint_is_the_same_in_another_process() -> None:
    code = "from tests.test_dataset import build; print(build().fingerprint)"
    root = Path(__file__).parents[1]
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        env={**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == f"{build().fingerprint}\n"
