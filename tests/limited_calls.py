"""Calls an entry point with limits on time and memory, and says what is wrong with how it ended."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import re
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from entry_points import Outcome, call
from small_sweeps import LEFT_BY_A_KILL

SECONDS = 20.0
MEMORY = 3 * 2**30  # bytes that a call may ask for
LONGEST_LINE = 1200  # characters; a list of all choices takes 700
MOST_LINES = 20


class TookTooLong(BaseException):
    """Not an Exception, so that no handler but the test's takes it."""


class Enough(BaseException):
    """Raised where a call has got as far as the test wants it to go."""


@contextlib.contextmanager
def limited(seconds: float = SECONDS, memory: int = MEMORY) -> Iterator[None]:
    """Within this context more than ``seconds`` raise TookTooLong, and asking for more than ``memory`` bytes fails.

    A call into C that does not come back within four times as long ends the process, with a traceback.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise TookTooLong(f"more than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (_in_use() + memory, hard))
    signal.setitimer(signal.ITIMER_REAL, seconds)
    faulthandler.dump_traceback_later(4 * seconds, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
        signal.signal(signal.SIGALRM, before)


def _in_use() -> int:
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    found = re.search(r"VmData:\s+(\d+) kB", status.read_text())
    return int(found[1]) * 1024 if found else 0


def complaints(main: Callable[[], None], arguments: tuple[str, ...], cwd: Path) -> list[str]:
    """Call an entry point in the folder ``cwd`` and give all that is wrong with how it ended.

    Nothing new may stand in ``cwd`` but outputs/ and what --out names, and nothing in the folder above it.
    """
    before = {*cwd.iterdir(), *cwd.parent.iterdir(), cwd / "outputs"}
    for word in re.findall(r"^--out[=\n](.+)$", "\n".join(arguments), re.MULTILINE):
        before |= {cwd / word, *(cwd / word).parents}
    found = _call(main, arguments, cwd) + [f"left behind: {path}" for path in unfinished(cwd)]
    return found + [f"made {path}" for path in {*cwd.iterdir(), *cwd.parent.iterdir()} - before]


def _call(main: Callable[[], None], arguments: tuple[str, ...], cwd: Path) -> list[str]:
    try:
        with limited():
            outcome = call(main, arguments, cwd)
    except Enough:
        return []
    except TookTooLong as error:
        return [f"{error}, at {_place(error)}"]
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return [f"{type(error).__name__} escaped, at {_place(error)}: {str(error)[:200]}"]
    return wrong_with(outcome)


def wrong_with(outcome: Outcome) -> list[str]:
    """What is wrong with a command's status and with what it says."""
    said, lines = outcome.out + outcome.err, outcome.err.splitlines()
    found = []
    if outcome.status not in (0, 1, 2):
        found.append(f"status {outcome.status}: {outcome.err[-300:]}")
    if "Traceback (most" in said or "Logging error" in said:
        found.append(f"a traceback: {said[-300:]}")
    if re.search(r"error: unexpected|fault of kls", said, re.IGNORECASE):
        found.append(f"a fault of its own: {outcome.err[:300]}")
    if outcome.status == 1 and lines and not any(line.startswith("error: ") for line in lines):
        found.append(f"no line begins with error: {outcome.err[:300]}")
    if outcome.status == 2 and not re.match(r"usage: .*^\S.*: error: ", outcome.err, re.DOTALL | re.MULTILINE):
        found.append(f"no usage and error: {outcome.err[:300]}")
    if outcome.status == 1 and (len(lines) > MOST_LINES or max(map(len, lines), default=0) > LONGEST_LINE):
        found.append(f"{len(lines)} lines of up to {max(map(len, lines))} characters: {outcome.err[:300]}")
    if outcome.status == 1 and not said.strip():
        found.append("status 1 without a word")
    return found


def unfinished(folder: Path) -> list[Path]:
    """Temporary files that nobody has removed."""
    return [Path(at, name) for at, _, found in os.walk(folder) for name in found if LEFT_BY_A_KILL.match(name)]


def _place(error: BaseException) -> str:
    """The last of this project's lines in a traceback, and the last of all."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "/kls/" in f.filename]
    shown = ([own[-1]] if own else []) + frames[-1:]
    return " < ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in shown)
