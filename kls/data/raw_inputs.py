"""What the raw examples of a data set look like, and how they become inputs: all that a prediction needs of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kls.data.preparation import Preparation
from kls.errors import UserError


@dataclass(frozen=True)
class RawInputs:
    """The raw examples of a data set, as a run keeps them beside its checkpoints.

    Attributes:
        preparation: how an example (d,) becomes inputs.
        class_names: one name for each class.
        image_shape: channels, rows and columns of pictures, whose product is d; None for rows of numbers.
        raw_dtype: type of the numbers in the source, such as uint8.
        fingerprint: of the data set.
    """

    preparation: Preparation
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int] | None
    raw_dtype: np.dtype[Any]
    fingerprint: str

    @property
    def n_raw(self) -> int:
        """Numbers of a raw example, d."""
        return len(self.preparation.mean)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All of it as named arrays of numbers and texts."""
        found = {
            "mean": self.preparation.mean,
            "sd": self.preparation.sd,
            "dtype": np.array(str(self.preparation.dtype)),
            "class_names": np.array(self.class_names),
            "image_shape": np.array(self.image_shape or (), np.int64),
            "raw_dtype": np.array(str(self.raw_dtype)),
            "data_fingerprint": np.array(self.fingerprint),
        }
        return found if self.preparation.axes is None else {**found, "axes": self.preparation.axes}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> RawInputs:
        """What ``arrays`` gave. Raises ValueError where they are not of one data set, in a few words."""
        try:
            mean, sd, axes = arrays["mean"], arrays["sd"], arrays.get("axes")
            dtype, raw_dtype = (_dtype(arrays[name]) for name in ("dtype", "raw_dtype"))
            class_names, shape = arrays["class_names"], arrays["image_shape"]
            fingerprint = str(arrays["data_fingerprint"])
        except KeyError as error:
            raise ValueError(f"{error.args[0]} is missing") from None
        d = mean.size
        fits = {
            "mean": mean.ndim == 1 and mean.dtype == np.float64 and bool(np.isfinite(mean).all()),
            "sd": sd.shape == mean.shape and sd.dtype == np.float64 and bool((np.isfinite(sd) & (sd > 0)).all()),
            "dtype": str(dtype) in ("float32", "float64"),
            "raw_dtype": raw_dtype.kind in "buif",
            "class_names": class_names.ndim == 1 and class_names.dtype.kind == "U" and len(class_names) > 0,
            "image_shape": shape.dtype.kind in "iu"
            and (shape.shape == (0,) or (shape.shape == (3,) and shape.min() > 0 and math.prod(shape.tolist()) == d)),
            "axes": axes is None
            or (axes.ndim == 2 and len(axes) == d and axes.dtype == dtype and bool(np.isfinite(axes).all())),
        }
        for name, is_so in fits.items():
            if not is_so:
                raise ValueError(f"{name} does not fit the others")
        preparation, pictures = Preparation(mean, sd, dtype, axes), tuple(shape.tolist())
        return cls(preparation, tuple(class_names.tolist()), pictures or None, raw_dtype, fingerprint)

    def apply(self, x: ArrayLike) -> NDArray[np.floating]:
        """Inputs (n, d or k) of raw examples in any of the forms that `rows` takes. Raises UserError as that does."""
        return self.preparation.apply(self.rows(x))

    def rows(self, x: ArrayLike) -> NDArray[Any]:
        """Raw examples as rows (n, d), of pictures channel after channel, from any of the forms that `layouts` names.

        Raises UserError, in one line, where they have another form, are no numbers or not finite.
        """
        found = np.asarray(x)
        if found.dtype.kind not in "buif":
            raise UserError(f"examples of type {found.dtype}: must be numbers, {self.layouts}")
        shape = self.image_shape
        if shape and found.shape[1:] in ((*shape[1:], shape[0]), shape[1:] if shape[0] == 1 else None):
            pictures = found.reshape(len(found), *shape[1:], shape[0]).transpose(0, 3, 1, 2)
            found = pictures.reshape(len(found), self.n_raw)
        if found.ndim != 2 or found.shape[1] != self.n_raw:
            raise UserError(f"examples of shape {found.shape}: must be {self.layouts}")
        if found.dtype.kind == "f":
            self._check_floats(found)
        with np.errstate(invalid="ignore", over="ignore"):
            as_raw = found.astype(self.raw_dtype, copy=False)
        return as_raw if np.array_equal(as_raw, found) else found

    def _check_floats(self, x: NDArray[Any]) -> None:
        if not np.isfinite(x).all():
            raise UserError("examples: there is a NaN or an infinity among them")
        if self.raw_dtype == np.uint8 and x.size and 0 < x.max() <= 1 and x.min() >= 0 and (x % 1).any():
            raise UserError("examples lie between 0 and 1: the network was trained on grey levels 0 to 255")

    @property
    def layouts(self) -> str:
        """The forms that examples may have, in words."""
        if self.image_shape is None:
            return f"rows (n, {self.n_raw})"
        channels, height, width = self.image_shape
        last = "" if channels == 1 else f", {channels}"
        return f"pictures (n, {height}, {width}{last}) or rows (n, {self.n_raw}), channel after channel"


def _dtype(name: NDArray[Any]) -> np.dtype[Any]:
    """A type of numbers by its name. Raises ValueError."""
    if str(name) not in ("bool", *np.sctypeDict) or np.dtype(str(name)).kind not in "buif":
        raise ValueError(f"{str(name)[:20]!r} is no type of numbers")
    return np.dtype(str(name))
