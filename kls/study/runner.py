"""Carries out the steps of studies: each once, whole, and again from where it was stopped."""

import importlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path
from typing import Self

from joblib.externals.loky import get_reusable_executor
from tqdm import tqdm

from kls.analysis.wording import duration
from kls.config.resume import quoted
from kls.errors import UserError
from kls.records import names
from kls.records.escape import one_line
from kls.study.plan import Task
from kls.study.record import StepRecord, take_up
from kls.sweep.sweep_progress import Seen, look

_LOOK_SECONDS = 3.0  # between two looks at a step's folder
_PATIENCE = 60.0  # seconds that an interrupted command has to write its checkpoints
_BAR = "{percentage:3.0f}%|{bar}| {elapsed}, about {remaining} left{postfix}"  # a postfix begins with a comma

Code = str | int | None  # of a command's exit, as `sys.exit` takes it: 0 or None is success


class Runner:
    """Context that carries out tasks in a process of its own, and has pages written in a thread meanwhile.

    A bar, if stderr is a terminal, counts all runs, gradient checks and played ways, and gives the time left by their
    mean time.
    failures: a line for each step that failed and each page that could not be written.
    """

    def __init__(self, tasks: Mapping[str, Task]) -> None:
        self.failures: list[str] = []
        self._left, self._n, self._place = dict(tasks), len(tasks), ""
        self._known = dict[Path, Seen]()  # of runs that have ended
        self._done = {name: task.size * _look(task, self._known)[0] for name, task in tasks.items()}
        total, done = sum(task.size for task in tasks.values()), sum(self._done.values())
        self._bar = tqdm(total=total, initial=done, disable=None, smoothing=0, bar_format=_BAR)
        self._worker, self._pages = _Worker(), ThreadPoolExecutor(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc_info: object) -> None:
        self._worker.end()
        self._pages.shutdown(cancel_futures=kind is not None)
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self._say("stopped; the same command goes on from here")
        self._bar.close()

    def carry_out(self, name: str) -> None:
        """Carry out the step of a folder's name, unless that was tried before."""
        if name not in self._left:
            return
        task = self._left.pop(name)
        self._place = f"step {self._n - len(self._left)} of {self._n}"
        try:
            record = take_up(task)
            if record.ended:
                self._say(f"{name}: done already")
            else:
                self._run(task, record)
                self._say(f"{name}: {task} in {duration(record.seconds)} ({self._place})")
        except (UserError, OSError, BrokenProcessPool) as error:
            self._worker.end()
            text = "its process was killed" if isinstance(error, BrokenProcessPool) else str(error)
            first = one_line(text.removeprefix("error: ").splitlines()[0].rstrip(":"))
            self._say(f"{name}: failed: {first}; see {task.folder / names.STEP_LOG}", failed=True)
        self._show(task, 1.0)

    def write(self, name: str, page: Callable[[], Path]) -> None:
        """Have a page written. Whatever goes wrong costs the page alone, not the runs."""

        def work() -> None:
            try:
                self._say(f"{name}: report in {page()}")
            except Exception as error:
                kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
                self._say(one_line(f"{name}: no report: {kind}{error}"), failed=True)

        self._pages.submit(work)

    def _run(self, task: Task, record: StepRecord) -> None:
        log, started = task.folder / names.STEP_LOG, time.monotonic() - record.seconds
        task.folder.mkdir(parents=True, exist_ok=True)
        record.write(task.folder)
        for command in task.commands:
            resumed = task.stages and (task.folder / names.SWEEP).exists()
            answer = self._worker.begin([*command, *([f"resume={quoted(task.folder)}"] if resumed else [])], log)
            while not wait([answer], _LOOK_SECONDS).done:
                record.seconds = time.monotonic() - started
                with suppress(OSError):  # a full disk is no reason to stop
                    record.write(task.folder)
                self._show(task, *_look(task, self._known))
            if code := answer.result():
                lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
                last = [line for line in lines if line.strip()][-1:] or [f"exit status {code}"]
                raise UserError(code if isinstance(code, str) else last[0])
        record.seconds, record.ended = time.monotonic() - started, True
        record.write(task.folder)
        if not task.stages:
            self._worker.end()  # the pictures in double precision go with it

    def _show(self, task: Task, share: float, what: str = "") -> None:
        self._done[task.folder.name] = task.size * share
        self._bar.n = sum(self._done.values())
        self._bar.set_postfix_str(f"{self._place}, {task.folder.name}: {what}")

    def _say(self, line: str, failed: bool = False) -> None:
        self.failures += [line] if failed else []
        tqdm.write(line)
        sys.stdout.flush()


def _look(task: Task, known: dict[Path, Seen]) -> tuple[float, str]:
    """Share of a step's work that is done, and a line on it; read from its folder."""
    if task.stages:
        runs = [task.folder / stage.name / str(n) for stage in task.stages for n in range(stage.n_runs)]
        return look(runs, known)
    if task.ways:
        return float((task.folder / names.PLAYS).exists()), str(task)
    done = len(list(task.folder.glob(f"*/{names.GRADIENTS}")))
    return min(done / task.size, 1.0), f"{done}/{task.size} gradient checks"


class _Worker:
    """The process that carries out commands: libraries are loaded, and pictures are read, once for many.

    It begins with the first command and is shielded from the terminal's Ctrl-C.
    """

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
            with suppress(BrokenProcessPool):
                pool.submit(_end_idle_workers)
            pool.shutdown()


def _end_idle_workers() -> None:
    """For which a process of multiprocessing's waits, minutes, before it ends."""
    get_reusable_executor(reuse=True).shutdown()


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
