"""What a lock file says of its holder, for machines that share a file system but perhaps not its locks.

It names the holder, who touches the file as long as its work goes on. Who sees another machine's lease untouched for
LEASE_SECONDS, by its own clock, takes it over; a holder that comes back then finds another's name, and has to stop.
"""

from __future__ import annotations

import errno
import os
import platform
import secrets
import stat
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from kls.errors import UserError
from kls.records.atomic import UNKNOWN, where

BEAT_SECONDS = 8.0  # between two touches
LEASE_SECONDS = 35.0  # without a touch, after which a holder on another machine has left
SETTLE_SECONDS = 1.0  # by then each of several that take over at once has written its name
SIGN_SECONDS = 0.1  # between two signs of life that are written
WIDTH = 180  # bytes of the holder's line; the count of signs of life follows it


class LeaseLostError(OSError):
    """Another process has taken over a folder: no fault of the job's, and nothing more may be written there."""


class Holder(NamedTuple):
    """Who holds a lease."""

    pid: int
    machine: str  # among whose processes the pid is unique
    token: str  # random
    host: str


class Content(NamedTuple):
    """What a lock file holds."""

    holder: Holder | None  # None where nobody is named, or by an older version
    signs: int  # of life
    touched: int  # ns, by the file system's clock


class Lease:
    """This process's hold of lock files. timeout: seconds without `show_life` after which it counts as hung."""

    def __init__(self, paths: Sequence[Path], timeout: float) -> None:
        self._paths, self._timeout = paths, timeout
        self._me = Holder(os.getpid(), machine(), secrets.token_hex(8), _host())
        self._signs, self._shown, self._written = 0, time.monotonic(), 0.0
        self._lost: Path | None = None
        self._over = threading.Event()

    def check(self) -> None:
        """To be called before anything is written. Raises LeaseLostError where another process has taken over."""
        if self._lost is None and self._is_lost(self._paths[0]):
            self._lost = self._paths[0]
        if self._lost is not None:
            raise LeaseLostError(f"{self._lost.parent}: another process has taken over here while this one stood still")

    def show_life(self) -> None:
        """Tell whoever watches the first file that the work goes on. Raises LeaseLostError as `check` does."""
        self._shown = now = time.monotonic()
        if now - self._written < SIGN_SECONDS:
            return
        self.check()
        self._written, self._signs = now, self._signs + 1
        with suppress(OSError), self._paths[0].open("rb+", buffering=0) as file:  # no reason to stop
            file.seek(WIDTH)  # the name is not written again: it may be another's by now
            file.write(b"%012d\n" % self._signs)

    @contextmanager
    def held(self, before: Mapping[Path, Holder | None], taken_over: bool) -> Iterator[None]:
        """Context in which the files name this process and are touched.

        before: who was named there. taken_over: whether others may be doing the same. Raises UserError if they were
        faster.
        """
        thread = threading.Thread(target=self._beat, name="lease", daemon=True)
        try:
            for path in self._paths:
                self._write(path, before[path])
                if taken_over and path == self._paths[0]:
                    time.sleep(SETTLE_SECONDS)
                    if self._is_lost(path):
                        raise refusal(path, read(path).holder)
            thread.start()
            yield
        finally:
            self._over.set()
            if thread.ident is not None:
                thread.join()
            for path in self._paths:
                with suppress(OSError):
                    if not self._is_lost(path):
                        os.truncate(path, 0)

    def _write(self, path: Path, before: Holder | None) -> None:
        with path.open("rb+", buffering=0) as file:
            found = _parsed(file.read(WIDTH))
            if found != before:
                raise refusal(path, found)
            file.seek(0)
            file.write(" ".join(map(str, self._me)).encode().ljust(WIDTH - 1) + b"\n%012d\n" % self._signs)
            file.truncate()

    def _beat(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            if time.monotonic() - self._shown > self._timeout:
                continue
            for path in self._paths:
                if self._is_lost(path):
                    self._lost = path
                else:
                    with suppress(OSError):
                        os.utime(path)

    def _is_lost(self, path: Path) -> bool:
        try:
            return read(path).holder != self._me
        except FileNotFoundError:
            return True
        except OSError:  # which says nothing of others
            return False


def read(path: Path) -> Content:
    """The content of a lock file. Raises OSError."""
    with opened(path, os.O_RDONLY) as file:  # which asks the server of a network's file system; a stat may not
        text, touched = file.read(2 * WIDTH), os.fstat(file.fileno()).st_mtime_ns
    signs = text[WIDTH:].strip()
    return Content(_parsed(text[:WIDTH]), int(signs) if signs.isdigit() else 0, touched)


def opened(path: Path, flags: int) -> BinaryIO:
    """A lock file, unbuffered. Raises OSError; a pipe, which would have its reader wait, is none."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o644)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a file", str(path))
    return os.fdopen(descriptor, "rb", buffering=0)


def _parsed(line: bytes) -> Holder | None:
    match line.decode("ascii", "replace").split():
        case [pid, where_it_is, token, host] if pid.isdecimal():
            return Holder(int(pid), where_it_is, token, host)
    return None


def machine() -> str:
    """This machine since it was started, and this container: a process id is unique there."""
    return where() if where() != UNKNOWN else _host()


def _host() -> str:
    return "-".join(platform.node().encode("ascii", "replace").decode().split())[:60] or "?"


def refusal(path: Path, holder: Holder | None) -> UserError:
    """The error of who finds another at work."""
    who = "" if holder is None or holder.machine == machine() else f" (process {holder.pid} on {holder.host})"
    return UserError(f"{path.parent}: another process is at work here{who}; wait for it, or stop it first")
