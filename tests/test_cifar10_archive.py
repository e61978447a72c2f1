"""The archive of CIFAR-10 is fetched once, whole and verified, or a line says what to do."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest
from local_server import NO_PROXY, send, server
from made_up_cifar10 import (
    RECORDS,
    assert_is_the_made_up_set,
    batch,
    load_cifar10,
    publish,
    refusal,
    write_binary,
)

from kls.data.sources import cifar10
from kls.errors import UserError


@pytest.fixture(autouse=True)
def four_records_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar10, "RECORDS_PER_FILE", RECORDS)


@pytest.fixture
def archive(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A small archive like the official one, with its SHA-256 in the place of the official one's."""
    folder = write_binary(tmp_path_factory.mktemp("archive") / "cifar-10-batches-bin")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.add(folder, arcname=folder.name)
    publish(monkeypatch, sha256=hashlib.sha256(buffer.getvalue()).hexdigest())
    return buffer.getvalue()


@pytest.fixture
def patch_url(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    for name, value in NO_PROXY.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)
    return lambda url: publish(monkeypatch, url=url)


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".cifar-10.lock")


ARCHIVE = "cifar-10-binary.tar.gz"
UNPACKED = ["cifar-10-batches-bin", "cifar-10-binary.tar.gz", "cifar-10-checksums.json"]


def test_download(
    tmp_path: Path, archive: bytes, patch_url: Callable[[str], None], capfd: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "not" / "yet"
    with server(lambda handler, _: send(handler, archive)) as (url, requests):
        patch_url(f"{url}/{ARCHIVE}")
        assert_is_the_made_up_set(load_cifar10(root))
        assert_is_the_made_up_set(load_cifar10(root))
    assert requests == ["/cifar-10-binary.tar.gz"]
    assert visible(root) == UNPACKED
    assert capfd.readouterr() == ("", "")


def test_download_is_tried_again_when_cut_off_or_wrong(
    tmp_path: Path, archive: bytes, patch_url: Callable[[str], None]
) -> None:
    def respond(handler: BaseHTTPRequestHandler, number: int) -> None:
        match number:
            case 1:
                send(handler, archive[: len(archive) // 2], length=len(archive))
            case 2:
                send(handler, archive[:-1] + bytes([archive[-1] ^ 1]))
            case _:
                send(handler, archive)

    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(archive[:100])
    with server(respond) as (url, requests):
        patch_url(f"{url}/{ARCHIVE}")
        assert_is_the_made_up_set(load_cifar10(tmp_path))
    assert len(requests) == 3
    assert visible(tmp_path) == [*UNPACKED[:2], "cifar-10-binary.tar.gz.damaged", UNPACKED[2]]
    assert (tmp_path / "cifar-10-binary.tar.gz.damaged").read_bytes() == archive[:100]
    assert (tmp_path / "cifar-10-binary.tar.gz").read_bytes() == archive


def test_download_that_stays_wrong(tmp_path: Path, archive: bytes, patch_url: Callable[[str], None]) -> None:
    with server(lambda handler, _: send(handler, b"<html>moved</html>")) as (url, requests):
        patch_url(f"{url}/{ARCHIVE}")
        with pytest.raises(UserError) as caught:
            load_cifar10(tmp_path)
    assert str(caught.value) == (
        f"CIFAR-10 is not in {tmp_path} and {url}/{ARCHIVE} did not give the file with SHA-256 "
        f"{cifar10.REMOTE.sha256}: put cifar-10-binary.tar.gz from {url}/{ARCHIVE}, or the folder inside it, "
        f"into {tmp_path}"
    )
    assert len(requests) == 3
    assert visible(tmp_path) == []


def test_no_connection(tmp_path: Path, patch_url: Callable[[str], None]) -> None:
    with server(lambda handler, _: None) as (url, _):
        pass  # the port is free again, nobody listens
    patch_url(f"{url}/{ARCHIVE}")
    with pytest.raises(UserError) as caught:
        load_cifar10(tmp_path)
    assert str(caught.value) == (
        f"CIFAR-10 is not in {tmp_path} and {url}/{ARCHIVE} could not be fetched (ConnectionError): "
        f"put cifar-10-binary.tar.gz from {url}/{ARCHIVE}, or the folder inside it, into {tmp_path}"
    )


def test_download_off(tmp_path: Path) -> None:
    root = tmp_path / "nowhere"
    assert refusal(root) == (
        f"CIFAR-10 is not in {root} and downloading is off: put cifar-10-binary.tar.gz from "
        f"https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz, or the folder inside it, into {root}"
    )
    assert not root.exists()


def test_archive_put_there_by_hand(tmp_path: Path, archive: bytes) -> None:
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(archive)
    assert_is_the_made_up_set(load_cifar10(tmp_path, download=False))
    assert visible(tmp_path) == UNPACKED


def test_damaged_archive_put_there_by_hand(tmp_path: Path, archive: bytes) -> None:
    path = tmp_path / "cifar-10-binary.tar.gz"
    path.write_bytes(archive[:-1])
    assert refusal(tmp_path) == (
        f"{path} is damaged and downloading is off: put cifar-10-binary.tar.gz from "
        f"{cifar10.REMOTE.url}, or the folder inside it, into {tmp_path}"
    )
    assert visible(tmp_path) == ["cifar-10-binary.tar.gz"]


def test_root_that_is_a_file(tmp_path: Path) -> None:
    root = tmp_path / "file"
    root.write_text("")
    with pytest.raises(UserError) as caught:
        load_cifar10(root)
    assert str(caught.value) == f"CIFAR-10 cannot be put into {root}: [Errno 17] File exists: '{root}'"


def test_two_processes_at_once_download_once(tmp_path: Path, archive: bytes) -> None:
    """The server holds its answer back until both processes are about to load."""
    root = tmp_path / "root"
    markers = [tmp_path / "started-0", tmp_path / "started-1"]

    def respond(handler: BaseHTTPRequestHandler, _: int) -> None:
        deadline = time.monotonic() + 30
        while not all(marker.exists() for marker in markers) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.3)
        send(handler, archive)

    with server(respond) as (url, requests):
        code = f"""
import hashlib, pathlib, sys
from kls.data.download import Remote
from kls.data.sources import cifar10
cifar10.RECORDS_PER_FILE = {RECORDS}
cifar10.REMOTE = Remote({f"{url}/{ARCHIVE}"!r}, {cifar10.REMOTE.sha256!r}, 1000)
pathlib.Path(sys.argv[1]).touch()
pictures = cifar10.cifar10().load(pathlib.Path({str(root)!r}))
print(hashlib.sha256(pictures.train_x.tobytes() + pictures.test_y.tobytes()).hexdigest())
"""
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", code, str(marker)],
                cwd=Path(__file__).parents[1],
                env={**os.environ, **NO_PROXY},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for marker in markers
        ]
        outputs = [process.communicate(timeout=60) for process in processes]
    train_x = np.concatenate([batch(i)[1] for i in range(5)])
    digest = hashlib.sha256(train_x.tobytes() + batch(5)[0].tobytes()).hexdigest()
    assert outputs == [(f"{digest}\n", "")] * 2
    assert len(requests) == 1
    assert visible(root) == UNPACKED
