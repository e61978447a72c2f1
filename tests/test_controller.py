"""A worker process notices that its controller is gone, and leaves."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from kls import controller

CODE = "from kls import controller; {}controller.leave_if_orphaned(); print('still here')"


def status_of_a_child(announced: str | None, code: str = CODE.format("")) -> tuple[int, str]:
    """Exit status and output of a child of this process whose environment has that controller."""
    environment = {key: value for key, value in os.environ.items() if key != "KLS_CONTROLLER"}
    environment |= {} if announced is None else {"KLS_CONTROLLER": announced}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert ended.stderr == ""
    return ended.returncode, ended.stdout


def test_a_worker_leaves_when_its_parent_is_not_its_controller() -> None:
    assert status_of_a_child("1") == (1, "")


def test_others_stay() -> None:
    assert status_of_a_child(str(os.getpid())) == (0, "still here\n")
    assert status_of_a_child(None) == (0, "still here\n")
    assert status_of_a_child("1", CODE.format("controller.announce(); ")) == (0, "still here\n")


def test_the_controller_is_announced_to_its_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLS_CONTROLLER", "1")
    controller.announce()
    assert os.environ["KLS_CONTROLLER"] == str(os.getpid())
