"""Turns Ctrl-C and SIGTERM into a wish to stop that a training loop reads between two steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Stopped(KeyboardInterrupt):
    """A process was asked to stop by the signal ``signal_number``; its exit status is 128 + that."""

    def __init__(self, signal_number: int = signal.SIGINT) -> None:
        super().__init__(f"stopped by signal {signal_number}")
        self.signal_number = signal_number


@contextmanager
def stop_on_signals() -> Iterator[None]:
    """Context in which SIGINT, SIGTERM and SIGHUP raise Stopped."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped(number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class StopSignal:
    """Context in which the first SIGINT or SIGTERM sets ``wanted``; a second one acts as usual."""

    def __init__(self) -> None:
        self.wanted = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopSignal:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._receive)
        return self

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.wanted = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def __exit__(self, *exc_info: object) -> None:
        self._restore()
