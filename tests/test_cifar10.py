"""CIFAR-10 is read right from both versions and refused in one line when it is wrong."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_up_cifar10 import (
    NAMES,
    RECORDS,
    assert_is_the_made_up_set,
    batch,
    load_cifar10,
    python2_batch,
    python3_batch,
    refusal,
    write_binary,
    write_python,
)

from kls.data.load import load_dataset
from kls.data.source import Request
from kls.data.sources import cifar10
from kls.data.standardise import Sizes


@pytest.fixture(autouse=True)
def four_records_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar10, "RECORDS_PER_FILE", RECORDS)


@pytest.mark.parametrize("folder", ["cifar-10-batches-bin", "."])
def test_binary_version(tmp_path: Path, folder: str) -> None:
    write_binary(tmp_path / folder)
    assert_is_the_made_up_set(load_cifar10(tmp_path, download=False))


@pytest.mark.parametrize("folder", ["cifar-10-batches-py", "."])
@pytest.mark.parametrize("dump", [python2_batch, python3_batch])
def test_python_version(tmp_path: Path, folder: str, dump: Callable[..., bytes]) -> None:
    write_python(tmp_path / folder, dump)
    assert_is_the_made_up_set(load_cifar10(tmp_path, download=False))


def test_python_version_with_its_array_in_fortran_order(tmp_path: Path) -> None:
    folder = write_python(tmp_path / "cifar-10-batches-py")
    (folder / NAMES[0]).write_bytes(python2_batch(*batch(0), fortran_order=True))
    assert_is_the_made_up_set(load_cifar10(tmp_path, download=False))


def test_load_dataset_reads_cifar10(tmp_path: Path) -> None:
    write_binary(tmp_path)
    data = load_dataset(
        "cifar10", Request(tmp_path), Sizes(12, 5, 3), split_seed=1, dtype=np.float64,
    )  # fmt: skip
    assert data.name == "CIFAR-10"
    assert [len(split.y) for split in (data.train, data.val, data.test)] == [12, 5, 3]
    np.testing.assert_allclose(data.test.x * data.sd + data.mean, batch(5)[1][:3], atol=1e-10)


# Faulty files


@pytest.mark.parametrize(
    ("write", "folder", "name", "names"),
    [
        (
            write_binary,
            "cifar-10-batches-bin",
            "data_batch_3.bin",
            ", ".join(f"{name}.bin" for name in NAMES),
        ),
        (write_python, "cifar-10-batches-py", "test_batch", ", ".join(NAMES)),
    ],
)
def test_missing_file(
    tmp_path: Path, write: Callable[[Path], Path], folder: str, name: str, names: str
) -> None:
    path = write(tmp_path / folder) / name
    path.unlink()
    assert refusal(tmp_path) == f"{path} cannot be read (No such file or directory); CIFAR-10 has {names}"


@pytest.mark.parametrize("change", [-1, 1])
def test_binary_file_of_a_broken_size(tmp_path: Path, change: int) -> None:
    path = write_binary(tmp_path) / "data_batch_2.bin"
    size = RECORDS * 3073 + change
    path.write_bytes(path.read_bytes().ljust(size, b"\0")[:size])
    assert refusal(tmp_path) == f"{path} is cut off or damaged: {size} bytes are not whole records of 3073"


@pytest.mark.parametrize("count", [0, RECORDS - 1, RECORDS + 1])
def test_file_with_another_number_of_pictures(tmp_path: Path, count: int) -> None:
    path = write_binary(tmp_path) / "test_batch.bin"
    path.write_bytes(bytes(3073 * count))
    assert refusal(tmp_path) == f"{path} holds {count} pictures; this file of CIFAR-10 has {RECORDS}"


def test_python_file_with_another_number_of_pictures(tmp_path: Path) -> None:
    path = write_python(tmp_path) / "data_batch_5"
    labels, pixels = batch(4)
    path.write_bytes(python2_batch(labels[:2], pixels[:2]))
    assert refusal(tmp_path) == f"{path} holds 2 pictures; this file of CIFAR-10 has {RECORDS}"


@pytest.mark.parametrize("version", ["bin", "py"])
def test_wrong_label(tmp_path: Path, version: str) -> None:
    labels, pixels = batch(1)
    labels[2] = 10
    if version == "bin":
        path = write_binary(tmp_path) / "data_batch_2.bin"
        path.write_bytes(np.column_stack([labels, pixels]).tobytes())
    else:
        path = write_python(tmp_path) / "data_batch_2"
        path.write_bytes(python2_batch(labels, pixels))
    assert refusal(tmp_path) == f"{path}: picture 2 has label 10; CIFAR-10 has labels 0 to 9"


def test_a_file_that_is_no_batch_is_not_read(tmp_path: Path) -> None:
    path = write_binary(tmp_path) / "data_batch_2.bin"
    os.truncate(path, 10**13)  # takes no space on the disk
    assert refusal(tmp_path) == f"{path} is 10000000000000 bytes long; this file of CIFAR-10 has at most 30730"
    path.unlink()
    os.mkfifo(path)
    assert refusal(tmp_path) == f"{path} is not a regular file"
