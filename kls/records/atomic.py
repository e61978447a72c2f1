"""Writes files so that a reader, or a crash, sees the old file or the new one, never a part."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

_TEMPORARY = re.compile(r"\.tmp-(?P<where>[0-9a-f]{8})-(?P<pid>\d{1,10})-[0-9a-f]{8}-.")
UNKNOWN = "0" * 8  # what `where` gives if it cannot tell
_DAY = 24 * 60 * 60  # seconds


@contextmanager
def atomic_path(path: Path | str, keep: Path | None = None) -> Iterator[Path]:
    """Yield a temporary path beside `path`; what is written there becomes `path` when the block ends.

    The file that `path` was before becomes `keep`, if that is given.

    The temporary name (see `temporary_path`) keeps the suffix of `path`, so that writers which choose a
    format by suffix (`numpy.savez`, `Figure.savefig`) behave the same. File and folder are flushed to disk
    (fsync). Two writers at once leave one whole file, that of the last to end.

    Raises:
        Whatever the block raises, after removing the temporary file; `path` is then as it was.
        FileNotFoundError: the block wrote nothing to the temporary path.
        OSError: the disk is full, say; it names ``path``.
    """
    path = Path(path)
    temporary = temporary_path(path)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        if keep is not None and path.exists():
            path.replace(keep)
        temporary.replace(path)
        fsync_folder(path.parent)
    except OSError as error:
        if error.filename in (None, str(temporary)):  # as "no space left" has none
            raise type(error)(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def temporary_path(path: Path) -> Path:
    """A new hidden name beside `path`; it tells who writes there, so that `remove_leftovers` knows it again."""
    return path.with_name(f".tmp-{where()}-{os.getpid()}-{secrets.token_hex(4)}-{path.name}")


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes were writing in `folder` under names of `temporary_path`, and nothing else.

    A process is known to be dead only on the same boot of the same machine and in the same container. What one from
    elsewhere was writing is removed when it has lain unchanged for a day, by the file system's own clock.
    """
    with suppress(OSError):
        for path in list(folder.iterdir()):
            made = _TEMPORARY.match(path.name)
            if made and _is_left(path, made["where"], int(made["pid"])):
                _remove(path)


def _is_left(path: Path, writer: str, pid: int) -> bool:
    if writer == where() != UNKNOWN:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        except (OSError, OverflowError):
            return False
        return False
    with tempfile.TemporaryFile(dir=path.parent) as file:
        now = os.fstat(file.fileno()).st_mtime
    return now - path.lstat().st_mtime > _DAY


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@lru_cache(maxsize=1)
def where() -> str:
    """8 hex digits of the set of processes among which a process id is unique, as far as Linux tells."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_bytes()
        return hashlib.sha256(boot + b"%d" % Path("/proc/self/ns/pid").stat().st_ino).hexdigest()[:8]
    except OSError:
        return UNKNOWN


def write_bytes(path: Path | str, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path | str, text: str) -> None:
    """Write `text` to `path` as UTF-8, whole or not at all; line ends stay as given."""
    write_bytes(path, text.encode("utf-8"))


def fsync_folder(folder: Path) -> None:
    """Have the names of a folder reach the disk."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows cannot open a folder
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
