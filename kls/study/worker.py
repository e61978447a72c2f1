"""The process that carries out the commands of steps: libraries are loaded, and pictures are read, once for many."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import suppress
from pathlib import Path

_PATIENCE = 60.0  # seconds that an interrupted command has to write its checkpoints

Code = str | int | None  # of a command's exit, as `sys.exit` takes it: 0 or None is success


class Worker:
    """The process begins with the first command and is shielded from the terminal's Ctrl-C."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._pid, self._code = 0, Future[Code]()

    def begin(self, command: Sequence[str], log: Path) -> Future[Code]:
        """Call the entry point of a module, the first of ``command``, with arguments, and add its output to ``log``.

        BrokenProcessPool, raised here or by the code, says that the process died.
        """
        if self._pool is None:
            self._pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _shield)
            before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process inherits this
            try:
                pid = self._pool.submit(os.getpid)
            finally:
                signal.signal(signal.SIGINT, before)
            self._pid = pid.result()
        self._code = self._pool.submit(_carry_out, command, log)
        return self._code

    def end(self) -> None:
        """End the process. A command that is under way is stopped as by Ctrl-C and writes its checkpoints first."""
        pool, self._pool = self._pool, None
        for number in (signal.SIGINT, signal.SIGTERM):
            if not (self._code.cancel() or self._code.done()):
                os.kill(self._pid, number)
                wait([self._code], _PATIENCE)
        if pool is not None:
            pool.shutdown()


def _shield() -> None:
    if hasattr(os, "setsid"):
        os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_end_with_runner, daemon=True).start()


def _end_with_runner() -> None:
    runner = multiprocessing.parent_process()
    assert runner is not None
    runner.join()
    os._exit(1)  # what had begun must not go on unseen


def _carry_out(command: Sequence[str], log: Path) -> Code:
    code: Code = None
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.argv = list(command)
    try:
        importlib.import_module(command[0]).main()
    except SystemExit as end:
        code = end.code
    with suppress(OSError):  # a full disk
        print(code if isinstance(code, str) else "", flush=True)
        sys.stderr.flush()
    return code
