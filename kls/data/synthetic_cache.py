"""Makes the synthetic pictures once for a seed and keeps them in a file."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kls.data.pictures import Pictures
from kls.data.synthetic import CLASS_NAMES, NAME, VERSION, make_pictures
from kls.records.atomic import atomic_path

Parts = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]

log = logging.getLogger(__name__)


def load_synthetic(root: Path, seed: int) -> Pictures:
    """Return the 50,000 training and 10,000 test pictures of `seed`, from a file in `root` if it is there.

    The file is named after the seed and the version of the generator. It is made if it is missing or
    damaged; a folder that cannot be written to costs a warning and the time to make the pictures.
    """
    path = root / f"{NAME}-v{VERSION}-seed{seed}.npz"
    parts = _read(path)
    if parts is None:
        parts = make_pictures(seed)
        _write(path, parts)
    return Pictures(f"{NAME} (seed {seed})", *parts, CLASS_NAMES)


def _read(path: Path) -> Parts | None:
    """The arrays in `path`; None if there is no such file or damaged (zip keeps a CRC of each array)."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return arrays["train_x"], arrays["train_y"], arrays["test_x"], arrays["test_y"]
    except FileNotFoundError:
        return None
    except Exception as error:  # a damaged file fails in many ways, all cured by making it again
        log.warning("The cached pictures in %s are not readable (%s); making them again.", path, error)
        return None


def _write(path: Path, parts: Parts) -> None:
    train_x, train_y, test_x, test_y = parts
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            np.savez(temporary, train_x=train_x, train_y=train_y, test_x=test_x, test_y=test_y)
    except OSError as error:
        log.warning("The synthetic pictures cannot be cached in %s: %s", path, error)
