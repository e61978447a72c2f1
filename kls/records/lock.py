"""One process at a time in a folder, and its signs of life.

Its lock file is locked (flock), which the kernel ends with the process; not every file system tells other machines.
For these the file holds a lease, too.
"""

from __future__ import annotations

import errno
import logging
import math
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on this system
    fcntl = None  # type: ignore[assignment]

from kls.records import lease, names
from kls.records.atomic import remove_leftovers
from kls.records.lease import Holder, Lease

POLL_SECONDS = 0.05  # between two looks at another's lock
NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)

log = logging.getLogger("kls")


@contextmanager
def only_process(*folders: Path, patience: float = 0.0, timeout: float = math.inf) -> Iterator[Lease]:
    """Hold the locks of folders; they end with the process, however that ends. What killed ones left is removed.

    patience: seconds to wait for another process to leave. timeout: seconds without `Lease.show_life` after which this
    one counts as hung, and other machines may take over.
    Raises UserError where another process does not leave, OSError where the lock cannot be written.
    """
    paths = [folder / names.LOCK for folder in folders]
    with ExitStack() as held:
        locked = {path: held.enter_context(_locked(path, patience)) for path in paths}
        own = Lease(paths, timeout)
        held.enter_context(own.held(*_left(locked, patience)))
        for folder in folders:
            remove_leftovers(folder)
        yield own


def is_held(folder: Path) -> bool:
    """Whether a process holds the lock of a folder, on this machine or on another. Changes no file."""
    path = folder / names.LOCK
    try:
        with lease.opened(path, os.O_RDONLY) as file:
            locked = _flock(file.fileno(), shared=True)
        if locked is False:
            return True
        holder, _, touched = lease.read(path)
        if _is_gone(holder, locked is True):
            return False
        with tempfile.TemporaryFile(dir=folder) as file:  # the file system's clock
            return os.fstat(file.fileno()).st_mtime_ns - touched < lease.LEASE_SECONDS * 1e9
    except FileNotFoundError:
        return False
    except OSError:
        return True


def sign_of_life(folder: Path) -> tuple[Holder, int] | None:
    """Who holds a folder's lock, and the count of its signs of life; None without one."""
    try:
        holder, signs, _ = lease.read(folder / names.LOCK)
    except OSError:
        return None
    return None if holder is None else (holder, signs)


@contextmanager
def _locked(path: Path, patience: float) -> Iterator[bool]:
    """Hold the flock of a file; gives whether its file system has such locks."""
    until = time.monotonic() + patience
    with lease.opened(path, os.O_RDWR | os.O_CREAT) as file:
        while (locked := _flock(file.fileno())) is False:
            if time.monotonic() >= until:
                raise lease.refusal(path, lease.read(path).holder)
            time.sleep(POLL_SECONDS)
        yield locked is True


def _flock(descriptor: int, shared: bool = False) -> bool | None:
    """Lock a file; False where another process has it locked, None where there are no such locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in NO_LOCKS:
            return None
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def _left(locked: Mapping[Path, bool], patience: float) -> tuple[dict[Path, Holder | None], bool]:
    """Wait until every holder has left, or shown no life for a lease's time. Gives who is named, and if any did that.

    locked: for each file whether this process has its flock.
    """
    began = time.monotonic()
    found = {path: lease.read(path) for path in locked}
    watched = {path: began for path, content in found.items() if not _is_gone(content.holder, locked[path])}
    if watched:
        first = next(iter(watched))
        named = found[first].holder
        assert named is not None
        where = f"{first.parent}: process {named.pid} on {named.host} was at work here"
        log.info("%s; looking for up to %g s whether it still is", where, lease.LEASE_SECONDS)
    silent = False
    while watched:
        time.sleep(min(1.0, lease.LEASE_SECONDS / 20))
        for path, since in list(watched.items()):
            before, now = found[path], time.monotonic()
            found[path] = lease.read(path)
            if _is_gone(found[path].holder, locked[path]):
                del watched[path]
            elif found[path] != before:
                if now - began >= patience:
                    raise lease.refusal(path, found[path].holder)
                watched[path] = now
            elif now - since >= lease.LEASE_SECONDS:
                silent = True
                del watched[path]
    return {path: content.holder for path, content in found.items()}, silent


def _is_gone(holder: Holder | None, locked: bool) -> bool:
    """Whether nobody holds a file any more, as far as its flock tells."""
    return holder is None or (locked and holder.machine == lease.machine())
