"""CIFAR-10 (Krizhevsky, 2009, "Learning multiple layers of features from tiny images").

Format: https://www.cs.toronto.edu/~kriz/cifar.html
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kls.data.cifar10_archive import provide_folder
from kls.data.cifar10_python import read_python_batch
from kls.data.pictures import Pictures
from kls.errors import UserError

NAME = "CIFAR-10"
CLASS_NAMES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
PIXELS = 3072
RECORDS_PER_FILE = 10_000
TRAIN_FILES = tuple(f"data_batch_{i}" for i in range(1, 6))
TEST_FILE = "test_batch"


@dataclass(frozen=True)
class _Version:
    """One of the versions the data set is published in; `read` gives labels (n,) and pixels (n, 3072)."""

    folder: str
    suffix: str
    read: Callable[[Path], tuple[NDArray[np.uint8], NDArray[np.uint8]]]


def load_cifar10(root: Path, download: bool = True) -> Pictures:
    """Read CIFAR-10 from `root`, which it is first downloaded into if it is not there.

    Looked for, in this order: the folder cifar-10-batches-bin in `root`; its files in `root` itself;
    the same for cifar-10-batches-py; the archive cifar-10-binary.tar.gz in `root`.

    Returns:
        50,000 training and 10,000 test pictures in the order of the files.

    Raises:
        UserError: a file is missing, has another size or label than it should, or the data set is
            not in `root` and cannot be downloaded.
    """
    found = _find(root)
    if found is None:
        provide_folder(root, BINARY.folder, download=download)
        found = root / BINARY.folder, BINARY
    folder, version = found
    train_x, train_y = _read(folder, version, TRAIN_FILES)
    test_x, test_y = _read(folder, version, (TEST_FILE,))
    return Pictures(NAME, train_x, train_y, test_x, test_y, CLASS_NAMES)


def read_binary_batch(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return labels (n,) and pixels (n, 3072), both uint8, of a file of 3,073-byte records.

    Raises:
        UserError: the file is not a whole number of records long.
    """
    data = np.fromfile(path, dtype=np.uint8)
    if data.size % (1 + PIXELS):
        raise UserError(
            f"{path} is cut off or damaged: {data.size} bytes are not whole records of {1 + PIXELS}"
        )
    records = data.reshape(-1, 1 + PIXELS)
    return records[:, 0], records[:, 1:]


BINARY = _Version("cifar-10-batches-bin", ".bin", read_binary_batch)
PYTHON = _Version("cifar-10-batches-py", "", read_python_batch)


def _find(root: Path) -> tuple[Path, _Version] | None:
    for version in (BINARY, PYTHON):
        if (root / version.folder).is_dir():
            return root / version.folder, version
        if any((root / f"{name}{version.suffix}").is_file() for name in (*TRAIN_FILES, TEST_FILE)):
            return root, version
    return None


def _read(
    folder: Path, version: _Version, names: tuple[str, ...]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    x = np.empty((len(names) * RECORDS_PER_FILE, PIXELS), dtype=np.uint8)
    y = np.empty(len(x), dtype=np.uint8)
    for i, name in enumerate(names):
        path = folder / f"{name}{version.suffix}"
        try:
            labels, pixels = version.read(path)
        except OSError as error:
            raise UserError(
                f"{path} cannot be read ({error.strerror}); "
                f"CIFAR-10 has data_batch_1{version.suffix} to 5 and test_batch{version.suffix}"
            ) from error
        if len(labels) != RECORDS_PER_FILE:
            raise UserError(
                f"{path} holds {len(labels)} pictures; a batch of CIFAR-10 has {RECORDS_PER_FILE}"
            )
        if labels.max() >= len(CLASS_NAMES):
            wrong = int(np.argmax(labels >= len(CLASS_NAMES)))
            raise UserError(f"{path}: picture {wrong} has label {labels[wrong]}; CIFAR-10 has labels 0 to 9")
        rows = slice(i * RECORDS_PER_FILE, (i + 1) * RECORDS_PER_FILE)
        x[rows], y[rows] = pixels, labels
    return x, y
