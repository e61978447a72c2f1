"""Arrays that take long to make and are kept in a file: made once, and again where the file is damaged."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from numpy.typing import DTypeLike, NDArray

from kls.errors import DamageError
from kls.records.arrays import read_arrays, write_arrays
from kls.records.atomic import remove_leftovers
from kls.records.checked import set_aside

Arrays = Mapping[str, NDArray[Any]]
Shapes = Mapping[str, tuple[tuple[int, ...], DTypeLike]]

NOTE_SECONDS = 5
WAIT_SECONDS = 600  # for another process that makes the same arrays

log = logging.getLogger(__name__)


def cached_arrays(path: Path, shapes: Shapes, make: Callable[[], Arrays], valid: Callable[[Arrays], bool]) -> Arrays:
    """The arrays in ``path``; where it is missing or damaged, those of ``make``, which are then kept there.

    Processes that ask at once wait for the one that makes them. A damaged file is set aside. A folder that cannot be
    written to, or is full, costs a warning and the time to make them.

    shapes: shape and type of each array.
    valid: whether the values in arrays of these shapes are possible.
    """
    with suppress(DamageError, OSError):
        return _read(path, shapes, valid)
    with locked(path):
        try:
            return _read(path, shapes, valid)
        except DamageError as error:
            if not _cleared(path):
                log.warning("%s; made again, and not kept", error)
                return make()
        except OSError:
            pass
        arrays = make()
        try:
            remove_leftovers(path.parent)
            write_arrays(path, arrays)
        except OSError as error:
            log.warning("%s: cannot be kept there (%s), so it will be made again", path, error.strerror or error)
        return arrays


def _read(path: Path, shapes: Shapes, valid: Callable[[Arrays], bool]) -> Arrays:
    arrays = read_arrays(path)
    if {name: (array.shape, array.dtype) for name, array in arrays.items()} != dict(shapes):
        raise DamageError(f"{path}: holds other arrays")
    if not valid(arrays):
        raise DamageError(f"{path}: holds impossible values")
    return arrays


def _cleared(path: Path) -> bool:
    """Set a damaged file aside; a folder, or a file that somebody keeps to himself, is left alone."""
    try:
        if path.is_file() and os.access(path, os.R_OK):
            set_aside(path)
            return True
    except OSError:
        pass
    return False


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time, but for a folder that cannot have locks, and a lock that nobody gives back."""
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=NOTE_SECONDS)
        except Timeout:
            log.info("waiting for another process, which makes %s", path)
            lock.acquire(timeout=WAIT_SECONDS)
    except (OSError, NotImplementedError):  # Timeout is an OSError
        pass
    try:
        yield
    finally:
        lock.release()
