"""Splits pictures into training, validation and test sets and standardises them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from kls.core.streams import stream
from kls.data.cifar10 import load_cifar10
from kls.data.pictures import Pictures
from kls.data.preparation import Preparation
from kls.data.raw_inputs import RawInputs
from kls.data.synthetic_cache import load_synthetic
from kls.errors import UserError

Array = TypeVar("Array", bound=NDArray[Any])

BLOCK_ROWS = 256
IMAGE_SHAPE = (3, 32, 32)
BYTES = np.dtype(np.uint8)

# The pictures of each source, from the folder of data files, whether they may be fetched, and the seed of made-up ones.
SOURCES: dict[str, Callable[[Path, bool, int], Pictures]] = {
    "synthetic": lambda root, download, seed: load_synthetic(root, seed),
    "cifar10": lambda root, download, seed: load_cifar10(root, download),
}


@dataclass(frozen=True)
class Split:
    """One of the three sets, as the network takes it.

    Attributes:
        x: (n, d) float32 or float64, C-contiguous, standardised pixels, one picture a row.
        y: (n,) intp labels.
    """

    x: NDArray[np.floating]
    y: NDArray[np.intp]


@dataclass(frozen=True)
class DataSet:
    """Training, validation and test sets of one source of pictures.

    The arrays are read-only, for runs in one process share them.

    Attributes:
        name: name of the source, as results show it.
        train, val, test: the three sets; they share no picture of the source.
        class_names: one name for each class.
        mean: (d,) float64 mean of each dimension over the raw training set, in grey levels 0 to 255.
        sd: (d,) float64 population standard deviation likewise, 1 where it is 0; a raw picture x
            enters the network as (x - mean) / sd.
        fingerprint: 16 hex digits that differ if the pictures or labels of any of the sets differ.
        pictures_fingerprint: the same of the test set alone: that of the source, whatever the split.
        image_shape: a row of `x` reshaped to this is channels, rows, columns.
        projection: what `x` was made of where it holds no pixels; then image_shape is that of the pictures.
        raw_dtype: type of the numbers in the source.
    """

    name: str
    train: Split
    val: Split
    test: Split
    class_names: tuple[str, ...]
    mean: NDArray[np.float64]
    sd: NDArray[np.float64]
    fingerprint: str
    pictures_fingerprint: str
    image_shape: tuple[int, int, int] = IMAGE_SHAPE
    projection: Projection | None = None
    raw_dtype: np.dtype[Any] = BYTES

    @property
    def inputs(self) -> RawInputs:
        """How raw examples become inputs, for predictions without this data set."""
        axes = None if self.projection is None else self.projection.axes
        preparation = Preparation(self.mean, self.sd, self.train.x.dtype, axes)
        return RawInputs(preparation, self.class_names, self.image_shape, self.raw_dtype, self.fingerprint)

    @property
    def facts(self) -> dict[str, Any]:
        """What tells this data set from others, for the records of a run."""
        axes = {} if self.projection is None else {"axes_fingerprint": self.projection.fingerprint}
        return {
            "data": self.name,
            "classes": len(self.class_names),
            "data_fingerprint": self.fingerprint,
            "pictures_fingerprint": self.pictures_fingerprint,
            **axes,
        }

    @property
    def pixels(self) -> DataSet:
        """The data set before any projection, which must have been kept."""
        if self.projection is None:
            return self
        assert self.projection.pixels is not None
        return self.projection.pixels

    def projected(self, pixels: NDArray[np.floating]) -> NDArray[np.floating]:
        """Inputs (n, k) of standardised pixels (n, d), which they are themselves without a projection."""
        return pixels if self.projection is None else pixels @ self.projection.axes


@dataclass(frozen=True)
class Projection:
    """How inputs were made of standardised pixels x (n, d): x @ axes, with axes (d, k) of the type of x.

    fingerprint: 16 hex digits that differ if any bit of the axes differs, as it may where another machine finds them.
    pixels: the data set before, for those who augment its pictures; else None.
    """

    axes: NDArray[np.floating]
    fingerprint: str
    pixels: DataSet | None


def default_root() -> str:
    """Folder of data files and caches where none is given, as conf/data/_base.yaml has it."""
    return os.environ.get("KLS_DATA", "~/.cache/kls")


def load_dataset(
    source: str,
    *,
    root: Path,
    download: bool,
    synthetic_seed: int,
    n_train: int | None,
    n_val: int,
    n_test: int | None,
    split_seed: int,
    dtype: DTypeLike,
) -> DataSet:
    """Load the pictures named by `source` and build the data set from them, see `build_dataset`.

    Args:
        source: a key of `SOURCES`.
        root: folder of the CIFAR-10 files and of the cache of synthetic pictures.
        download: whether CIFAR-10 may be fetched if it is not in `root`.
        synthetic_seed: seed of the synthetic pictures.

    Raises:
        UserError: sizes that do not fit; CIFAR-10 is missing or damaged.
    """
    pictures = SOURCES[source](root, download, synthetic_seed)
    return build_dataset(pictures, n_train=n_train, n_val=n_val, n_test=n_test, split_seed=split_seed, dtype=dtype)


def build_dataset(
    pictures: Pictures,
    *,
    n_train: int | None,
    n_val: int,
    n_test: int | None,
    split_seed: int,
    dtype: DTypeLike,
) -> DataSet:
    """Split and standardise `pictures`.

    Validation and training sets come from one permutation of the official training part, drawn from
    `stream(split_seed, "split")`: its first `n_val` pictures, then the next `n_train`. So the
    validation set does not change with `n_train`. The test set is the first `n_test` pictures of the
    official test part. Mean and standard deviation come from the training set alone.

    Args:
        pictures: the raw source; not changed.
        n_train: size of the training set; None for all that the validation set leaves.
        n_val: size of the validation set.
        n_test: size of the test set; None for all.
        split_seed: seed of the permutation, at least 0.
        dtype: float32 or float64, the type of `Split.x`.

    Raises:
        UserError: a size is below 1 or the source has fewer pictures.
    """
    n_train = len(pictures.train_x) - n_val if n_train is None else n_train
    n_test = len(pictures.test_x) if n_test is None else n_test
    _check_sizes(pictures, n_train, n_val, n_test)

    order = stream(split_seed, "split").permutation(len(pictures.train_x))
    val_rows, train_rows, test_rows = order[:n_val], order[n_val : n_val + n_train], np.arange(n_test)
    mean, sd = _moments(pictures.train_x, train_rows)

    preparation = Preparation(mean, sd, np.dtype(dtype))
    digest = hashlib.sha256(f"{pictures.name}\0{n_train}\0{n_val}\0{n_test}\0".encode())

    def split(x: NDArray[np.uint8], y: NDArray[np.uint8], rows: NDArray[np.intp]) -> Split:
        labels = y[rows]
        digest.update(labels.data)
        standardised = np.empty((len(rows), x.shape[1]), dtype=dtype)
        for start, block in _blocks(x, rows):
            digest.update(block.data)
            preparation.standardise(block, standardised[start : start + len(block)])
        return Split(_read_only(standardised), _read_only(labels.astype(np.intp)))

    train = split(pictures.train_x, pictures.train_y, train_rows)
    val = split(pictures.train_x, pictures.train_y, val_rows)
    test = split(pictures.test_x, pictures.test_y, test_rows)
    source = hashlib.sha256(f"{pictures.name}\0{n_test}\0".encode() + pictures.test_y[:n_test].tobytes())
    source.update(np.ascontiguousarray(pictures.test_x[:n_test]).data)
    fingerprints = digest.hexdigest()[:16], source.hexdigest()[:16]
    return DataSet(pictures.name, train, val, test, pictures.class_names, mean, sd, *fingerprints)


def _check_sizes(pictures: Pictures, n_train: int, n_val: int, n_test: int) -> None:
    for name, size in (("n_val", n_val), ("n_train", n_train), ("n_test", n_test)):
        if size < 1:
            raise UserError(f"{name} is {size}; each set needs at least 1 picture")
    if n_train + n_val > len(pictures.train_x):
        raise UserError(
            f"n_train {n_train} and n_val {n_val} need {n_train + n_val} training pictures; "
            f"{pictures.name} has {len(pictures.train_x)}"
        )
    if n_test > len(pictures.test_x):
        raise UserError(f"n_test is {n_test}; {pictures.name} has {len(pictures.test_x)} test pictures")


def _blocks(x: NDArray[np.uint8], rows: NDArray[np.intp]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield (start, x[rows[start : start + BLOCK_ROWS]]) for the whole of `rows`."""
    for start in range(0, len(rows), BLOCK_ROWS):
        yield start, x[rows[start : start + BLOCK_ROWS]]


def _moments(x: NDArray[np.uint8], rows: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and population standard deviation (1 where 0) of each column of `x[rows]`.

    With S = sum x and Q = sum x^2 over n rows, sd = sqrt(n Q - S^2) / n. S, Q and n Q - S^2 are whole
    numbers and are computed without rounding.
    """
    total = np.zeros(x.shape[1], dtype=np.int64)
    total_squares = np.zeros(x.shape[1], dtype=np.int64)
    for _, block in _blocks(x, rows):
        total += block.sum(axis=0, dtype=np.uint32)
        total_squares += np.square(block, dtype=np.uint16).sum(axis=0, dtype=np.uint32)
    n = len(rows)
    sd = np.sqrt(n * total_squares - total**2) / n
    return _read_only(total / n), _read_only(np.where(sd == 0, 1.0, sd))


def _read_only(array: Array) -> Array:
    array.setflags(write=False)
    return array
