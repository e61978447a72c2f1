"""The progress bar of a training: steps, speed and the best validation accuracy so far."""

from __future__ import annotations

import threading
from typing import Any

from tqdm import tqdm

tqdm.set_lock(threading.RLock())  # its own is for processes too, and outlives one that is killed


class Progress:
    """Context that shows a bar on stderr where that is a terminal; nothing otherwise."""

    def __init__(self, enabled: bool) -> None:
        self._enabled = enabled
        self._bar: tqdm[Any] | None = None

    def __enter__(self) -> Progress:
        return self

    def update(self, step: int, total: int, best: float) -> None:
        """Show ``step`` of ``total`` updates made and the best validation accuracy, a share."""
        if self._bar is None:
            self._bar = tqdm(total=total, initial=step, unit="step", disable=None if self._enabled else True)
        self._bar.update(step - self._bar.n)
        self._bar.set_postfix_str(f"best val {best:.2%}", refresh=False)

    def __exit__(self, *exc_info: object) -> None:
        if self._bar is not None:
            self._bar.close()
