"""Debian's PostgreSQL as a server of a test's own: in a temporary folder, on a free port, with a password."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

USER, SECRET = "kls", "Zaunkoenig"  # which stands nowhere else
PASSWORD, ESCAPED = f"{SECRET}@/:%50 x", f"{SECRET}%40%2F%3A%2550%20x"  # with signs that an address must escape
_LONGEST = 60.0  # seconds until it answers


@contextmanager
def server() -> Iterator[str]:
    """Its address, with the password. Skips the test where PostgreSQL or its driver is missing."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    if find_spec("psycopg") is None:
        pytest.skip("psycopg is not installed: pip install 'kls[postgresql]'")
    folder = Path(tempfile.mkdtemp(prefix="kls-postgres"))
    try:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        (folder / "password").write_text(PASSWORD)
        if os.geteuid() == 0:
            for path in (folder, folder / "password"):
                shutil.chown(path, "postgres")
        data, options = folder / "data", ["-h", "127.0.0.1", "-p", str(port), "-k", str(folder), "-F"]
        made = ["-D", data, "-U", USER, "-A", "scram-sha-256", "--pwfile", folder / "password", "-E", "UTF8", "-N"]
        subprocess.run(_as_user([programs[-1] / "initdb", *made]), check=True, capture_output=True, cwd=folder)
        process = subprocess.Popen(
            _as_user([programs[-1] / "postgres", "-D", data, *options]),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder,
        )  # fmt: skip
        try:
            _wait(port)
            yield f"postgresql://{USER}:{ESCAPED}@127.0.0.1:{port}/postgres"
        finally:
            process.send_signal(signal.SIGINT)  # its fast shutdown, which does not wait for clients
            process.wait(_LONGEST)
    finally:
        shutil.rmtree(folder)


def _as_user(command: Sequence[object]) -> list[str]:
    """The command, by another user where this is root, as whom PostgreSQL does not run."""
    if os.geteuid() != 0:
        return list(map(str, command))
    user = pwd.getpwnam("postgres")
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *map(str, command)]


def _wait(port: int) -> None:
    import psycopg

    give_up = time.monotonic() + _LONGEST
    while True:
        try:
            psycopg.connect(host="127.0.0.1", port=port, user=USER, password=PASSWORD, dbname="postgres").close()
            return
        except psycopg.OperationalError:
            assert time.monotonic() < give_up, "PostgreSQL does not answer"
            time.sleep(0.1)
