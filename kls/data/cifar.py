"""Reads data sets in the layout of CIFAR (Krizhevsky, 2009, "Learning multiple layers of features from tiny images").

Format: https://www.cs.toronto.edu/~kriz/cifar.html
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kls.data.archive import Archive
from kls.data.download import Remote
from kls.data.examples import Examples
from kls.data.known_files import KnownFiles
from kls.errors import UserError

SHAPE = (3, 32, 32)
PIXELS = 3072
LARGEST = 2.5  # a file's bytes over those of its pictures; pickled as text, bytes above 127 take two

Batch = tuple[NDArray[np.uint8], NDArray[np.uint8]]


@dataclass(frozen=True)
class Version:
    """One of the versions a data set is published in; `parse` gives labels (n,) and pixels (n, 3072) of a file.

    loose: whether its files may also lie in the root itself.
    """

    folder: str
    suffix: str
    parse: Callable[[Path, NDArray[np.uint8]], Batch]
    loose: bool = True


@dataclass(frozen=True)
class Cifar:
    """A data set in that layout.

    stem: of the names of the files that are kept beside it. remote: the archive of the first version.
    train, test: pictures in each file, by the file's name. label_bytes: of a record of the first version.
    """

    name: str
    stem: str
    remote: Remote
    versions: tuple[Version, ...]
    train: Mapping[str, int]
    test: Mapping[str, int]
    label_bytes: int
    class_names: tuple[str, ...]
    shape: tuple[int, int, int] = SHAPE

    @property
    def n_train(self) -> int:
        return sum(self.train.values())

    @property
    def n_test(self) -> int:
        return sum(self.test.values())

    def load(self, root: Path, download: bool = True) -> Examples:
        """Read the pictures from `root`, which they are first downloaded into if they are not there.

        Looked for, in this order: the folder of each version in `root`, then its files in `root` itself; the archive.
        Each file must be as it was when it was first read, see `KnownFiles`. One that this program has unpacked is
        unpacked again where it is damaged and the archive is still there.

        Returns the pictures in the order of the files. Raises UserError: a file is missing, has changed, has another
        size or label than it should, or the data set is not in `root` and cannot be downloaded.
        """
        found = self._find(root)
        if found is None:
            self._archive.provide(root, download=download)
            found = root / self.versions[0].folder, self.versions[0]
        known = KnownFiles(root, self.stem)
        train_x, train_y = self._read(*found, self.train, known)
        test_x, test_y = self._read(*found, self.test, known)
        known.save()
        return Examples(self.name, train_x, train_y, test_x, test_y, self.class_names, self.shape)

    def files(self, root: Path) -> list[Path]:
        """The files that `load` would read, if they are there."""
        found = self._find(root)
        return [] if found is None else [found[0] / f"{name}{found[1].suffix}" for name in (*self.train, *self.test)]

    @property
    def _archive(self) -> Archive:
        version, record = self.versions[0], self.label_bytes + PIXELS
        sizes = {f"{name}{version.suffix}": n * record for name, n in {**self.train, **self.test}.items()}
        return Archive(self.name, self.stem, self.remote, version.folder, sizes)

    def _find(self, root: Path) -> tuple[Path, Version] | None:
        for version in self.versions:
            if (root / version.folder).is_dir():
                return root / version.folder, version
            names = [*self.train, *self.test] if version.loose else []
            if any((root / f"{name}{version.suffix}").is_file() for name in names):
                return root, version
        return None

    def _read(self, folder: Path, version: Version, sizes: Mapping[str, int], known: KnownFiles) -> Batch:
        x = np.empty((sum(sizes.values()), PIXELS), dtype=np.uint8)
        y = np.empty(len(x), dtype=np.uint8)
        end = 0
        for name, n in sizes.items():
            path = folder / f"{name}{version.suffix}"
            labels, pixels = version.parse(path, self._content(path, n, known))
            if len(labels) != n:
                raise UserError(f"{path} holds {len(labels)} pictures; this file of {self.name} has {n}")
            if labels.max() >= len(self.class_names):
                wrong, last = int(np.argmax(labels >= len(self.class_names))), len(self.class_names) - 1
                text = f"picture {wrong} has label {labels[wrong]}; {self.name} has labels 0 to {last}"
                raise UserError(f"{path}: {text}")
            rows = slice(end, end := end + n)
            x[rows], y[rows] = pixels, labels
        return x, y

    def _content(self, path: Path, n: int, known: KnownFiles) -> NDArray[np.uint8]:
        """The file's bytes, as they were when it was first read; unpacked again if need be and possible."""
        try:
            return self._known_content(path, n, known)
        except UserError:
            if not known.unpacked or path.parent.name != self.versions[0].folder:
                raise
            if not self._archive.restore(path.parent.parent, path.name):
                raise
            return self._known_content(path, n, known)

    def _known_content(self, path: Path, n: int, known: KnownFiles) -> NDArray[np.uint8]:
        most = int(LARGEST * n * (self.label_bytes + PIXELS))
        try:
            state = path.stat()
            if not stat.S_ISREG(state.st_mode):
                raise UserError(f"{path} is not a regular file")
            if state.st_size > most:
                raise UserError(f"{path} is {state.st_size} bytes long; this file of {self.name} has at most {most}")
            content = np.fromfile(path, dtype=np.uint8, count=state.st_size)
        except OSError as error:
            names = ", ".join(f"{name}{path.suffix}" for name in (*self.train, *self.test))
            raise UserError(f"{path} cannot be read ({error.strerror}); {self.name} has {names}") from error
        if not known.fits(path, content.data):
            raise UserError(
                f"{path} has changed since it was first read: restore it, or remove {known.path} if that was on purpose"
            )
        return content


def records(path: Path, content: NDArray[np.uint8], label_bytes: int) -> Batch:
    """Labels (n,), the last of each record's label bytes, and pixels (n, 3072), both uint8, of a file's `content`.

    Raises UserError: the file, `path`, is not a whole number of records long.
    """
    length = label_bytes + PIXELS
    if content.size % length:
        raise UserError(f"{path} is cut off or damaged: {content.size} bytes are not whole records of {length}")
    rows = content.reshape(-1, length)
    return rows[:, label_bytes - 1], rows[:, label_bytes:]
