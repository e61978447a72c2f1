"""What takes long to make is made once, and again where its file is damaged; no fault of the file ends a run."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kls.data import array_cache
from kls.data.array_cache import Arrays, cached_arrays
from kls.records.arrays import write_arrays

SHAPES = {"x": ((1000,), np.dtype(np.uint8))}


@pytest.fixture
def made() -> list[Path]:
    """What has been made, by the path it was asked for."""
    return []


@pytest.fixture
def load(made: list[Path]) -> Callable[[Path], bytes]:
    def load(path: Path) -> bytes:
        def make() -> Arrays:
            made.append(path)
            return {"x": np.arange(1000).astype(np.uint8) % 10}

        return bytes(cached_arrays(path, SHAPES, make, lambda arrays: bool(arrays["x"].max() < 10))["x"].data)

    return load


EXPECTED = bytes(i % 256 % 10 for i in range(1000))


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def damaged(path: Path, damage: str) -> None:
    content = bytearray(path.read_bytes())
    match damage:
        case "cut off":
            path.write_bytes(content[:-100])
        case "one bit":
            content[len(content) // 2] ^= 1
            path.write_bytes(content)
        case "empty":
            path.write_bytes(b"")
        case "other arrays":
            write_arrays(path, {"y": np.zeros(3)})
        case "other shape":
            write_arrays(path, {"x": np.zeros((10, 100), np.uint8)})
        case "impossible values":
            write_arrays(path, {"x": np.full(1000, 255, np.uint8)})
        case "compressed":
            np.savez_compressed(path, x=np.zeros(1000, np.uint8))
        case "objects":
            np.savez(path, x=np.array([{}] * 1000, object))


@pytest.mark.parametrize(
    "damage",
    ["cut off", "one bit", "empty", "other arrays", "other shape", "impossible values", "compressed", "objects"],
)
def test_a_damaged_file_is_set_aside_and_made_again(
    damage: str, tmp_path: Path, load: Callable[[Path], bytes], made: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "not yet" / "x.npz"
    assert [load(path), load(path)] == [EXPECTED] * 2
    damaged(path, damage)
    assert [load(path), load(path)] == [EXPECTED] * 2
    assert made == [path, path]
    assert warnings_of(caplog) == [f"{path}: was damaged; set aside as x.npz.damaged"]
    assert visible(path.parent) == ["x.npz", "x.npz.damaged"]


def test_a_folder_in_the_place_of_the_file_is_left_alone(
    tmp_path: Path, load: Callable[[Path], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "x.npz"
    (path / "of a user").mkdir(parents=True)
    assert load(path) == EXPECTED
    assert warnings_of(caplog) == [f"{path}: is not a regular file; made again, and not kept"]
    assert visible(tmp_path) == ["x.npz"]
    assert visible(path) == ["of a user"]


def test_a_file_in_the_place_of_the_folder(
    tmp_path: Path, load: Callable[[Path], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("of a user")
    path = tmp_path / "file" / "x.npz"
    assert load(path) == EXPECTED
    assert warnings_of(caplog) == [f"{path}: cannot be kept there (Not a directory), so it will be made again"]
    assert (tmp_path / "file").read_text() == "of a user"


# Faults that only a process of its own can have

PROCESS = """
import os, pathlib, resource, signal, sys, time
import numpy as np
from kls.data.array_cache import cached_arrays
path, fault = pathlib.Path(sys.argv[1]), sys.argv[2]
if fault == "full disk":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))
if fault == "no right" and os.geteuid() == 0:
    os.seteuid(65534)
def make():
    (path.parent.parent / f"made-{os.getpid()}").touch() if fault == "together" else None
    time.sleep(0.5 if fault == "together" else 0)
    return {"x": np.arange(1000).astype(np.uint8) % 10}
print("ready", flush=True)
if fault == "together":
    sys.stdin.readline()
print(cached_arrays(path, {"x": ((1000,), np.dtype(np.uint8))}, make, lambda arrays: True)["x"].sum())
"""


def process(path: Path, fault: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-c", PROCESS, str(path), fault], stdin=pipe, stdout=pipe, stderr=pipe, text=True
    )


@pytest.mark.parametrize(("fault", "reason"), [("full disk", "File too large"), ("no right", "Permission denied")])
def test_a_folder_that_takes_nothing_costs_a_warning(fault: str, reason: str) -> None:
    with tempfile.TemporaryDirectory() as root:  # whose parents are open to everybody
        folder = Path(root) / "data"
        folder.mkdir()
        folder.chmod(0o755 if fault == "full disk" else 0o555)
        Path(root).chmod(0o755)
        out, err = process(folder / "x.npz", fault).communicate(timeout=60)
        assert err == f"{folder / 'x.npz'}: cannot be kept there ({reason}), so it will be made again\n"
        assert out.split() == ["ready", str(sum(EXPECTED))]
        assert visible(folder) == []


def test_two_processes_at_once_make_it_once(tmp_path: Path) -> None:
    path = tmp_path / "data" / "x.npz"
    both = [process(path, "together") for _ in range(2)]
    for each in both:
        assert each.stdout is not None
        assert each.stdout.readline() == "ready\n"
    for each in both:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    assert [each.communicate(timeout=60) for each in both] == [(f"{sum(EXPECTED)}\n", "")] * 2
    assert len(list(tmp_path.glob("made-*"))) == 1
    assert visible(path.parent) == ["x.npz"]


def test_what_a_killed_process_was_writing_is_removed(tmp_path: Path, load: Callable[[Path], bytes]) -> None:
    code = (
        "import os, pathlib, signal, sys\n"
        "from kls.records.atomic import atomic_path\n"
        "with atomic_path(pathlib.Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_bytes(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = tmp_path / "x.npz"
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert len(visible(tmp_path)) == 1
    assert load(path) == EXPECTED
    assert visible(tmp_path) == ["x.npz"]


def test_a_lock_that_is_never_given_back_is_waited_for_no_longer_than_told(
    tmp_path: Path, load: Callable[[Path], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(array_cache, "NOTE_SECONDS", 0.1)
    monkeypatch.setattr(array_cache, "WAIT_SECONDS", 0.1)
    with array_cache.locked(tmp_path / "x.npz"):
        assert load(tmp_path / "x.npz") == EXPECTED


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_somebody_keeps_to_himself_is_left_alone(tmp_path: Path, load: Callable[[Path], bytes]) -> None:
    path = tmp_path / "x.npz"
    write_arrays(path, {"y": np.zeros(3)})
    path.chmod(0)
    assert load(path) == EXPECTED
    assert visible(tmp_path) == ["x.npz"]
