"""Fetches the official archive of CIFAR-10's binary version and unpacks it, whole or not at all."""

from __future__ import annotations

import gzip
import logging
import shutil
import sys
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from kls.data.known_files import KnownFiles
from kls.errors import UserError
from kls.records.atomic import remove_leftovers, temporary_path, write_bytes
from kls.records.checked import set_aside

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
ARCHIVE = "cifar-10-binary.tar.gz"
ATTEMPTS = 3
REST_BYTES = 2**20  # of the archive beside the files that are taken

log = logging.getLogger(__name__)


def provide_folder(root: Path, folder: str, sizes: Mapping[str, int], *, download: bool) -> None:
    """Make `root / folder` from the archive, which lies in `root` or is fetched into it.

    The archive (170 MB) is used only if its SHA-256 is the official one; a fetch that fails or gives
    other bytes is tried again. The folder appears whole. Processes that call this at once wait for
    each other at a file lock, and those that come second find the folder. What the files hold is noted in `KnownFiles`.

    Args:
        sizes: bytes of each file to take; others in the archive are not unpacked.

    Raises:
        UserError: no archive and `download` is False, no connection, wrong content, or `root` cannot
            be written to.
    """
    if not download and not (root / ARCHIVE).is_file():
        raise UserError(f"CIFAR-10 is not in {root} and downloading is off: {_by_hand(root)}")
    with _locked(root):
        if not (root / folder).is_dir():
            if (root / folder).exists():
                raise UserError(f"{root / folder} is not a folder: CIFAR-10 is to be unpacked there")
            remove_leftovers(root)
            _unpack(_archive(root, download=download), root / folder, sizes)


def restore_file(root: Path, folder: str, name: str, sizes: Mapping[str, int]) -> bool:
    """Whether the archive is in `root` and `root / folder / name` was unpacked from it again, the old one set aside."""
    try:
        with _locked(root):
            if not _is_official(root / ARCHIVE):
                return False
            content = next(content for found, content in _files(root / ARCHIVE, folder, sizes) if found == name)
            path = root / folder / name
            if path.exists():
                set_aside(path)
            write_bytes(path, content)
            log.warning("%s: unpacked again from %s", path, ARCHIVE)
    except UserError:
        return False
    return True


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    from filelock import FileLock

    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / ".cifar-10.lock"):
            yield
    except (OSError, EOFError, zlib.error, tarfile.TarError, RecursionError, NotImplementedError) as error:
        raise UserError(f"CIFAR-10 cannot be put into {root}: {error}") from error


def _is_official(archive: Path) -> bool:
    import pooch

    return archive.is_file() and pooch.file_hash(archive, alg="sha256") == SHA256


def _archive(root: Path, *, download: bool) -> Path:
    """The archive in `root`, verified; fetched if it is not there or is damaged and `download` is True."""
    archive = root / ARCHIVE
    if _is_official(archive):
        return archive
    if not download:
        raise UserError(f"{archive} is damaged and downloading is off: {_by_hand(root)}")
    log.info("CIFAR-10 is not in %s; fetching %s (170 MB).", root, URL)
    temporary = temporary_path(root / "download")
    temporary.mkdir()
    try:
        fetched = _fetch(root, temporary)
        if archive.is_file():
            set_aside(archive)
        return fetched.rename(archive)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _fetch(root: Path, folder: Path) -> Path:
    import pooch
    from requests import RequestException

    pooch.get_logger().setLevel(logging.ERROR)
    registry = pooch.create(
        path=folder,
        base_url="",
        registry={ARCHIVE: f"sha256:{SHA256}"},
        urls={ARCHIVE: URL},
        retry_if_failed=ATTEMPTS - 1,
    )
    downloader = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), chunk_size=1 << 20)
    try:
        return Path(registry.fetch(ARCHIVE, downloader=downloader))
    except RequestException as error:
        fault = f"{URL} could not be fetched ({type(error).__name__})"
    except ValueError:
        fault = f"{URL} did not give the archive with SHA-256 {SHA256}"
    raise UserError(f"CIFAR-10 is not in {root} and {fault}: {_by_hand(root)}")


def _by_hand(root: Path) -> str:
    return f"put {ARCHIVE} from {URL}, or the folder inside it, into {root}"


def _unpack(archive: Path, folder: Path, sizes: Mapping[str, int]) -> None:
    temporary = temporary_path(folder)
    temporary.mkdir()
    known = KnownFiles(folder.parent)
    try:
        for name, content in _files(archive, folder.name, sizes):
            write_bytes(temporary / name, content)
            known.add_unpacked(folder / name, content)
        known.save()
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _files(archive: Path, folder: str, sizes: Mapping[str, int]) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file, once. Raises TarError unless all are there, plain files of their sizes."""
    missing = {f"{folder}/{name}": size for name, size in sizes.items()}
    with (
        _LimitedGzip(archive, sum(sizes.values()) + REST_BYTES) as unzipped,
        tarfile.open(fileobj=unzipped, mode="r|") as tar,
    ):
        for member in tar:
            size = missing.pop(member.name, None)
            if size is None:
                continue
            file = tar.extractfile(member) if member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) else None
            if file is None or member.issparse() or member.size != size:
                raise tarfile.ReadError(f"{member.name} in {archive} is not a plain file of {size} bytes")
            yield Path(member.name).name, file.read()
    if missing:
        raise tarfile.ReadError(f"{archive} lacks {', '.join(missing)}")


class _LimitedGzip(gzip.GzipFile):
    """A compressed file that refuses to give more than so many bytes."""

    def __init__(self, path: Path, most: int) -> None:
        super().__init__(path, "rb")
        self._most = most

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        if self.tell() > self._most:
            raise tarfile.ReadError(f"{self.name} unpacks to more than {self._most} bytes")
        return data
