"""A data file that changes after it was first read is noticed, and made good where that is possible."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tarfile
from pathlib import Path

import pytest
from made_up_cifar10 import (
    NAMES,
    RECORDS,
    assert_is_the_made_up_set,
    load_cifar10,
    publish,
    python2_batch,
    refusal,
    write_binary,
    write_python,
)

from kls.data.sources import cifar10

FOLDER = "cifar-10-batches-bin"
RECORD = "cifar-10-checksums.json"


@pytest.fixture(autouse=True)
def four_records_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar10, "RECORDS_PER_FILE", RECORDS)


@pytest.fixture
def unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root with an archive, which has been unpacked there."""
    folder = write_binary(tmp_path / "elsewhere" / FOLDER)
    root = tmp_path / "root"
    root.mkdir()
    archive = root / cifar10.REMOTE.name
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, FOLDER)
    publish(monkeypatch, sha256=hashlib.sha256(archive.read_bytes()).hexdigest())
    load_cifar10(root, download=False)
    return root


def flip(path: Path, place: int = 5000) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(content)


def changed(path: Path, record: Path) -> str:
    return f"{path} has changed since it was first read: restore it, or remove {record} if that was on purpose"


@pytest.mark.parametrize("where", [FOLDER, "."])
@pytest.mark.parametrize("name", NAMES)
def test_a_flipped_bit_is_noticed(name: str, where: str, tmp_path: Path) -> None:
    path = write_binary(tmp_path / where) / f"{name}.bin"
    load_cifar10(tmp_path)
    flip(path)
    assert refusal(tmp_path) == changed(path, tmp_path / RECORD)
    flip(path)
    assert_is_the_made_up_set(load_cifar10(tmp_path))
    flip(path)
    (tmp_path / RECORD).unlink()
    load_cifar10(tmp_path)
    load_cifar10(tmp_path)


def test_a_flipped_bit_in_a_pickled_batch_is_noticed(tmp_path: Path) -> None:
    path = write_python(tmp_path / "cifar-10-batches-py", python2_batch) / "data_batch_4"
    load_cifar10(tmp_path)
    flip(path)
    assert refusal(tmp_path) == changed(path, tmp_path / RECORD)


def test_a_truncated_file_is_told_as_changed(tmp_path: Path) -> None:
    path = write_binary(tmp_path) / "test_batch.bin"
    load_cifar10(tmp_path)
    os.truncate(path, 100)
    assert refusal(tmp_path) == changed(path, tmp_path / RECORD)


def test_data_that_are_refused_are_not_recorded(tmp_path: Path) -> None:
    path = write_binary(tmp_path) / "test_batch.bin"
    flip(path, 0)
    flip(path, 2 * 3073)
    path.write_bytes(b"\xff" + path.read_bytes()[1:])
    assert "has label 255" in refusal(tmp_path)
    assert not (tmp_path / RECORD).exists()


def test_what_is_known_is_not_written_again(tmp_path: Path) -> None:
    write_binary(tmp_path)
    load_cifar10(tmp_path)
    before = (tmp_path / RECORD).stat()
    load_cifar10(tmp_path)
    assert (tmp_path / RECORD).stat() == before


def test_the_record_holds_the_sha256_of_each_file(tmp_path: Path) -> None:
    folder = write_binary(tmp_path / FOLDER)
    load_cifar10(tmp_path)
    record = json.loads((tmp_path / RECORD).read_text())
    assert record["unpacked"] is False
    assert record["files"] == {
        f"{FOLDER}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()
    }


@pytest.mark.parametrize("damage", ["cut", "digit", "list", "other", "nested"])
def test_a_damaged_record_is_set_aside_and_made_again(
    damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_binary(tmp_path)
    load_cifar10(tmp_path)
    record = tmp_path / RECORD
    whole = record.read_text()
    first = json.loads(whole)["files"]["test_batch.bin"]
    texts = {"cut": whole[:100], "digit": whole.replace(first, first[::-1]), "list": "[]", "other": "{}"}
    record.write_text(texts.get(damage, "[" * 100_000))
    assert_is_the_made_up_set(load_cifar10(tmp_path))
    assert record.read_text() == whole
    assert record.with_name(f"{RECORD}.damaged").exists()
    assert [r.levelno for r in caplog.records] == [logging.WARNING] * 2
    assert caplog.messages[0].startswith(f"{record}: ")
    assert caplog.messages[0].endswith("; the data files are taken as they are")


def test_a_folder_that_cannot_be_written_to_needs_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_binary(tmp_path)

    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("kls.data.known_files.write_json", refused)
    assert_is_the_made_up_set(load_cifar10(tmp_path))
    assert not (tmp_path / RECORD).exists()


# Files that were unpacked here


@pytest.mark.parametrize("damage", ["flipped", "cut", "missing"])
def test_a_damaged_file_is_unpacked_again(damage: str, unpacked: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = unpacked / FOLDER / "data_batch_2.bin"
    match damage:
        case "flipped":
            flip(path)
        case "cut":
            os.truncate(path, 100)
        case _:
            path.unlink()
    wrong = path.read_bytes() if path.exists() else None
    assert_is_the_made_up_set(load_cifar10(unpacked, download=False))
    assert_is_the_made_up_set(load_cifar10(unpacked, download=False))
    aside = path.with_name("data_batch_2.bin.damaged")
    assert (aside.read_bytes() if aside.exists() else None) == wrong
    assert caplog.messages[-1] == f"{path}: unpacked again from cifar-10-binary.tar.gz"
    assert len(caplog.messages) == (1 if damage == "missing" else 2)


@pytest.mark.parametrize("archive", ["missing", "damaged"])
def test_without_its_archive_a_damaged_file_is_refused(archive: str, unpacked: Path) -> None:
    path = unpacked / FOLDER / "data_batch_2.bin"
    flip(path)
    wrong = path.read_bytes()
    if archive == "missing":
        (unpacked / cifar10.REMOTE.name).unlink()
    else:
        flip(unpacked / cifar10.REMOTE.name, 500)
    assert refusal(unpacked) == changed(path, unpacked / RECORD)
    assert path.read_bytes() == wrong


def test_a_users_own_folder_beside_the_archive_is_left_alone(unpacked: Path) -> None:
    (unpacked / RECORD).unlink()  # as if the user had unpacked it
    load_cifar10(unpacked, download=False)
    path = unpacked / FOLDER / "data_batch_2.bin"
    flip(path)
    wrong = path.read_bytes()
    assert refusal(unpacked) == changed(path, unpacked / RECORD)
    assert path.read_bytes() == wrong
