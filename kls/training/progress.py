"""Progress bars, and that of a training: steps, speed and the best validation accuracy so far."""

from __future__ import annotations

import sys
import threading
from typing import Any

from tqdm import tqdm

tqdm.set_lock(threading.RLock())  # its own is for processes too, and outlives one that is killed


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return shell is not None and "IPKernelApp" in shell.config


def progress_bar(enabled: bool = True, **options: Any) -> tqdm[Any]:
    """A bar with these options of tqdm: in a notebook, or on stderr where that is a terminal; nothing otherwise."""
    if not in_notebook():
        return tqdm(**options, disable=None if enabled else True)
    from tqdm.auto import tqdm as notebook_bar

    return notebook_bar(**options, disable=not enabled)


class Progress:
    """Context that shows a bar; its steps are those of one training."""

    def __init__(self, enabled: bool) -> None:
        self._enabled = enabled
        self._bar: tqdm[Any] | None = None

    def __enter__(self) -> Progress:
        return self

    def update(self, step: int, total: int, best: float) -> None:
        """Show ``step`` of ``total`` updates made and the best validation accuracy, a share."""
        if self._bar is None:
            self._bar = progress_bar(self._enabled, total=total, initial=step, unit="step")
        self._bar.update(step - self._bar.n)
        self._bar.set_postfix_str(f"best val {best:.2%}", refresh=False)

    def __exit__(self, *exc_info: object) -> None:
        if self._bar is not None:
            self._bar.close()
