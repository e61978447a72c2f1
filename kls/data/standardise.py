"""Splits examples into training, validation and test sets and standardises them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from kls.core.streams import stream
from kls.data.dataset import DataSet, Split
from kls.data.examples import Examples
from kls.data.preparation import BLOCK_ROWS, Preparation, number_moments
from kls.errors import UserError

Array = TypeVar("Array", bound=NDArray[Any])
Inputs = NDArray[np.floating]
# Makes the inputs (n, d) of a set, by its name, from their type and their rows in order.
Store = Callable[[str, tuple[int, int], DTypeLike, Iterable[Inputs]], Inputs]

VALIDATION = 10  # a training part is that many times the validation set that is taken from it, if no size is given


class Sizes(NamedTuple):
    """Of the sets that are asked for; None for all of training and test, and for the usual validation set."""

    n_train: int | None
    n_val: int | None
    n_test: int | None


def in_memory(name: str, shape: tuple[int, int], dtype: DTypeLike, blocks: Iterable[Inputs]) -> Inputs:
    """A set's inputs as an array of this process."""
    x, end = np.empty(shape, dtype), 0
    for block in blocks:
        x[end : end + len(block)] = block
        end += len(block)
    return x


def build_dataset(
    examples: Examples, sizes: Sizes, *, split_seed: int, dtype: DTypeLike, store: Store = in_memory
) -> DataSet:
    """Split and standardise examples.

    Validation and training sets come from one permutation of the source's training part, drawn from
    `stream(split_seed, "split")`: its first `n_val` examples, then the next `n_train`. So the
    validation set does not change with `n_train`. The test set is the first `n_test` examples of the
    source's test part, and so is the validation set of a source that has a part for it. Mean and standard deviation
    come from the training set alone.

    Args:
        examples: the raw source; not changed.
        sizes: of the sets; None for all that the validation set leaves, for the source's part for validation or else a
            tenth of the training part, and for all of the test part.
        split_seed: seed of the permutation, at least 0.
        dtype: float32 or float64, the type of `Split.x`.
        store: keeps the inputs of a set.

    Raises:
        UserError: a size is below 1 or the source has fewer examples.
    """
    own_val = examples.val_x is not None
    val_x, val_y = (examples.val_x, examples.val_y) if own_val else (examples.train_x, examples.train_y)
    assert val_x is not None
    assert val_y is not None
    n_train, n_val, n_test = set_sizes(examples, sizes)
    taken = 0 if own_val else n_val  # from the training part

    order = stream(split_seed, "split").permutation(len(examples.train_x))
    val_rows, train_rows = np.arange(n_val) if own_val else order[:n_val], order[taken : taken + n_train]
    mean, sd = _moments(examples.train_x, train_rows)
    preparation = Preparation(mean, sd, np.dtype(dtype))
    digest = hashlib.sha256(f"{examples.name}\0{n_train}\0{n_val}\0{n_test}\0".encode() + examples.facts)

    def standardised(x: NDArray[Any], rows: NDArray[np.intp]) -> Iterator[Inputs]:
        out = np.empty((BLOCK_ROWS, x.shape[1]), dtype)
        for block in _blocks(x, rows):
            digest.update(block.data)
            preparation.standardise(block, out[: len(block)])
            yield out[: len(block)]

    def split(name: str, x: NDArray[Any], y: NDArray[np.integer], rows: NDArray[np.intp]) -> Split:
        labels = y[rows]
        digest.update(labels.data)
        inputs = store(name, (len(rows), x.shape[1]), dtype, standardised(x, rows))
        return Split(read_only(inputs), read_only(labels.astype(np.intp)))

    train = split("train", examples.train_x, examples.train_y, train_rows)
    val = split("val", val_x, val_y, val_rows)
    test = split("test", examples.test_x, examples.test_y, np.arange(n_test))
    source = hashlib.sha256(f"{examples.name}\0{n_test}\0".encode() + examples.test_y[:n_test].tobytes())
    source.update(np.ascontiguousarray(examples.test_x[:n_test]).data)
    return DataSet(
        examples.name, train, val, test, examples.class_names, read_only(mean), read_only(sd),
        digest.hexdigest()[:16], source.hexdigest()[:16], examples.shape, examples.test_held_out,
        raw_dtype=examples.train_x.dtype,
    )  # fmt: skip


def validation_size(n: int) -> int:
    """How many of so many training examples become the validation set, if no size is given."""
    return max(n // VALIDATION, 1)


def set_sizes(examples: Examples, asked: Sizes) -> tuple[int, int, int]:
    """How many examples training, validation and test set have. Raises UserError: the source has fewer."""
    n_train, n_val, n_test = asked
    if n_val is None:
        n_val = validation_size(len(examples.train_x)) if examples.val_x is None else len(examples.val_x)
    if n_train is None:
        n_train = len(examples.train_x) - (n_val if examples.val_x is None else 0)
    n_test = len(examples.test_x) if n_test is None else n_test
    _check_sizes(examples, n_train, n_val, n_test)
    return n_train, n_val, n_test


def _check_sizes(examples: Examples, n_train: int, n_val: int, n_test: int) -> None:
    kind = examples.kind
    for name, size in (("n_val", n_val), ("n_train", n_train), ("n_test", n_test)):
        if size < 1:
            raise UserError(f"{name} is {size}; each set needs at least 1 {kind.removesuffix('s')}")
    there = {"training": len(examples.train_x), "test": len(examples.test_x)}
    asked = {"training": {"n_train": n_train, "n_val": n_val}, "test": {"n_test": n_test}}
    if examples.val_x is not None:
        there["validation"] = len(examples.val_x)
        asked |= {"training": {"n_train": n_train}, "validation": {"n_val": n_val}}
    for part, n in there.items():
        if (needed := sum(asked[part].values())) > n:
            sizes = " and ".join(f"{name} {size}" for name, size in asked[part].items())
            says = f"{sizes} need {needed} {part} {kind};" if len(asked[part]) > 1 else f"{sizes.replace(' ', ' is ')};"
            raise UserError(f"{says} {examples.name} has {n}{'' if len(asked[part]) > 1 else f' {part} {kind}'}")


def _blocks(x: NDArray[Any], rows: NDArray[np.intp]) -> Iterator[NDArray[Any]]:
    """Yield x[rows] in blocks of `BLOCK_ROWS`."""
    for start in range(0, len(rows), BLOCK_ROWS):
        yield x[rows[start : start + BLOCK_ROWS]]


def _moments(x: NDArray[Any], rows: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and population standard deviation (1 where 0) of each column of `x[rows]`.

    Raises UserError where they are not finite.
    """
    mean, sd = _byte_moments(x, rows) if x.dtype == np.uint8 else number_moments(x, rows)
    if not (np.isfinite(mean).all() and np.isfinite(sd).all()):
        column = int((~(np.isfinite(mean) & np.isfinite(sd))).argmax())
        raise UserError(f"column {column} of the training examples has numbers too large to be standardised")
    return mean, np.where(sd == 0, 1.0, sd)


def _byte_moments(x: NDArray[np.uint8], rows: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Those of bytes: with S = sum x and Q = sum x^2 over n rows, sd = sqrt(n Q - S^2) / n. S, Q and n Q - S^2 are
    whole numbers and are computed without rounding.
    """
    total = np.zeros(x.shape[1], dtype=np.int64)
    total_squares = np.zeros(x.shape[1], dtype=np.int64)
    for block in _blocks(x, rows):
        total += block.sum(axis=0, dtype=np.uint32)
        total_squares += np.square(block, dtype=np.uint16).sum(axis=0, dtype=np.uint32)
    n = len(rows)
    return total / n, np.sqrt(n * total_squares - total**2) / n


def read_only(array: Array) -> Array:
    """The array, which cannot be written to any more."""
    array.setflags(write=False)
    return array
