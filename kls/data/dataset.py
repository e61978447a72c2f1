"""What a training takes of a data set: training, validation and test sets, standardised."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kls.data.preparation import Preparation
from kls.data.raw_inputs import RawInputs
from kls.records import names

BYTES = np.dtype(np.uint8)


@dataclass(frozen=True)
class Split:
    """One of the three sets, as the network takes it.

    Attributes:
        x: (n, d) float32 or float64, C-contiguous, standardised examples, one a row.
        y: (n,) intp labels.
    """

    x: NDArray[np.floating]
    y: NDArray[np.intp]


@dataclass(frozen=True)
class DataSet:
    """Training, validation and test sets of one source.

    The arrays are read-only, for runs in one process share them.

    Attributes:
        name: name of the source, as results show it.
        train, val, test: the three sets; they share no example of the source.
        class_names: one name for each class.
        mean: (d,) float64 mean of each dimension over the raw training set, of pictures in grey levels 0 to 255.
        sd: (d,) float64 population standard deviation likewise, 1 where it is 0; a raw example x
            enters the network as (x - mean) / sd.
        fingerprint: 16 hex digits that differ if the examples or labels of any of the sets differ.
        pictures_fingerprint: the same of the test set alone: that of the source, whatever the split.
        image_shape: a row of `x` reshaped to this is channels, rows, columns; None if the examples are no pictures.
        test_held_out: the share of its examples that was made the test part, of a source that has none.
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
    image_shape: tuple[int, int, int] | None = None
    test_held_out: float | None = None
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
        held_out = {} if self.test_held_out is None else {names.TEST_HELD_OUT: self.test_held_out}
        return {
            "data": self.name,
            "classes": len(self.class_names),
            "data_fingerprint": self.fingerprint,
            "pictures_fingerprint": self.pictures_fingerprint,
            **axes,
            **held_out,
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
