"""A small made-up CIFAR-10 with four pictures a file, in both of its versions."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kls.data.examples import Examples
from kls.data.sources import cifar10
from kls.errors import UserError

RECORDS = 4
NAMES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch")


def batch(number: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Labels and pixels of the made-up batch `number`; 5 is the test batch."""
    record = number * RECORDS + np.arange(RECORDS)
    pixels = (7 * record[:, np.newaxis] + np.arange(3072)) % 256
    return (record % 10).astype(np.uint8), pixels.astype(np.uint8)


def write_binary(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(NAMES):
        labels, pixels = batch(number)
        (folder / f"{name}.bin").write_bytes(np.column_stack([labels, pixels]).tobytes())
    return folder


def python2_batch(labels: NDArray[np.uint8], pixels: NDArray[np.uint8], fortran_order: bool = False) -> bytes:
    """The bytes that Python 2's cPickle writes for a batch with protocol 2, as in the official archive."""
    raw = pixels.tobytes(order="F" if fortran_order else "C")
    return b"".join(
        [
            b"\x80\x02}q\x01(U\x0bbatch_labelq\x02U\x15training batch 1 of 5q\x03",
            b"U\x06labelsq\x04]q\x05(",
            b"".join(b"K" + bytes([label]) for label in labels),
            b"eU\x04dataq\x06cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08",
            b"K\x00\x85U\x01b\x87Rq\x09(K\x01K" + bytes([len(pixels)]) + b"M\x00\x0c\x86",
            b"cnumpy\ndtype\nq\x0aU\x02u1K\x00K\x01\x87Rq\x0b(K\x03U\x01|NNN",
            b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb",
            b"\x88" if fortran_order else b"\x89",
            b"T" + len(raw).to_bytes(4, "little") + raw + b"tb",
            b"U\x09filenamesq\x0c]q\x0d(",
            b"".join(b"U\x05a.png" for _ in labels),
            b"eu.",
        ]
    )


def python3_batch(labels: NDArray[np.uint8], pixels: NDArray[np.uint8]) -> bytes:
    content = {"batch_label": b"x", "labels": labels.tolist(), "data": pixels, "filenames": ["a", "b"]}
    return pickle.dumps(content, protocol=2)


def write_python(folder: Path, dump: Callable[..., bytes] = python2_batch) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(NAMES):
        (folder / name).write_bytes(dump(*batch(number)))
    return folder


def load_cifar10(root: Path, download: bool = True) -> Examples:
    return cifar10.cifar10().load(root, download)


def publish(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    """Put another URL or SHA-256 in the place of the official archive's."""
    monkeypatch.setattr(cifar10, "REMOTE", replace(cifar10.REMOTE, **changes))


def assert_is_the_made_up_set(pictures: Examples) -> None:
    assert pictures.name == "CIFAR-10"
    assert pictures.class_names[0] == "airplane"
    assert pictures.class_names[9] == "truck"
    assert len(pictures.class_names) == 10
    assert pictures.shape == (3, 32, 32)
    for array, shape in (
        (pictures.train_x, (5 * RECORDS, 3072)),
        (pictures.train_y, (5 * RECORDS,)),
        (pictures.test_x, (RECORDS, 3072)),
        (pictures.test_y, (RECORDS,)),
    ):
        assert array.dtype == np.uint8
        assert array.shape == shape
        assert array.flags.c_contiguous
    assert pictures.train_y.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] * 2
    assert pictures.test_y.tolist() == [0, 1, 2, 3]
    assert pictures.train_x[0, :3].tolist() == [0, 1, 2]
    assert pictures.train_x[19, [0, 1024, 3071]].tolist() == [133, 133, 132]
    np.testing.assert_array_equal(pictures.train_x, np.concatenate([batch(i)[1] for i in range(5)]))
    np.testing.assert_array_equal(pictures.test_x, batch(5)[1])


def refusal(root: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_cifar10(root, download=False)
    return str(caught.value)
