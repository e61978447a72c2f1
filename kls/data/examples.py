"""Labelled examples as their source gives them, before any split or scaling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Examples:
    """A whole source with its training and test parts; pictures are flattened.

    Attributes:
        name: name of the source, as results show it.
        train_x: (n, d) uint8, float32 or float64, C-contiguous; a row is an example. A row of a picture is one
            channel after the other, each in row-major order.
        train_y: (n,) integer labels, indices into `class_names`.
        test_x, test_y: (m, d) and (m,), likewise.
        class_names: one name for each class.
        shape: channels, rows and columns of a picture; None for examples that are none.
        val_x, val_y: a validation part, if the source has one of its own; else it is taken from the training part.
        test_held_out: the share of its examples that was made the test part, of a source that has none.
        facts: for the fingerprint, what else may tell a source from another of that name.
    """

    name: str
    train_x: NDArray[Any]
    train_y: NDArray[np.integer]
    test_x: NDArray[Any]
    test_y: NDArray[np.integer]
    class_names: tuple[str, ...]
    shape: tuple[int, int, int] | None
    val_x: NDArray[Any] | None = None
    val_y: NDArray[np.integer] | None = None
    test_held_out: float | None = None
    facts: bytes = b""

    @property
    def kind(self) -> str:
        """What an example is called."""
        return "examples" if self.shape is None else "pictures"
