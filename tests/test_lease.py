"""One process at a time in a folder that machines share, whatever the file system tells them of each other's locks."""

from __future__ import annotations

import errno
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from entry_points import SMALL, file_hashes
from other_machine import BEAT, LEASE, SETTLE, become, on_machine

from kls.errors import UserError
from kls.records import lease, lock
from kls.records.lease import LeaseLostError
from kls.records.lock import is_held, only_process, sign_of_life

LOCAL_HOLDER = """
import sys
from pathlib import Path
from kls.records.lock import only_process
with only_process(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """This process is on machine bbbbbbbb."""
    become("b" * 8, monkeypatch)
    return monkeypatch


def sign_at(folder: Path) -> tuple[int, int]:
    """The process that holds a folder, and its count of signs of life."""
    sign = sign_of_life(folder)
    assert sign is not None
    return sign[0].pid, sign[1]


def leave_a_name(folder: Path) -> None:
    """As a process that died on a third machine."""
    folder.mkdir(exist_ok=True)
    (folder / ".lock").write_text("4711 cccccccc 0123456789abcdef node7".ljust(179) + "\n000000000005\n")


def test_one_machine_waits_for_the_other_and_takes_over_when_it_is_silent(
    here: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with on_machine("a" * 8, "hold", tmp_path) as holder:
        who = f"process {holder.pid} on {platform.node()}"
        message = f"{tmp_path}: another process is at work here ({who}); wait for it, or stop it first"
        time.sleep(LEASE)
        with pytest.raises(UserError) as refused, only_process(tmp_path):
            pass
        assert str(refused.value) == message
        assert is_held(tmp_path)
        sign = sign_of_life(tmp_path)
        assert sign is not None
        assert (sign[0].pid, sign[0].machine) == (holder.pid, "a" * 8)
        holder.kill()
        began = time.monotonic()
        with only_process(tmp_path):
            assert LEASE + SETTLE - BEAT <= time.monotonic() - began < LEASE + SETTLE + 2.0
            assert sign_at(tmp_path) == (os.getpid(), 0)


@pytest.mark.slow
def test_who_waits_gets_a_folder_that_the_other_machine_leaves(here: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with on_machine("a" * 8, "hold", tmp_path) as holder:
        assert holder.stdin is not None
        with pytest.raises(UserError, match="at work"), only_process(tmp_path, patience=2 * LEASE):
            pass
        holder.stdin.write("\n")
        holder.stdin.flush()
        with only_process(tmp_path, patience=30.0):
            pass


@pytest.mark.slow
def test_of_two_that_take_over_at_once_one_wins(tmp_path: Path) -> None:
    folders = [tmp_path / f"{number:02}" for number in range(20)]
    for folder in folders:
        leave_a_name(folder)
    with on_machine("a" * 8, "race", *folders) as one, on_machine("b" * 8, "race", *folders) as other:
        for process in (one, other):
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        won = [process.communicate(timeout=60)[0].split() for process in (one, other)]
    assert sorted(won[0] + won[1]) == [folder.name for folder in folders]


def test_who_is_overwritten_as_it_takes_over_gives_way(here: pytest.MonkeyPatch, tmp_path: Path) -> None:
    leave_a_name(tmp_path)
    before, sleep = (tmp_path / ".lock").read_bytes(), time.sleep

    def overwritten(seconds: float) -> None:
        sleep(seconds)
        if seconds == SETTLE:
            leave_a_name(tmp_path)

    here.setattr(time, "sleep", overwritten)
    with pytest.raises(UserError, match=r"at work here \(process 4711 on node7\)"), only_process(tmp_path):
        pass
    assert (tmp_path / ".lock").read_bytes() == before


@pytest.mark.slow
def test_a_training_that_stood_still_writes_nothing_after_another_took_over(
    here: pytest.MonkeyPatch, cifar_root: Path, tmp_path: Path
) -> None:
    arguments = (*SMALL, f"data.root={cifar_root}", "checkpoint_seconds=0", f"hydra.run.dir={tmp_path}/run")
    with on_machine("a" * 8, "train", *arguments) as stopped:
        folder = tmp_path / "run"
        os.kill(stopped.pid, signal.SIGSTOP)
        with only_process(folder):
            before = file_hashes(folder)
            os.kill(stopped.pid, signal.SIGCONT)
            err = stopped.communicate("\n", timeout=60)[1]
            assert sign_at(folder) == (os.getpid(), 0)
        line = f"error: {folder}: another process has taken over here while this one stood still"
        assert err.splitlines()[-1] == line
        assert stopped.returncode == 1
        left = file_hashes(folder)
        changed = {name for name in before | left if before.get(name) != left.get(name)}
        assert changed <= {".lock", "train.log"}, changed


def test_who_makes_no_progress_loses_the_lease(here: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with only_process(tmp_path, timeout=LEASE) as hung:
        become("a" * 8, here)
        with only_process(tmp_path, patience=30.0):
            with pytest.raises(LeaseLostError):
                hung.check()
            with pytest.raises(LeaseLostError):
                hung.show_life()
        assert (tmp_path / ".lock").read_bytes() == b""


def test_signs_of_life_are_of_the_work_not_of_the_heartbeat(here: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with only_process(tmp_path) as held:
        touched = (tmp_path / ".lock").stat().st_mtime_ns
        time.sleep(3 * BEAT)
        assert (tmp_path / ".lock").stat().st_mtime_ns > touched
        assert sign_at(tmp_path) == (os.getpid(), 0)
        held.show_life()
        held.show_life()
        assert sign_at(tmp_path) == (os.getpid(), 1), "not more often than ten times a second"
    assert sign_of_life(tmp_path) is None


def test_the_loss_of_any_folder_is_noticed(here: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "abc"]
    for folder in folders:
        folder.mkdir()
    with only_process(*folders) as held:
        leave_a_name(folders[2])
        time.sleep(4 * BEAT)
        with pytest.raises(LeaseLostError, match="c: another process has taken over"):
            held.check()
    assert [len((folder / ".lock").read_bytes()) for folder in folders] == [0, 0, 193], "another's name stays"


@pytest.mark.parametrize("content", [None, "", "12345", "1 2 3", "\0" * 200])
def test_new_folders_and_those_of_older_versions_cost_no_wait(
    content: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / ".lock").write_text(content)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("waits"))
    assert not is_held(tmp_path)
    with only_process(tmp_path):
        assert is_held(tmp_path)
    assert (tmp_path / ".lock").read_bytes() == b""


def test_on_one_machine_a_killed_process_has_left_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    command = [sys.executable, "-c", LOCAL_HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert is_held(tmp_path)
        holder.kill()
    assert (tmp_path / ".lock").read_text().startswith(f"{holder.pid} ")
    assert not is_held(tmp_path)
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("waits"))
    with only_process(tmp_path):
        pass


def test_a_silent_machine_is_not_at_work(here: pytest.MonkeyPatch, tmp_path: Path) -> None:
    leave_a_name(tmp_path)
    assert is_held(tmp_path)
    time.sleep(LEASE + 0.1)
    assert not is_held(tmp_path)


@pytest.mark.skipif(lock.fcntl is None, reason="has no flock")
@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK])
def test_file_systems_without_locks_have_the_lease(
    number: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def missing(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(lock.fcntl, "flock", missing)
    for name, seconds in (("BEAT_SECONDS", BEAT), ("LEASE_SECONDS", LEASE)):
        monkeypatch.setattr(lease, name, seconds)
    with only_process(tmp_path):
        assert is_held(tmp_path)
        with pytest.raises(UserError, match="another process is at work here"), only_process(tmp_path):
            pass
    assert not is_held(tmp_path)
