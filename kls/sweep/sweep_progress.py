"""The progress of all jobs of a batch in one view, read from their folders whatever launches them."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kls.errors import UserError
from kls.records import names
from kls.records.run_folder import RunFolder
from kls.training.progress import in_notebook, progress_bar

log = logging.getLogger("kls")

TERMINAL_SECONDS, LOG_SECONDS = 1.0, 30.0  # between two looks at the folders


class SweepProgress:
    """Context with a bar in a terminal or a notebook, and a line in the log now and then elsewhere."""

    def __init__(self, folders: Sequence[Path], title: str, enabled: bool) -> None:
        self._folders, self._title, self._enabled = folders, title, enabled
        self._known = dict[Path, Seen]()
        self._seen = sys.stderr.isatty() or in_notebook()
        self._done = threading.Event()
        self._started = time.perf_counter()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> SweepProgress:
        if self._enabled:
            self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._done.set()
        if self._enabled:
            self._thread.join()

    def _watch(self) -> None:
        form = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining} {postfix}"
        bar = progress_bar(self._seen, total=100.0, bar_format=form)
        bar.set_description(self._title)
        while not self._done.wait(TERMINAL_SECONDS if self._seen else LOG_SECONDS):
            share, line = look(self._folders, self._known)
            if self._seen:
                bar.n = 100.0 * share
                bar.set_postfix_str(line)
            else:
                elapsed = time.perf_counter() - self._started
                left = f", about {elapsed * (1 - share) / share:.0f} s left" if share > 0 else ""
                log.info("%s: %s%s", self._title, line, left)
        bar.close()


class Seen(NamedTuple):
    """What the metrics of a run say: its status, the share of its steps made, and its best validation accuracy."""

    status: str | None
    made: float
    best: float | None


def look(folders: Sequence[Path], known: dict[Path, Seen]) -> tuple[float, str]:
    """Share of the steps made, and a line: how many runs have ended, are running, and the best so far.

    known: of earlier looks, to which this one adds; a run that has ended is not read again.
    """
    found = [known.get(folder) or _seen(folder) for folder in folders]
    known |= {path: seen for path, seen in zip(folders, found, strict=True) if seen.status in names.ENDED}
    statuses = [seen.status for seen in found]
    failed, running = statuses.count(names.FAILED), statuses.count(names.RUNNING)
    ended = failed + sum(map(statuses.count, names.ENDED))
    best = max((seen.best for seen in found if seen.best is not None), default=None)
    line = f"{ended}/{len(folders)} ended, {running} running"
    line += f", {failed} failed" if failed else ""
    line += f", best validation {best:.2%}" if best is not None else ""
    return sum(seen.made for seen in found) / max(len(folders), 1), line


def _seen(folder: Path) -> Seen:
    try:
        metrics = RunFolder(folder).read_metrics()
    except UserError:
        metrics = {}
    status, best = metrics.get(names.STATUS), metrics.get(names.BEST_VAL_ACCURACY)
    made = _number(metrics.get("steps")) / max(_number(metrics.get("planned_steps")), 1.0)
    ended = status in (*names.ENDED, names.FAILED)
    return Seen(status, 1.0 if ended else made, None if best is None else _number(best))


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
