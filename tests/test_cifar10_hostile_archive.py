"""An archive gives its six files and nothing else, even where its hash is taken for the official one."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import resource
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from made_up_cifar10 import NAMES, RECORDS, assert_is_the_made_up_set, load_cifar10, publish, refusal, write_binary

from kls.data.sources import cifar10

FOLDER = "cifar-10-batches-bin"
SIZE = RECORDS * 3073
Entry = tuple[tarfile.TarInfo, bytes]


def entry(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> Entry:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname, info.mode = len(content), kind, link, mode
    return info, content


@pytest.fixture
def files(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> dict[str, Entry]:
    """The entries of a small archive like the official one, by the names of the files."""
    monkeypatch.setattr(cifar10, "RECORDS_PER_FILE", RECORDS)
    folder = write_binary(tmp_path_factory.mktemp("files"))
    return {name: entry(f"{FOLDER}/{name}.bin", (folder / f"{name}.bin").read_bytes()) for name in NAMES}


Put = Callable[[bytes], None]


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    """Puts an archive of that content into tmp_path / "root", with its SHA-256 in the place of the official one's."""

    def put(content: bytes) -> None:
        (tmp_path / "root").mkdir()
        (tmp_path / "root" / "cifar-10-binary.tar.gz").write_bytes(content)
        publish(monkeypatch, sha256=hashlib.sha256(content).hexdigest())

    return put


def packed(*entries: Entry) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for info, content in entries:
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def visible(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.name != ".cifar-10.lock")


ARCHIVE = "cifar-10-binary.tar.gz"


def test_only_the_six_files_are_taken_and_without_their_rights(
    tmp_path: Path, files: dict[str, Entry], put: Put
) -> None:
    for info, _ in files.values():
        info.mode, info.uid, info.uname = 0o6777, 12345, "nobody"
    put(
        packed(
            entry(FOLDER, kind=tarfile.DIRTYPE, mode=0o777),
            entry("../../outside", b"x"),
            entry("/tmp/kls-outside", b"x"),
            entry(f"{FOLDER}/../../outside", b"x"),
            entry(f"{FOLDER}/readme.html", b"x"),
            entry(f"{FOLDER}/link", kind=tarfile.SYMTYPE, link="/etc"),
            entry(f"{FOLDER}/link/x", b"x"),
            entry(f"{FOLDER}/device", kind=tarfile.CHRTYPE),
            entry(f"{FOLDER}/pipe", kind=tarfile.FIFOTYPE),
            *files.values(),
            entry(f"{FOLDER}/test_batch.bin", b"x" * SIZE),
        )
    )
    root = tmp_path / "root"
    assert_is_the_made_up_set(load_cifar10(root, download=False))
    names = sorted(f"{FOLDER}/{name}.bin" for name in NAMES)
    assert visible(root) == [FOLDER, *names, ARCHIVE, "cifar-10-checksums.json"]
    assert visible(tmp_path) == ["root", *(f"root/{name}" for name in visible(root))]
    assert not Path("/tmp/kls-outside").exists()
    umask = os.umask(0)
    os.umask(umask)
    for name in names:
        state = (root / name).lstat()
        assert (stat.S_IFMT(state.st_mode), stat.S_IMODE(state.st_mode)) == (stat.S_IFREG, 0o666 & ~umask)
        assert state.st_uid == os.geteuid()


@pytest.mark.parametrize(
    "changed",
    [
        entry(f"{FOLDER}/test_batch.bin", kind=tarfile.SYMTYPE, link="/etc/passwd"),
        entry(f"{FOLDER}/test_batch.bin", kind=tarfile.LNKTYPE, link=f"{FOLDER}/data_batch_1.bin"),
        entry(f"{FOLDER}/test_batch.bin", kind=tarfile.DIRTYPE),
        entry(f"{FOLDER}/test_batch.bin", kind=tarfile.FIFOTYPE),
        entry(f"{FOLDER}/test_batch.bin", kind=tarfile.CHRTYPE),
        entry(f"{FOLDER}/test_batch.bin", b"x" * SIZE, kind=tarfile.CONTTYPE),
        entry(f"{FOLDER}/test_batch.bin", b"x" * (SIZE - 1)),
        entry(f"{FOLDER}/test_batch.bin", b"x" * (SIZE + 1)),
    ],
    ids=lambda value: f"{value[0].type!r} {value[0].size}",
)
def test_what_is_no_plain_file_of_its_size_is_refused(
    changed: Entry, tmp_path: Path, files: dict[str, Entry], put: Put
) -> None:
    put(packed(*(files | {"test_batch": changed}).values()))
    root = tmp_path / "root"
    assert refusal(root) == (
        f"CIFAR-10 cannot be put into {root}: {FOLDER}/test_batch.bin in {root / ARCHIVE} "
        f"is not a plain file of {SIZE} bytes"
    )
    assert visible(root) == [ARCHIVE]


def test_a_file_named_as_the_folder_is_no_folder(tmp_path: Path, files: dict[str, Entry], put: Put) -> None:
    put(packed(entry(FOLDER, b"x")))
    root = tmp_path / "root"
    missing = ", ".join(f"{FOLDER}/{name}.bin" for name in NAMES)
    assert refusal(root) == f"CIFAR-10 cannot be put into {root}: {root / ARCHIVE} lacks {missing}"
    assert visible(root) == [ARCHIVE]


def test_a_file_in_the_place_of_the_folder_is_left_alone(tmp_path: Path, files: dict[str, Entry], put: Put) -> None:
    put(packed(*files.values()))
    root = tmp_path / "root"
    (root / FOLDER).write_text("of a user")
    assert refusal(root) == f"{root / FOLDER} is not a folder: CIFAR-10 is to be unpacked there"
    assert (root / FOLDER).read_text() == "of a user"


def pax(size: int) -> bytes:
    """An entry whose extended header alone, which tarfile reads whole, takes so many bytes."""
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, size
    return info.tobuf(tarfile.USTAR_FORMAT) + bytes(size)


def longnames(count: int) -> bytes:
    """Headers of long names one after the other, each of which tarfile follows by a call of its own."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1
    return (info.tobuf(tarfile.GNU_FORMAT) + bytes(512)) * count


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (gzip.compress(bytes(40_000_000), 1), "lacks cifar-10-batches-bin"),
        (gzip.compress(pax(40_000_000), 1), "unpacks to more than 1122328 bytes"),
        (packed(entry("x", bytes(40_000_000))), "unpacks to more than 1122328 bytes"),
        (gzip.compress(longnames(1000), 1), "maximum recursion depth exceeded"),
        (packed(entry("x"))[:-20], "Compressed file ended before the end-of-stream marker was reached"),
        (gzip.compress(b"hello"), "truncated header"),
        (b"hello", "Not a gzipped file"),
        (b"", "empty file"),
    ],
    ids=["zeros", "header", "file", "names", "cut", "no tar", "no gzip", "empty"],
)
def test_bombs_and_garbage_are_refused(
    content: bytes, reason: str, tmp_path: Path, files: dict[str, Entry], put: Put
) -> None:
    put(content)
    root = tmp_path / "root"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    line = refusal(root)
    assert line.startswith(f"CIFAR-10 cannot be put into {root}: ")
    assert reason in line
    assert "\n" not in line
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB
    assert visible(root) == [ARCHIVE]
