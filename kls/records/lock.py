"""One process at a time in a folder, and its signs of life."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

try:
    import fcntl
except ImportError:  # not on this system
    fcntl = None  # type: ignore[assignment]

from kls.errors import UserError
from kls.records import names
from kls.records.atomic import remove_leftovers


@contextmanager
def only_process(*folders: Path, patience: float = 0.0) -> Iterator[None]:
    """Hold the locks of folders; they end with the process, however that ends. What killed ones left is removed.

    patience: seconds to wait for another process to leave. Raises UserError where one does not, OSError where the
    lock cannot be written.
    """
    with ExitStack() as held:
        for folder in folders:
            path = folder / names.LOCK
            try:
                held.enter_context(FileLock(path).acquire(timeout=patience))
            except Timeout:
                raise UserError(
                    f"{folder}: another process is at work here; wait for it, or stop it first"
                ) from None
            path.write_text(str(os.getpid()), encoding="utf-8")
            remove_leftovers(folder)
        yield


def show_life(folder: Path) -> None:
    """Tell whoever watches a folder that its process goes on."""
    with suppress(OSError):  # no reason to stop
        os.utime(folder / names.LOCK)


def is_held(folder: Path) -> bool:
    """Whether a process holds the lock of a folder. Asking writes nothing."""
    try:
        with (folder / names.LOCK).open("rb") as file:
            if fcntl is None:
                file.read(1)  # which the system refuses while another process has it locked
            else:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def sign_of_life(folder: Path) -> tuple[int, int] | None:
    """The process that holds a folder's lock, and when it last showed life, ns; None where none ever did."""
    path = folder / names.LOCK
    try:
        return int(path.read_text(encoding="utf-8")), path.stat().st_mtime_ns
    except (OSError, ValueError):
        return None
