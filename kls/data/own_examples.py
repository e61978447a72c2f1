"""Makes examples of a user's arrays, or says in one line what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kls.core.streams import stream
from kls.data.examples import Examples
from kls.data.own_labels import class_indices
from kls.errors import UserError
from kls.records.escape import one_line

Array = NDArray[Any]

MOST_CHANNELS = 4
LEAST = 2  # examples of a class that must be left for training and validation


class Part(NamedTuple):
    """Raw examples (n, ...) and labels of "train", "val" or "test"."""

    x: Array
    y: Array


def own_examples(
    path: Path, parts: Mapping[str, Part], class_names: Sequence[str] | None, share: float, seed: int
) -> Examples:
    """The examples of a file's parts. Without a test part a share of each class, drawn by the seed, becomes it.

    parts: x is pictures (n, rows, columns[, channels]) or rows (n, d), of bytes or numbers; y is (n,), whole numbers or
    texts. class_names: of the labels; None for those that there are in training, in their order.

    Raises UserError: shapes that differ, values that are not finite, labels that do not fit, too few of a class.
    """
    flat, shape = _flattened(path, {name: part.x for name, part in parts.items()})
    for name, part in parts.items():
        if part.y.shape != (len(part.x),):
            raise UserError(f"{path}: y_{name} has shape {part.y.shape}; for x_{name} it must be ({len(part.x)},)")
    names, labels = class_indices(path, {name: part.y for name, part in parts.items()}, class_names)
    held_out = None if "test" in parts else share
    _check_counts(path, names, labels["train"], held_out)
    if held_out is not None:
        test = _held_out(labels["train"], share, seed)
        for source, rows in (("test", test), ("train", ~test)):
            flat[source], labels[source] = flat["train"][rows], labels["train"][rows]
    if bool((flat["train"] == flat["train"][0]).all()):
        raise UserError(f"{path}: no column of x_train varies; there is nothing to learn from")
    return Examples(
        one_line(path.name), flat["train"], labels["train"], flat["test"], labels["test"], names, shape,
        flat.get("val"), labels.get("val"), held_out, f"{shape}\0{names}\0".encode(),
    )  # fmt: skip


def _flattened(path: Path, parts: Mapping[str, Array]) -> tuple[dict[str, Array], tuple[int, int, int] | None]:
    """Rows (n, d) of all parts, of one type, and the shape of their pictures."""
    first = parts["train"]
    for name, x in parts.items():
        if x.dtype.kind not in "biuf":
            raise UserError(f"{path}: x_{name} holds {x.dtype}; examples are numbers")
        if x.ndim not in (2, 3, 4) or 0 in x.shape or (x.ndim == 4 and x.shape[3] > MOST_CHANNELS):
            raise UserError(
                f"{path}: x_{name} has shape {x.shape}; it must be rows (n, d), or pictures (n, rows, columns) or "
                f"(n, rows, columns, channels) of 1 to {MOST_CHANNELS} channels, of at least one number each"
            )
        if x.shape[1:] != first.shape[1:]:
            raise UserError(
                f"{path}: an example of x_{name} has shape {x.shape[1:]}, one of x_train has {first.shape[1:]}"
            )
    dtype = _common_type([x.dtype for x in parts.values()])
    for name, x in parts.items():
        bad = ~np.isfinite(x.reshape(len(x), -1)).all(axis=1) if x.dtype.kind == "f" else np.zeros(1, bool)
        if bad.any():
            n, row = int((~np.isfinite(x)).sum()), int(bad.argmax())
            raise UserError(f"{path}: x_{name} has {n} values that are NaN or infinite, the first in row {row}")
    if first.ndim == 2:
        return {name: np.ascontiguousarray(x, dtype) for name, x in parts.items()}, None
    rows, columns, channels = (*first.shape[1:], 1)[:3]
    pictures = {name: x.reshape(len(x), rows, columns, channels).transpose(0, 3, 1, 2) for name, x in parts.items()}
    flat = {name: np.ascontiguousarray(x, dtype).reshape(len(x), -1) for name, x in pictures.items()}
    return flat, (channels, rows, columns)


def _common_type(types: Sequence[np.dtype[Any]]) -> np.dtype[Any]:
    """Bytes stay such if all parts are, and numbers in single precision likewise; all else is double."""
    if all(dtype in (np.dtype(np.uint8), np.dtype(bool)) for dtype in types):
        return np.dtype(np.uint8)
    single = (np.float16, np.float32, np.uint8, bool)
    return np.dtype(np.float32 if all(dtype in map(np.dtype, single) for dtype in types) else np.float64)


def _check_counts(path: Path, names: Sequence[str], labels: NDArray[np.intp], held_out: float | None) -> None:
    if len(names) < 2:
        raise UserError(f"{path}: all labels of y_train are {names[0]!r}; there must be two classes at least")
    counts = np.bincount(labels, minlength=len(names))
    needed, fewest = LEAST + (held_out is not None), int(counts.argmin())
    if counts[fewest] < needed:
        others = int((counts < needed).sum()) - 1
        raise UserError(
            f"{path}: class {names[fewest]!r} has {counts[fewest]} examples in y_train"
            f"{f', and {others} more classes have too few' if others else ''}; each needs at least {needed}"
            f"{', one of them for the test part that is held out' if held_out is not None else ''}"
        )


def _held_out(labels: NDArray[np.intp], share: float, seed: int) -> NDArray[np.bool_]:
    """Which examples (n,) are the test part: of each class the share, but at least one, and `LEAST` stay."""
    rng, chosen = stream(seed, "split", 1), np.zeros(len(labels), bool)
    for label in range(labels.max() + 1):
        rows = rng.permutation(np.flatnonzero(labels == label))
        chosen[rows[: min(max(round(share * len(rows)), 1), len(rows) - LEAST)]] = True
    return chosen
