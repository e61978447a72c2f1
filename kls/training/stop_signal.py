"""Signals that ask a process to stop: Ctrl-C (SIGINT), SIGTERM and SIGHUP.

Most code is stopped by an exception, raised where it happens to be. A training loop looks between two steps whether a
stop is wanted, writes its checkpoints, and raises the exception itself.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = tuple(
    number for name in ("SIGINT", "SIGTERM", "SIGHUP") if (number := getattr(signal, name, None)) is not None
)


class Stopped(KeyboardInterrupt):
    """A process was asked to stop by the signal ``signal_number``; its exit status is 128 + that."""

    def __init__(self, signal_number: int = signal.SIGINT) -> None:
        super().__init__(f"stopped by signal {signal_number}")
        self.signal_number = signal_number


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Context in which the signals raise Stopped; those that are ignored, as nohup ignores SIGHUP, stay so."""
    with _handled(_raise):
        yield


class StopSignal:
    """Context in which the first signal sets ``wanted``, the signal's number; a second one acts as usual."""

    def __init__(self) -> None:
        self.wanted: int | None = None

    def __enter__(self) -> StopSignal:
        self._handling = _handled(self._receive)
        self._handling.__enter__()
        return self

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.wanted = number
        self._handling.__exit__(None, None, None)

    def __exit__(self, *exc_info: Any) -> None:
        if self.wanted is None:
            self._handling.__exit__(None, None, None)


@contextmanager
def _handled(handler: Any) -> Iterator[None]:
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, other in before.items():
            signal.signal(number, other)


def _raise(number: int, frame: FrameType | None) -> None:
    raise Stopped(number)
