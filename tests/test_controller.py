"""A worker process notices that its controller is gone, and leaves; no other process does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# The first process starts the second and ends at once; the second looks twice, as a worker or not.
CHILD = """
import multiprocessing, os, sys, time
multiprocessing.current_process().name = sys.argv[1]
from kls.training.session import leave_if_orphaned
leave_if_orphaned()
print("begun", flush=True)
sys.stdin.readline()
parent = os.getppid()
end = time.monotonic() + 20
while os.getppid() == int(sys.argv[2]) and time.monotonic() < end:
    time.sleep(0.01)
leave_if_orphaned()
open(sys.argv[3], "w").close()
"""
PARENT = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1], sys.argv[2], str(os.getpid()), sys.argv[3]],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
assert child.stdout.readline() == "begun\\n"
print(child.pid, flush=True)
os._exit(0)
"""


@pytest.mark.parametrize(("name", "stays"), [("LokyProcess-1", False), ("MainProcess", True)])
@pytest.mark.parametrize("variable", [None, "1"])
def test_only_a_worker_leaves_when_its_parent_ends(
    name: str, stays: bool, variable: str | None, tmp_path: Path
) -> None:
    """KLS_CONTROLLER, which earlier versions left in the environment of all that they started, means nothing."""
    environment = {key: value for key, value in os.environ.items() if key != "KLS_CONTROLLER"}
    environment |= {} if variable is None else {"KLS_CONTROLLER": variable}
    mark = tmp_path / "stayed"
    command = [sys.executable, "-c", PARENT, CHILD, name, str(mark)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    pid = int(ended.stdout)
    while (Path("/proc") / str(pid)).exists() and "Z" not in (Path("/proc") / str(pid) / "stat").read_text().split()[2]:
        pass
    assert mark.exists() is stays
