"""How every command ends: one line, an exit status, and silence where nobody reads on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from entry_points import SMALL, call, metrics_of

from kls import train
from kls.config.entry_point import reporting
from kls.errors import UserError


class Stopped(KeyboardInterrupt):
    """By a signal."""

    signal_number = 15


def raising(error: BaseException) -> Callable[[], None]:
    def main() -> None:
        raise error

    return lambda: reporting(main)


@pytest.mark.parametrize(
    ("error", "status", "err"),
    [
        (UserError("lam=-1: no"), 1, "error: lam=-1: no\n"),
        (OSError(28, "No space left on device", "/a"), 1, "error: [Errno 28] No space left on device: '/a'\n"),
        (MemoryError(), 1, "error: out of memory\n"),
        (
            ValueError("two\nlines"),
            1,
            "error: unexpected ValueError: two lines; this is a fault of kls: KLS_TRACEBACK=1 prints where\n",
        ),
        (KeyboardInterrupt(), 130, ""),
        (Stopped(), 143, ""),
        (BrokenPipeError(), 141, ""),
    ],
)
def test_ends(error: BaseException, status: int, err: str, tmp_path: Path) -> None:
    outcome = call(raising(error), (), tmp_path)
    assert (outcome.status, outcome.out, outcome.err) == (status, "", err)


def test_a_traceback_can_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLS_TRACEBACK", "1")
    lines = call(raising(ValueError("odd")), (), tmp_path).err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1].startswith("error: unexpected ValueError: odd; ")


def test_a_fault_of_a_run_is_told_as_one(tmp_path: Path, cifar_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("kls.sweep.job.settings_of", broken)
    outcome = call(train.main, SMALL, tmp_path)
    assert outcome.status == 1
    assert outcome.err == (
        "error: unexpected RuntimeError: broken; this is a fault of kls: KLS_TRACEBACK=1 prints where\n"
    )
    assert list(tmp_path.iterdir()) == []


def into_a_closed_pipe(cwd: Path, *arguments: str) -> tuple[int, str]:
    """Exit status and stderr of a command whose reader has gone."""
    command = [sys.executable, "-m", *arguments]
    with subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        return process.wait(60), process.stderr.read()


def test_a_page_that_nobody_reads_to_its_end(tmp_path: Path) -> None:
    status, err = into_a_closed_pipe(tmp_path, "kls.train", "--help")
    assert err == ""
    assert status in (0, 141)  # the pipe takes it or does not


def test_a_training_goes_on_when_nobody_reads_what_it_says(tmp_path: Path, cifar_root: Path) -> None:
    assert into_a_closed_pipe(tmp_path, "kls.train", *SMALL, "hydra.run.dir=X") == (0, "")
    assert metrics_of(tmp_path / "X")["status"] == "finished"


@pytest.mark.slow
def test_a_sweep_goes_on_when_nobody_reads_what_it_says(tmp_path: Path, cifar_root: Path) -> None:
    sweep = ("--multirun", "lam=0,1e-3", "hydra.sweep.dir=X", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    assert into_a_closed_pipe(tmp_path, "kls.train", *SMALL, *sweep) == (0, "")
    assert [metrics_of(tmp_path / "X/grid" / str(i))["status"] for i in range(2)] == ["finished"] * 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_page_on_a_full_disk(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "kls.train", "--help"]
        ended = subprocess.run(command, cwd=tmp_path, stdout=full, stderr=subprocess.PIPE, text=True)
    assert ended.returncode == 1
    assert ended.stderr == "error: [Errno 28] No space left on device\n"
