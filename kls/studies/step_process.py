"""The runner's side of a process that carries out commands: begins it, asks, waits, interrupts and ends it."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kls.errors import UserError
from kls.studies import worker
from kls.studies.plan import Command

_PATIENCE = 60.0  # seconds that an interrupted command has to write its checkpoints


@dataclass(frozen=True)
class Answer:
    """Exit status of a command, and its last word if it has one."""

    status: int
    message: str | None


class StepProcess:
    """One worker at a time; it begins with the first command and is shielded from the terminal's Ctrl-C."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.Queue[Answer] = queue.Queue()
        self._listener: threading.Thread | None = None

    def begin(self, command: Command, arguments: list[str], log: Path) -> None:
        """Have a command carried out, with more arguments; what it prints goes to ``log``."""
        process = self._process or self._start(log)
        request = {"module": command.module, "arguments": [*command.arguments, *arguments], "log": str(log)}
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # it has died; the reader tells
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()

    def answer(self, seconds: float) -> Answer | None:
        """The answer, or None if it is not there after so many seconds."""
        try:
            answer = self._answers.get(timeout=seconds)
        except queue.Empty:
            return None
        if self._process is not None and self._process.poll() is not None:
            self.end()
        return answer

    def interrupt(self) -> None:
        """Stop what is under way as Ctrl-C does, wait until its checkpoints are written, and end the process."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self.answer(_PATIENCE)
        self.end()

    def end(self) -> None:
        """End the process; the next command begins another."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps({worker.END: True}) + "\n")
            process.stdin.close()
        try:
            process.wait(10.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._listener is not None:
            self._listener.join()

    def _start(self, log: Path) -> subprocess.Popen[str]:
        try:
            with log.open("ab") as errors:  # of a process that is interrupted before it reads its request
                process = subprocess.Popen(
                    [sys.executable, "-m", worker.__name__],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    text=True,
                    encoding="utf-8",
                    start_new_session=True,
                )
        except OSError as error:
            raise UserError(f"{log if error.filename == str(log) else sys.executable}: {error.strerror}") from None
        self._process, self._answers = process, queue.Queue()
        self._listener = threading.Thread(target=_listen, args=(process, self._answers), daemon=True)
        self._listener.start()
        return process


def _listen(process: subprocess.Popen[str], answers: queue.Queue[Answer]) -> None:
    assert process.stdout is not None
    with process.stdout as lines:
        for line in lines:
            content: dict[str, Any] = json.loads(line)
            answers.put(Answer(**content))
    status = process.wait()
    how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
    answers.put(Answer(1, f"the process {how}"))
