"""Fetches files of official publications: whole and verified, or one line on what to do."""

from __future__ import annotations

import hashlib
import logging
import shutil
import sys
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kls.errors import UserError
from kls.records.atomic import remove_leftovers, temporary_path
from kls.records.checked import set_aside

ATTEMPTS = 3

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Remote:
    """A file as its publisher gives it; size in bytes."""

    url: str
    sha256: str
    size: int

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]


@contextmanager
def only_writer(folder: Path, title: str, stem: str) -> Iterator[None]:
    """One process at a time may put the data set into a folder, which is made. Faults are UserErrors that name it."""
    from filelock import FileLock

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{stem}.lock"):
            yield
    except (OSError, EOFError, zlib.error, tarfile.TarError, RecursionError, NotImplementedError) as error:
        raise UserError(f"{title} cannot be put into {folder}: {error}") from error


def is_official(path: Path, remote: Remote) -> bool:
    """Whether a file is there and is, to the bit, what was published."""
    import pooch

    return path.is_file() and pooch.file_hash(path, alg="sha256") == remote.sha256


def official_files(root: Path, stem: str, title: str, remotes: Sequence[Remote], *, download: bool) -> list[bytes]:
    """The contents of files in `root / stem`, each fetched if it is not there or is damaged and `download` is True.

    Raises UserError: a file is missing or not the official one and `download` is False, or as `fetched` does.
    """
    folder = root / stem
    contents = [_read(folder / remote.name, remote) for remote in remotes]
    for i, remote in enumerate(remotes):
        if contents[i] is None:
            path, hint = folder / remote.name, f"put {remote.name} from {remote.url} into {folder}"
            if not download:
                state = f"{path} is not the official file" if path.exists() else f"{title} is not in {folder}"
                raise UserError(f"{state} and downloading is off: {hint}")
            with only_writer(folder, title, stem):
                remove_leftovers(folder)
                path = path if is_official(path, remote) else fetched(folder, remote, title, hint)
                contents[i] = path.read_bytes()
    return [content for content in contents if content is not None]


def fetched(folder: Path, remote: Remote, title: str, hint: str) -> Path:
    """The file, fetched into `folder`; what had its name there is set aside. `only_writer` has to be entered before.

    A fetch that fails or gives other bytes is tried again. Raises UserError, which ends with the hint, if it stays so.
    """
    path = folder / remote.name
    log.info("%s is not in %s; fetching %s (%.3g MB).", title, folder, remote.url, remote.size / 1e6)
    temporary = temporary_path(folder / "download")
    temporary.mkdir()
    try:
        got = _fetch(temporary, remote, f"{title} is not in {folder}", hint)
        if path.is_file():
            set_aside(path)
        return got.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _read(path: Path, remote: Remote) -> bytes | None:
    """The content of a file that is the official one, else None."""
    try:
        if not path.is_file() or path.stat().st_size != remote.size:
            return None
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror})") from None
    return content if hashlib.sha256(content).hexdigest() == remote.sha256 else None


def _fetch(folder: Path, remote: Remote, missing: str, hint: str) -> Path:
    import pooch
    from requests import RequestException

    pooch.get_logger().setLevel(logging.ERROR)
    registry = pooch.create(
        path=folder,
        base_url="",
        registry={remote.name: f"sha256:{remote.sha256}"},
        urls={remote.name: remote.url},
        retry_if_failed=ATTEMPTS - 1,
    )
    downloader = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), chunk_size=1 << 20)
    try:
        return Path(registry.fetch(remote.name, downloader=downloader))
    except RequestException as error:
        fault = f"{remote.url} could not be fetched ({type(error).__name__})"
    except ValueError:
        fault = f"{remote.url} did not give the file with SHA-256 {remote.sha256}"
    raise UserError(f"{missing} and {fault}: {hint}")
