"""The synthetic pictures are made once and kept in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kls.data import synthetic
from kls.data.dataset import DataSet
from kls.data.load import load_dataset
from kls.data.source import Request
from kls.data.sources import synthetic as synthetic_source
from kls.data.standardise import Sizes
from kls.records.arrays import read_arrays, write_arrays


def load(root: Path, seed: int = 4) -> DataSet:
    return load_dataset(
        "synthetic",
        Request(root, seed=seed),
        Sizes(30, 11, 9),
        split_seed=3,
        dtype=np.float32,
    )


@pytest.fixture
def made_seeds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Puts a small generator in the place of the true one and notes the seeds it is called with."""
    seeds: list[int] = []

    def make(seed: int, n_train: int, n_test: int) -> tuple[NDArray[np.uint8], ...]:
        seeds.append(seed)
        rng = np.random.default_rng(0)
        train_x, test_x = (rng.integers(0, 256, (n, 3072), dtype=np.uint8) for n in (n_train, n_test))
        train_x[:, 2] = seed
        return train_x, train_x[:, 0] % 10, test_x, test_x[:, 0] % 10

    monkeypatch.setattr(synthetic_source, "make_pictures", make)
    monkeypatch.setattr(synthetic_source, "N_TRAIN", 41)
    monkeypatch.setattr(synthetic_source, "N_TEST", 9)
    return seeds


def test_synthetic_pictures_are_made_once_for_a_seed(tmp_path: Path, made_seeds: list[int]) -> None:
    root = tmp_path / "not yet"
    first, again, other = load(root, seed=4), load(root, seed=4), load(root, seed=5)
    assert made_seeds == [4, 5]
    assert first.name == f"{synthetic.NAME} (seed 4)"
    assert first.class_names == synthetic.CLASS_NAMES
    assert first.mean[2] == 4.0
    assert again.fingerprint == first.fingerprint != other.fingerprint
    np.testing.assert_array_equal(again.train.x, first.train.x)
    stem = f"{synthetic.NAME}-v{synthetic.VERSION}"
    assert sorted(path.name for path in root.glob("*.npz")) == [f"{stem}-seed4.npz", f"{stem}-seed5.npz"]


@pytest.mark.parametrize(
    "changed",
    [
        {"train_y": np.full(41, 10, np.uint8)},
        {"test_y": np.full(9, 255, np.uint8)},
        {"train_x": np.zeros((40, 3072), np.uint8)},
        {"test_x": np.zeros((9, 3072), np.int8)},
        {"more": np.zeros(3)},
    ],
)
def test_cache_of_other_pictures_is_not_used(
    changed: dict[str, NDArray[Any]], tmp_path: Path, made_seeds: list[int]
) -> None:
    fingerprint = load(tmp_path).fingerprint
    (path,) = tmp_path.glob("*.npz")
    write_arrays(path, read_arrays(path) | changed)
    assert [load(tmp_path).fingerprint for _ in range(2)] == [fingerprint] * 2
    assert made_seeds == [4, 4]
    assert path.with_name(f"{path.name}.damaged").is_file()


def test_cache_of_another_generator_version_is_not_used(
    tmp_path: Path, made_seeds: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    load(tmp_path)
    monkeypatch.setattr(synthetic_source, "VERSION", "later")
    load(tmp_path)
    assert made_seeds == [4, 4]
