"""Labelled pictures as their source gives them, before any split or scaling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Pictures:
    """A whole source of 32 x 32 colour pictures with its official training and test parts.

    Attributes:
        name: name of the source, as results show it.
        train_x: (n, 3072) uint8, C-contiguous; a row is the red, then the green, then the blue
            channel, each 32 x 32 in row-major order.
        train_y: (n,) uint8 labels, indices into `class_names`.
        test_x: (m, 3072) uint8, like `train_x`.
        test_y: (m,) uint8, like `train_y`.
        class_names: one name for each class.
    """

    name: str
    train_x: NDArray[np.uint8]
    train_y: NDArray[np.uint8]
    test_x: NDArray[np.uint8]
    test_y: NDArray[np.uint8]
    class_names: tuple[str, ...]
