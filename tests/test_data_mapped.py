"""Standardised data sets are made once and mapped by all; no fault of their files ends a run or changes a bit."""

from __future__ import annotations

import errno
import hashlib
import logging
import mmap
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kls.data import mapped
from kls.data.dataset import DataSet
from kls.data.load import load_dataset
from kls.data.source import Request
from kls.data.standardise import Sizes, build_dataset

SETS = ("train", "val", "test")


@pytest.fixture(autouse=True)
def keep_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped, "LEAST_BYTES", 0)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What has been built, by the sizes it was asked for."""
    calls: list[Any] = []

    def build(examples: Any, sizes: Sizes, **options: Any) -> DataSet:
        calls.append(sizes)
        return build_dataset(examples, sizes, **options)

    monkeypatch.setattr("kls.data.load.build_dataset", build)
    return calls


def write(root: Path, seed: int = 0) -> Path:
    root.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    path = root / "mine.npz"
    np.savez(path, x_train=rng.integers(0, 256, (300, 4, 5), dtype=np.uint8), y_train=np.arange(300) % 3)
    return path


def load(root: Path, n_train: int | None = None, dtype: str = "float32", split_seed: int = 0) -> DataSet:
    request = Request(root, path=root / "mine.npz")
    return load_dataset("arrays", request, Sizes(n_train, None, None), split_seed=split_seed, dtype=dtype)


def in_memory(root: Path, dtype: str = "float32") -> DataSet:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mapped, "LEAST_BYTES", 2**60)
        shutil.rmtree(root / mapped.FOLDER, ignore_errors=True)
        return load(root, dtype=dtype)


def is_mapped(array: Any) -> bool:
    while isinstance(array, np.ndarray):
        array = array.base
    return isinstance(getattr(array, "obj", array), mmap.mmap)


def folders(root: Path) -> list[str]:
    return sorted(path.name for path in (root / mapped.FOLDER).iterdir())


def assert_same(a: DataSet, b: DataSet) -> None:
    assert a.facts == b.facts
    assert (a.class_names, a.image_shape, a.projection) == (b.class_names, b.image_shape, b.projection)
    for got, expected in zip((a.mean, a.sd), (b.mean, b.sd), strict=True):
        assert got.tobytes() == expected.tobytes()
    for name in SETS:
        x, y = (getattr(getattr(a, name), part) for part in "xy")
        other = getattr(b, name)
        assert (x.dtype, x.shape, x.tobytes()) == (other.x.dtype, other.x.shape, other.x.tobytes())
        assert (y.dtype, y.tobytes()) == (other.y.dtype, other.y.tobytes())
        assert not x.flags.writeable
        assert not y.flags.writeable
        assert x.flags.c_contiguous


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_copy_on_disk_is_the_same_to_the_bit_and_made_once(dtype: str, tmp_path: Path, made: list[Any]) -> None:
    write(tmp_path)
    expected = in_memory(tmp_path, dtype)
    made.clear()
    for _ in range(3):
        data = load(tmp_path, dtype=dtype)
        assert_same(data, expected)
        assert all(is_mapped(getattr(data, name).x) for name in SETS)
    assert len(made) == 1
    assert len(folders(tmp_path)) == 1


def test_small_data_sets_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapped, "LEAST_BYTES", 300 * 20 * 4 + 1)
    write(tmp_path)
    assert not is_mapped(load(tmp_path).train.x)
    assert not (tmp_path / mapped.FOLDER).exists()
    assert is_mapped(load(tmp_path, dtype="float64").train.x)


def test_all_that_decides_has_a_copy_of_its_own(tmp_path: Path, made: list[Any]) -> None:
    write(tmp_path)
    given: list[dict[str, Any]] = [{}, {"n_train": 100}, {"split_seed": 1}, {"dtype": "float64"}]
    prints = [load(tmp_path, **options).fingerprint for options in given]
    write(tmp_path, seed=1)
    prints.append(load(tmp_path).fingerprint)
    assert len(made) == len(given) + 1
    assert len({*prints}) == len(given)  # that of another type is the same
    write(tmp_path)
    assert load(tmp_path).fingerprint == prints[0]


def damage(folder: Path, kind: str) -> None:
    path = folder / {"facts": mapped.FACTS, "labels": mapped.SMALL}.get(kind, "train.npy")
    content = bytearray(path.read_bytes())
    match kind:
        case "gone":
            path.unlink()
        case "cut":
            path.write_bytes(content[:-100])
        case "empty":
            path.write_bytes(b"")
        case "shape":
            np.save(path, np.zeros((20, 267), np.float32))
        case "objects":
            np.save(path, np.array([{}] * 10, dtype=object))
        case "pipe":
            path.unlink()
            path.mkdir()
        case _:
            content[len(content) // 2] ^= 1
            path.write_bytes(content)


@pytest.mark.parametrize(
    "kind", ["bit", "gone", "cut", "empty", "shape", "objects", "pipe", "facts", "labels"]
)
def test_a_damaged_copy_is_set_aside_and_made_again(
    kind: str, tmp_path: Path, made: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path)
    expected = in_memory(tmp_path)
    load(tmp_path)
    (name,) = folders(tmp_path)
    damage(tmp_path / mapped.FOLDER / name, kind)
    made.clear()
    for _ in range(2):
        assert_same(load(tmp_path), expected)
    assert len(made) == 1
    assert folders(tmp_path) == [name, f"{name}.damaged"]
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == [
        f"{tmp_path / mapped.FOLDER / name}: was damaged; set aside as {name}.damaged"
    ]


def test_the_last_few_that_were_used_are_kept(tmp_path: Path, made: list[Any]) -> None:
    write(tmp_path)
    mine = tmp_path / mapped.FOLDER / "mine"
    strange = tmp_path / mapped.FOLDER / ("0" * 32)
    for folder in (mine, strange):
        folder.mkdir(parents=True)
        (folder / "notes.txt").write_text("of a user")
    for n in range(100, 100 + mapped.KEPT):
        load(tmp_path, n)
        for path in (tmp_path / mapped.FOLDER).iterdir():  # as if a minute had passed
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 60))
    load(tmp_path, 100)
    load(tmp_path, 99)
    assert len(made) == mapped.KEPT + 1
    assert len(folders(tmp_path)) == mapped.KEPT + 2
    load(tmp_path, 100)
    assert len(made) == mapped.KEPT + 1
    load(tmp_path, 101)  # the one that was not used for longest
    assert len(made) == mapped.KEPT + 2
    assert [path.joinpath("notes.txt").read_text() for path in (mine, strange)] == ["of a user"] * 2


@pytest.mark.parametrize("fault", ["disk", "full", "rights"])
def test_where_it_cannot_be_kept_each_process_holds_its_own(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path)
    expected = in_memory(tmp_path)

    def refused(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    match fault:
        case "disk":
            monkeypatch.setattr(mapped.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 1000))  # type: ignore[attr-defined]
        case "full":
            monkeypatch.setattr(mapped, "write_arrays", refused)
        case _:
            (tmp_path / mapped.FOLDER).write_text("a file of a user's")
    with caplog.at_level(logging.INFO):
        data = load(tmp_path)
    assert_same(data, expected)
    assert not is_mapped(data.train.x)
    (message,) = [text for text in caplog.messages if "cannot be kept" in text]
    assert message.endswith("; each process holds its own data")
    left = {path.name for path in tmp_path.rglob("*")} - {"mine.npz", ".standardised.lock", mapped.FOLDER}
    assert left == set()


CODE = """
import hashlib, sys
from pathlib import Path
from kls.data import mapped
from kls.data.load import load_dataset
from kls.data.source import Request
from kls.data.standardise import Sizes
mapped.LEAST_BYTES = 0
root = Path(sys.argv[1])
data = load_dataset("arrays", Request(root, path=root / "mine.npz"), Sizes(None, None, None), split_seed=0, dtype="f4")
print(hashlib.sha256(data.train.x.tobytes()).hexdigest())
"""


def test_processes_that_ask_at_once_share_one(tmp_path: Path) -> None:
    write(tmp_path)
    expected = hashlib.sha256(in_memory(tmp_path).train.x.tobytes()).hexdigest()
    command = [sys.executable, "-c", CODE, str(tmp_path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate(timeout=60) for process in running] == [(f"{expected}\n", "")] * 3
    assert len(folders(tmp_path)) == 1
