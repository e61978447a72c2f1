"""CIFAR-10 (Krizhevsky, 2009, "Learning multiple layers of features from tiny images").

Format: https://www.cs.toronto.edu/~kriz/cifar.html
"""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kls.data.cifar10_archive import provide_folder, restore_file
from kls.data.cifar10_python import parse_python_batch
from kls.data.known_files import KnownFiles
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


LARGEST = 2.5  # a batch file's bytes over those of its pictures; pickled as text, bytes above 127 take two

Batch = tuple[NDArray[np.uint8], NDArray[np.uint8]]


@dataclass(frozen=True)
class _Version:
    """One of the versions the data set is published in; `parse` gives labels (n,) and pixels (n, 3072)."""

    folder: str
    suffix: str
    parse: Callable[[Path, NDArray[np.uint8]], Batch]


def load_cifar10(root: Path, download: bool = True) -> Pictures:
    """Read CIFAR-10 from `root`, which it is first downloaded into if it is not there.

    Looked for, in this order: the folder cifar-10-batches-bin in `root`; its files in `root` itself;
    the same for cifar-10-batches-py; the archive cifar-10-binary.tar.gz in `root`.

    Each file must be as it was when it was first read, see `KnownFiles`. One that this program has unpacked is
    unpacked again where it is damaged and the archive is still there.

    Returns:
        50,000 training and 10,000 test pictures in the order of the files.

    Raises:
        UserError: a file is missing, has changed, has another size or label than it should, or the data set is
            not in `root` and cannot be downloaded.
    """
    found = _find(root)
    if found is None:
        provide_folder(root, BINARY.folder, _binary_sizes(), download=download)
        found = root / BINARY.folder, BINARY
    known = KnownFiles(root)
    train_x, train_y = _read(*found, TRAIN_FILES, known)
    test_x, test_y = _read(*found, (TEST_FILE,), known)
    known.save()
    return Pictures(NAME, train_x, train_y, test_x, test_y, CLASS_NAMES)


def parse_binary_batch(path: Path, content: NDArray[np.uint8]) -> Batch:
    """Return labels (n,) and pixels (n, 3072), both uint8, of the 3,073-byte records of a file's `content`.

    Raises:
        UserError: the file, `path`, is not a whole number of records long.
    """
    if content.size % (1 + PIXELS):
        raise UserError(f"{path} is cut off or damaged: {content.size} bytes are not whole records of {1 + PIXELS}")
    records = content.reshape(-1, 1 + PIXELS)
    return records[:, 0], records[:, 1:]


BINARY = _Version("cifar-10-batches-bin", ".bin", parse_binary_batch)
PYTHON = _Version("cifar-10-batches-py", "", parse_python_batch)


def _binary_sizes() -> dict[str, int]:
    return {f"{name}{BINARY.suffix}": RECORDS_PER_FILE * (1 + PIXELS) for name in (*TRAIN_FILES, TEST_FILE)}


def _find(root: Path) -> tuple[Path, _Version] | None:
    for version in (BINARY, PYTHON):
        if (root / version.folder).is_dir():
            return root / version.folder, version
        if any((root / f"{name}{version.suffix}").is_file() for name in (*TRAIN_FILES, TEST_FILE)):
            return root, version
    return None


def _read(folder: Path, version: _Version, names: tuple[str, ...], known: KnownFiles) -> Batch:
    x = np.empty((len(names) * RECORDS_PER_FILE, PIXELS), dtype=np.uint8)
    y = np.empty(len(x), dtype=np.uint8)
    for i, name in enumerate(names):
        path = folder / f"{name}{version.suffix}"
        labels, pixels = version.parse(path, _content(path, known, version))
        if len(labels) != RECORDS_PER_FILE:
            raise UserError(f"{path} holds {len(labels)} pictures; a batch of CIFAR-10 has {RECORDS_PER_FILE}")
        if labels.max() >= len(CLASS_NAMES):
            wrong = int(np.argmax(labels >= len(CLASS_NAMES)))
            raise UserError(f"{path}: picture {wrong} has label {labels[wrong]}; CIFAR-10 has labels 0 to 9")
        rows = slice(i * RECORDS_PER_FILE, (i + 1) * RECORDS_PER_FILE)
        x[rows], y[rows] = pixels, labels
    return x, y


def _content(path: Path, known: KnownFiles, version: _Version) -> NDArray[np.uint8]:
    """The file's bytes, as they were when it was first read; unpacked again if need be and possible."""
    try:
        return _known_content(path, known, version)
    except UserError:
        root = path.parent.parent
        if not known.unpacked or path.parent.name != BINARY.folder:
            raise
        if not restore_file(root, BINARY.folder, path.name, _binary_sizes()):
            raise
        return _known_content(path, known, version)


def _known_content(path: Path, known: KnownFiles, version: _Version) -> NDArray[np.uint8]:
    most = int(LARGEST * RECORDS_PER_FILE * (1 + PIXELS))
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            raise UserError(f"{path} is not a regular file")
        if state.st_size > most:
            raise UserError(f"{path} is {state.st_size} bytes long; a batch of CIFAR-10 has at most {most}")
        content = np.fromfile(path, dtype=np.uint8, count=state.st_size)
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}); "
            f"CIFAR-10 has data_batch_1{version.suffix} to 5 and test_batch{version.suffix}"
        ) from error
    if not known.fits(path, content.data):
        raise UserError(
            f"{path} has changed since it was first read: restore it, or remove {known.path} if that was on purpose"
        )
    return content
