"""Files written by kls.records.atomic are whole or not there."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from kls.records.atomic import atomic_path, remove_leftovers, write_bytes, write_text
from kls.records.checked import write_json


def test_file_appears_only_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with atomic_path(path) as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".")
        assert temporary.suffix == ".npz"
        np.savez(temporary, x=np.arange(3))
        assert not path.exists()
    assert [file.name for file in tmp_path.iterdir()] == ["a.npz"]
    assert np.load(path)["x"].tolist() == [0, 1, 2]


def test_two_writers_get_different_temporary_files(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with atomic_path(path) as first, atomic_path(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"  # the outer block ends last
    assert list(tmp_path.iterdir()) == [path]


def test_error_in_the_block_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def write_half() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half of the ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_file_then_folder_are_flushed_around_the_replacement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    replace, fsync = os.replace, os.fsync

    def noted_fsync(descriptor: int) -> None:
        calls.append("fsync folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "fsync file")
        fsync(descriptor)

    def noted_replace(source: Path, target: Path) -> None:
        calls.append("replace")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    write_bytes(tmp_path / "a", b"x")
    assert calls == ["fsync file", "replace", "fsync folder"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o002, 0o664)])
def test_mode_respects_umask(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        write_bytes(tmp_path / "a", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode


def test_reader_never_sees_a_part(tmp_path: Path) -> None:
    path = tmp_path / "a"
    contents = [letter * 300_000 for letter in (b"a", b"b")]
    write_bytes(path, contents[0])
    done = threading.Event()

    def write_many(content: bytes) -> None:
        for _ in range(20):
            write_bytes(path, content)

    writers = [threading.Thread(target=write_many, args=(content,)) for content in contents]
    seen: list[bytes] = []

    def read_many() -> None:
        while not done.is_set():
            seen.append(path.read_bytes())

    reader = threading.Thread(target=read_many)
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    assert len(seen) > 0
    assert all(content in contents for content in seen)


def test_write_text_keeps_line_ends_and_letters(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "η = 1\r\nb\n")
    assert (tmp_path / "a").read_bytes() == b"\xce\xb7 = 1\r\nb\n"


def test_write_json_stores_nan_and_infinity_as_null(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(
        path,
        {
            "loss": float("nan"),
            "bounds": (-float("inf"), 0.1),
            "numpy": [np.float32("inf"), np.float64("nan"), np.float64(0.1), np.int64(3), np.bool_(True)],
            "name": "η",
            "none": None,
        },
    )
    text = path.read_text(encoding="utf-8")
    assert {key: value for key, value in json.loads(text).items() if key != "checksum"} == {
        "loss": None,
        "bounds": [None, 0.1],
        "numpy": [None, None, 0.1, 3, True],
        "name": "η",
        "none": None,
    }
    assert text.startswith('{\n  "loss": null,\n  "bounds": [\n    null,\n    0.1\n  ],\n')
    assert '"name": "η"' in text
    assert text.endswith("}\n")


def test_write_json_of_something_else_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"x": 1})
    before = path.read_bytes()
    with pytest.raises(TypeError):
        write_json(path, {"x": object()})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


# Leftovers of killed processes

KILLED = """
import os, pathlib, sys, time
from kls.records.atomic import atomic_path
with atomic_path(pathlib.Path(sys.argv[1]) / "last.npz") as temporary:
    temporary.write_bytes(b"half")
    print(temporary.name, flush=True)
    time.sleep(60)
"""


def writer(folder: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process that stands in the middle of a write, and its temporary file."""
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, folder / process.stdout.readline().strip()


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_what_a_killed_process_left_is_removed_and_a_living_ones_is_not(tmp_path: Path) -> None:
    (dead, left), (alive, written) = writer(tmp_path), writer(tmp_path)
    try:
        end(dead)
        for name in (".tmp-notes", f".tmp-{'0' * 8}-12-x.txt", "last.npz", ".hidden"):
            (tmp_path / name).write_text("of somebody else")
        before = {path.name for path in tmp_path.iterdir()}
        remove_leftovers(tmp_path)
        assert before - {path.name for path in tmp_path.iterdir()} == {left.name}
    finally:
        end(alive)
    remove_leftovers(tmp_path)
    assert not written.exists()


def test_a_folder_left_half_made_is_removed_whole_and_no_link_is_followed(tmp_path: Path) -> None:
    process, left = writer(tmp_path)
    end(process)
    left.unlink()
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "a").write_text("")
    left.mkdir()
    (left / "inside").symlink_to(tmp_path / "kept")
    left.with_name(left.name + "-2").symlink_to(tmp_path / "kept")
    remove_leftovers(tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == ["kept", "kept/a"]


def test_what_another_machine_writes_is_left_alone_for_a_day(tmp_path: Path) -> None:
    """A process of that number is not running here, which says nothing of one elsewhere."""
    path = tmp_path / f".tmp-{'f' * 8}-{2**22 + 1}-{'a' * 8}-last.npz"
    path.write_text("half")
    os.utime(path, (time.time(), time.time() - 23 * 3600))
    remove_leftovers(tmp_path)
    assert path.exists()
    os.utime(path, (time.time(), time.time() - 25 * 3600))
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_machine_whose_clock_is_wrong_removes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / f".tmp-{'f' * 8}-12-{'a' * 8}-last.npz"
    path.write_text("half")
    monkeypatch.setattr("time.time", lambda: 4e9)
    remove_leftovers(tmp_path)
    assert path.exists()


def test_a_missing_folder_has_no_leftovers(tmp_path: Path) -> None:
    remove_leftovers(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []
