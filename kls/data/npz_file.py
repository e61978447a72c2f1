"""The labelled arrays of a user's npz file."""

from __future__ import annotations

from pathlib import Path

from kls.data.own_examples import Part
from kls.errors import UserError
from kls.records.arrays import read_arrays
from kls.records.escape import shortened
from kls.records.memory import memory_limit

PARTS = ("train", "val", "test")
NAMES = "class_names"
LARGEST = 2**36  # bytes, where it is not known how much memory there is
COPIES = 3  # of the examples that a training has: as they are read, flattened, standardised


def read_npz(path: Path) -> tuple[dict[str, Part], list[str] | None]:
    """The parts that there are, and the names of the classes, if they are given.

    No object is made of what the file holds, and no more memory is taken than there is. Raises UserError: the file is
    missing, damaged, or has other arrays.
    """
    try:
        arrays = read_arrays(path, (memory_limit() or LARGEST) // COPIES)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"data.path={path}: there is no such file") from None
    known = [f"{kind}_{part}" for part in PARTS for kind in "xy"] + [NAMES]
    unknown = [name for name in arrays if name not in known]
    missing = [f"{kind}_{part}" for part in PARTS for kind in "xy" if f"{kind}_{part}" not in arrays]
    needed = [name for name in missing if name.endswith("train") or f"{'yx'[name[0] == 'y']}{name[1:]}" in arrays]
    if needed or unknown:
        fault = f"lacks {needed[0]}" if needed else f"holds {shortened(unknown[0])!r}"
        raise UserError(f"{path}: {fault}; its arrays are x_train, y_train, and perhaps {', '.join(known[2:])}")
    names = arrays.get(NAMES)
    if names is not None and (names.ndim != 1 or names.dtype.kind != "U"):
        raise UserError(f"{path}: {NAMES} holds {names.dtype} {names.shape}; it must be a list of texts")
    parts = {part: Part(arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in PARTS if f"x_{part}" in arrays}
    return parts, None if names is None else [str(name) for name in names]
