"""Reads data sets of grey pictures published as four IDX files, compressed by gzip, as MNIST is.

Format: http://yann.lecun.com/exdb/mnist/
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kls.data.download import Remote, official_files
from kls.data.examples import Examples
from kls.errors import UserError

SHAPE = (1, 28, 28)


@dataclass(frozen=True)
class IdxSet:
    """A data set in that layout.

    stem: of the folder of its files. remotes: pictures and labels for training, then for test.
    n_train, n_test: how many they hold.
    """

    name: str
    stem: str
    remotes: Sequence[Remote]
    n_train: int
    n_test: int
    class_names: tuple[str, ...]
    shape: tuple[int, int, int] = SHAPE

    def load(self, root: Path, download: bool = True) -> Examples:
        """Read the pictures from `root / stem`, which files that are not there are first downloaded into.

        Raises UserError: a file is not the official one, or is missing and cannot be downloaded.
        """
        contents = official_files(root, self.stem, self.name, self.remotes, download=download)
        sizes = ((self.n_train, *SHAPE[1:]), (self.n_train,), (self.n_test, *SHAPE[1:]), (self.n_test,))
        parts = []
        for content, size, path in zip(contents, sizes, self.files(root), strict=True):
            parts.append(_array(path, content, size))
        train_x, train_y, test_x, test_y = parts
        train_x, test_x = train_x.reshape(self.n_train, -1), test_x.reshape(self.n_test, -1)
        return Examples(self.name, train_x, train_y, test_x, test_y, self.class_names, self.shape)

    def files(self, root: Path) -> list[Path]:
        return [root / self.stem / remote.name for remote in self.remotes]


def _array(path: Path, content: bytes, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The bytes of a file, which must be of that shape. Two zeros, type, dimensions and sizes stand before them."""
    header = bytes((0, 0, 8, len(shape))) + b"".join(size.to_bytes(4, "big") for size in shape)
    length = len(header) + int(np.prod(shape))
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            unpacked = file.read(length + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be unpacked: {error}") from None
    if len(unpacked) != length or not unpacked.startswith(header):
        raise UserError(f"{path} does not hold {' x '.join(map(str, shape))} bytes in the format IDX")
    return np.frombuffer(unpacked, np.uint8, offset=len(header)).reshape(shape)
