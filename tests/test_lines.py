"""Records that grow: what is cut or damaged in one of the two files is made whole from the other."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from kls.errors import DamageError
from kls.records.checked import copy_of
from kls.records.lines import append_twice, read_twice

RECORDS = [{"number": i, "name": "ü\n" * i, "score": None if i == 1 else 0.1 * i} for i in range(5)]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("os.fsync", lambda _: None)
    append_twice(tmp_path / "x.jsonl", 0, RECORDS[:2])
    append_twice(tmp_path / "x.jsonl", 2, RECORDS[2:])
    return tmp_path / "x.jsonl"


def files(path: Path) -> tuple[bytes, bytes]:
    return path.read_bytes(), copy_of(path).read_bytes()


def test_lines_come_back_as_they_were_written(path: Path) -> None:
    before = files(path)
    assert read_twice(path) == RECORDS
    assert files(path) == before
    assert before[0] == before[1]
    lines = before[0].decode().splitlines()
    assert [json.loads(line)["line"] for line in lines] == [0, 1, 2, 3, 4]
    assert sorted(p.name for p in path.parent.iterdir()) == [".x.jsonl.copy", "x.jsonl"]


def test_numbers_of_numpy_and_what_json_does_not_have(tmp_path: Path) -> None:
    append_twice(tmp_path / "x", 0, [{"a": np.float32(0.5), "b": math.nan, "c": (1, 2)}])
    assert read_twice(tmp_path / "x") == [{"a": 0.5, "b": None, "c": [1, 2]}]


def test_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_twice(tmp_path / "x")


def test_a_kill_while_a_batch_is_written(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """After any byte of the file, when the copy has only the batch before."""
    whole = path.read_bytes()
    ends = [i + 1 for i, sign in enumerate(whole) if sign == ord("\n")]
    for n in [*range(ends[1], len(whole), 5), len(whole)]:
        path.write_bytes(whole[:n])
        copy_of(path).write_bytes(whole[: ends[1]])
        kept = sum(end <= n for end in ends)
        assert read_twice(path) == RECORDS[:kept]
        assert files(path) == (whole[: ends[kept - 1]],) * 2
    append_twice(path, 5, [{"number": 5}])
    assert read_twice(path) == [*RECORDS, {"number": 5}]
    assert caplog.text == ""
    assert len(list(path.parent.iterdir())) == 2


def test_any_byte_of_one_file_may_be_damaged(path: Path) -> None:
    whole = path.read_bytes()
    for place in (path, copy_of(path)):
        for n in range(0, len(whole), 11):
            place.write_bytes(whole[:n] + bytes([whole[n] ^ 4]) + whole[n + 1 :])
            assert read_twice(path) == RECORDS
            assert files(path) == (whole, whole)
            (aside,) = path.parent.glob("*.damaged")
            aside.unlink()


@pytest.mark.parametrize("damaged", [b"", b"\0" * 50, b"\xff\xfe\n", b"[" * 99_999 + b"\n", b'{"line": 1e999}\n', None])
def test_a_file_that_is_gone_or_something_else(damaged: bytes | None, path: Path) -> None:
    whole = path.read_bytes()
    for place in (path, copy_of(path)):
        place.unlink()
        if damaged is not None:
            place.write_bytes(damaged)
        assert read_twice(path) == RECORDS
        assert files(path) == (whole, whole)


def test_each_line_is_taken_from_where_it_is_whole(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], b"x" + lines[1], *lines[2:]]))
    copy_of(path).write_bytes(b"".join([*lines[:3], b"\n", lines[4]]))
    assert read_twice(path) == RECORDS
    assert files(path) == (b"".join(lines),) * 2
    assert f"{path}: restored from its copy" in caplog.text


@pytest.mark.parametrize("change", ["removed", "moved"])
def test_what_is_damaged_in_both_is_told(change: str, path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    for place in (path, copy_of(path)):
        place.write_bytes(b"".join(lines[:1] + lines[2:] if change == "removed" else [lines[0], b"\n", *lines[2:]]))
    with pytest.raises(DamageError, match=r"x\.jsonl: line 2 is damaged or missing, in the copy too$"):
        read_twice(path)


def test_a_full_disk_names_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=rf"No space left on device: '{path}'"):
        append_twice(path, 5, [{"number": 5}])
