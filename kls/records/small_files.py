"""Guards the reading of files that are small: records of a run or a step, definitions of studies and sweeps."""

from __future__ import annotations

import stat
from pathlib import Path

from kls.errors import DamageError
from kls.records import checked

LARGEST = 4 * 2**20  # bytes of a record; they have thousands
LARGEST_YAML = 2**18  # a reader of YAML takes minutes for millions


def check_file(path: Path, largest: int | None = None) -> None:
    """Raises FileNotFoundError; DamageError where the path is no file, as a pipe is none, or one with more bytes."""
    try:
        found = path.stat()
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:  # a loop of links, a path in a file, a NUL in the name
        raise DamageError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if not stat.S_ISREG(found.st_mode):
        raise DamageError(f"{path}: is not a file")
    if largest is not None and found.st_size > largest:
        raise DamageError(f"{path}: is larger than {largest >> 10:,} KiB")


def check_small(path: Path) -> None:
    """As `check_file`, for a record."""
    check_file(path, LARGEST)


def read_yaml_text(path: Path) -> str:
    """The text of a file of settings or of a definition. Raises FileNotFoundError; DamageError where it is none."""
    check_file(path, LARGEST_YAML)
    return checked.read_text(path)
