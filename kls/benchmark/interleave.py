"""Measures contenders in turn, round after round, each library in a worker process of its own.

Where a machine's speed drifts, all contenders drift with it; the smallest of a contender's rounds is its time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from kls.errors import UserError

T = TypeVar("T")

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}


def round_robin(contenders: Sequence[T], rounds: int, measure: Callable[[T], float]) -> list[list[float]]:
    """Seconds of each contender, one number a round: all are measured once before any is measured again."""
    found: list[list[float]] = [[] for _ in contenders]
    for _ in range(rounds):
        for times, contender in zip(found, contenders, strict=True):
            times.append(measure(contender))
    return found


def one_core() -> int:
    """The core that the workers share; they take turns."""
    return max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0


class Worker:
    """A worker process. ``version`` of its library is None where that is not installed."""

    def __init__(self, library: str) -> None:
        self.library = library
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the worker
        self._process = subprocess.Popen(
            [sys.executable, "-m", "kls.benchmark.worker", library, str(one_core())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=os.environ | ONE_THREAD,
            text=True,
            encoding="utf-8",
        )
        self.version: str | None = self._read().get("version")

    def ask(self, **command: Any) -> dict[str, Any]:
        """The answer to a command. Raises UserError with the reason where there is none."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # reading finds out more
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._stderr.seek(0)
            said = self._stderr.read().decode(errors="replace").strip().splitlines()
            raise UserError(f"the worker of {self.library} ended by itself: {said[-1] if said else 'it said nothing'}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise UserError(f"the worker of {self.library} failed: {answer['error']}")
        return answer

    def close(self) -> None:
        """End the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stderr.close()
