"""A SLURM of one node with two CPUs on this machine: its own munge, controller and node, in a temporary folder."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "srun")
TEMPLATE = Path(__file__).with_name("slurm.conf.in")


def missing() -> str:
    """Why no SLURM can be started here; empty where one can."""
    absent = [program for program in PROGRAMS if program_path(program) is None]
    if absent:
        return f"SLURM is not installed: {', '.join(absent)} not found"
    if importlib.util.find_spec("submitit") is None:
        return "submitit is not installed"
    return "" if os.geteuid() == 0 else "the SLURM of the tests is started as root"


def program_path(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


@pytest.fixture(scope="session")
def slurm() -> Iterator[Path]:
    """A running SLURM, to which SLURM_CONF points; gives its folder, where its logs are."""
    if reason := missing():
        pytest.skip(reason)
    with running_slurm() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
        yield folder
        subprocess.run(["scancel", "--user=root"], check=False, timeout=60)
        wait_until(lambda: not queue(), 60)


@contextmanager
def running_slurm() -> Iterator[Path]:
    """Start the three daemons, and stop them at the end; gives the folder of their files."""
    folder = Path(tempfile.mkdtemp(prefix="kls-slurm-"))
    folder.chmod(0o755)  # munged, which is not root, has its own in it
    for name in ("state", "spool", "munge"):
        (folder / name).mkdir(mode=0o755)
    shutil.chown(folder / "munge", "munge", "munge")
    key = folder / "munge" / "key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    shutil.chown(key, "munge", "munge")
    conf = folder / "slurm.conf"
    controller_port, node_port = free_ports(2)
    text = TEMPLATE.read_text().format(
        host=socket.gethostname().split(".")[0], folder=folder, controller_port=controller_port, node_port=node_port
    )
    conf.write_text(text)
    with ExitStack() as daemons:
        daemons.callback(shutil.rmtree, folder, ignore_errors=True)
        munge = folder / "munge"
        options = {"key-file": key, "pid-file": munge / "pid", "log-file": munge / "log", "seed-file": munge / "seed"}
        start = [f"--{name}={value}" for name, value in options.items()]
        daemons.enter_context(daemon("munged", "--foreground", f"--socket={munge / 'socket'}", *start, user="munge"))
        wait_until((munge / "socket").exists, 20)
        daemons.enter_context(daemon("slurmctld", "-D", "-c", "-f", conf))
        daemons.enter_context(daemon("slurmd", "-D", "-f", conf))
        wait_until(lambda: said(conf, "sinfo", "-h", "-o", "%t") == "idle", 60)
        yield folder


@contextmanager
def daemon(program: str, *arguments: object, user: str | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Start a daemon in the foreground of a process group of its own, and end it."""
    path = program_path(program)
    assert path is not None
    who: dict[str, Any] = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    process = subprocess.Popen(
        [path, *map(str, arguments)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, **who,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_ports(n: int) -> list[int]:
    """Ports of this machine that nobody listens on."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(n)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def said(conf: Path, *command: str) -> str:
    """What a command of SLURM says; empty where it fails."""
    environment = {**os.environ, "SLURM_CONF": str(conf)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    return done.stdout.strip()


def queue(*options: str) -> dict[str, str]:
    """State of each task in the queue, by its id."""
    command = ["squeue", "-h", "-r", "-o", "%i %T", *options]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    return dict(line.split(maxsplit=1) for line in lines)  # type: ignore[misc]


def wait_until(holds: Callable[[], object], seconds: float) -> None:
    """Wait for something to hold; fails where it does not come to."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"{holds} did not come to hold within {seconds:g} s"
        time.sleep(0.1)
