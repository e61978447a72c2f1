"""Ctrl-C and SIGTERM: a training stops between two steps with everything on disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from entry_points import SMALL, STEPS, arrays_of, assert_same_run, history_of, metrics_of, run_folders, train_in
from interrupted_training import SCRIPT, at_step

from kls.records import names
from kls.training.session import Session
from kls.training.stop_signal import StopSignal

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def send(number: int) -> Callable[[object], None]:
    """An action for ``at_step`` that sends this process a signal."""
    return lambda _: os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_a_wish_and_the_second_acts_as_usual(number: signal.Signals) -> None:
    received: list[int] = []
    before = signal.signal(number, lambda n, _: received.append(n))
    try:
        with StopSignal() as stop:
            assert not stop.wanted
            os.kill(os.getpid(), number)
            assert stop.wanted
            assert received == []
            os.kill(os.getpid(), number)
            assert received == [number]
        os.kill(os.getpid(), number)
        assert received == [number] * 2
    finally:
        signal.signal(number, before)


def test_handlers_are_put_back_without_a_signal() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with StopSignal() as stop:
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert not stop.wanted
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_a_thread_leaves_the_handlers_alone() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    seen: list[bool] = []

    def work() -> None:
        with StopSignal() as stop:
            seen.append([signal.getsignal(number) for number in SIGNALS] == before and not stop.wanted)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [True]


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("step", [0, 7, 10, STEPS - 1])
def test_a_stopped_training_is_on_disk_as_it_stood(
    number: signal.Signals, step: int, finished_run: Path, tmp_path: Path
) -> None:
    with at_step(step, send(number)):
        outcome = train_in(tmp_path, *SMALL)
    assert (outcome.status, outcome.err) == (128 + number, "")
    (folder,) = run_folders(tmp_path)
    metrics, history = metrics_of(folder), history_of(folder)
    assert (metrics["status"], metrics["steps"], arrays_of(folder)["step"]) == ("interrupted", step, step)
    assert history == [row for row in history_of(finished_run) if row["step"] <= step]
    assert "val_accuracy" not in metrics
    assert metrics["best_step"] == arrays_of(folder, names.BEST)["step"]


@pytest.mark.parametrize("step", [0, 14, STEPS])
def test_a_signal_during_an_evaluation(
    step: int, finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops after the evaluation, and at the end of the training when all has been written."""
    evaluate = Session._evaluate

    def interrupted(session: Session) -> list[int]:
        if session.population.step == step:
            os.kill(os.getpid(), signal.SIGTERM)
        return evaluate(session)

    monkeypatch.setattr(Session, "_evaluate", interrupted)
    outcome = train_in(tmp_path, *SMALL)
    assert outcome.status == 143
    (folder,) = run_folders(tmp_path)
    assert metrics_of(folder)["steps"] == step
    assert history_of(folder) == [row for row in history_of(finished_run) if row["step"] <= step]
    if step == STEPS:
        assert_same_run(folder, finished_run)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.slow
def test_a_process_that_is_stopped_from_outside(number: signal.Signals, cifar_root: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "11", *SMALL]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    (folder,) = run_folders(tmp_path)
    told = f"stopped; to go on: python -m kls.train resume={folder}\n"
    assert (process.returncode, out, err) == (128 + number, told, "")
    assert (metrics_of(folder)["status"], metrics_of(folder)["steps"]) == ("interrupted", 11)
