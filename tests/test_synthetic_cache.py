"""Data sources by name; the synthetic pictures are made once and kept in a file."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from kls.data import synthetic, synthetic_cache
from kls.data.dataset import DataSet, load_dataset
from kls.errors import UserError


def load(root: Path, source: str = "synthetic", seed: int = 4) -> DataSet:
    return load_dataset(
        source,
        root=root,
        download=False,
        synthetic_seed=seed,
        n_train=30,
        n_val=11,
        n_test=9,
        split_seed=3,
        dtype=np.float32,
    )


@pytest.fixture
def made_seeds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Puts a small generator in the place of the true one and notes the seeds it is called with."""
    seeds: list[int] = []

    def make(seed: int) -> tuple[NDArray[np.uint8], ...]:
        seeds.append(seed)
        rng = np.random.default_rng(0)
        train_x, test_x = (rng.integers(0, 256, (n, 3072), dtype=np.uint8) for n in (41, 9))
        train_x[:, 2] = seed
        return train_x, train_x[:, 0] % 10, test_x, test_x[:, 0] % 10

    monkeypatch.setattr(synthetic_cache, "make_pictures", make)
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
    assert sorted(path.name for path in root.iterdir()) == [f"{stem}-seed4.npz", f"{stem}-seed5.npz"]


def test_cache_of_another_generator_version_is_not_used(
    tmp_path: Path, made_seeds: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    load(tmp_path)
    monkeypatch.setattr(synthetic_cache, "VERSION", "later")
    load(tmp_path)
    assert made_seeds == [4, 4]


@pytest.mark.parametrize("damage", ["cut off", "one bit", "empty", "other arrays"])
def test_damaged_cache_is_made_again(
    tmp_path: Path, made_seeds: list[int], caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    fingerprint = load(tmp_path).fingerprint
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    match damage:
        case "cut off":
            path.write_bytes(content[:-1000])
        case "one bit":
            content[len(content) // 3] ^= 1
            path.write_bytes(content)
        case "empty":
            path.write_bytes(b"")
        case _:
            np.savez(path, x=np.zeros(3))
    assert load(tmp_path).fingerprint == fingerprint
    assert load(tmp_path).fingerprint == fingerprint
    assert made_seeds == [4, 4]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert caplog.messages[0].startswith(f"The cached pictures in {path} are not readable (")


def test_folder_that_cannot_be_written_costs_a_warning(
    tmp_path: Path, made_seeds: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "data"
    expected = load(root).fingerprint
    file = tmp_path / "file"
    file.write_text("")
    assert load(file).fingerprint == expected
    assert load(file).fingerprint == expected
    assert made_seeds == [4, 4, 4]
    path = file / f"{synthetic.NAME}-v{synthetic.VERSION}-seed4.npz"
    assert (
        f"The synthetic pictures cannot be cached in {path}: [Errno 17] File exists: '{file}'"
        in caplog.messages
    )


def test_unknown_source(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load(tmp_path, source="mnist")
    assert str(caught.value) == "unknown data source 'mnist'; there are 'cifar10' and 'synthetic'"
