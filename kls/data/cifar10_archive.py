"""Fetches the official archive of CIFAR-10's binary version and unpacks it, whole or not at all."""

from __future__ import annotations

import logging
import sys
import tarfile
import tempfile
from pathlib import Path

from kls.errors import UserError

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
ARCHIVE = "cifar-10-binary.tar.gz"
ATTEMPTS = 3

log = logging.getLogger(__name__)


def provide_folder(root: Path, folder_name: str, *, download: bool) -> None:
    """Make `root / folder_name` from the archive, which lies in `root` or is fetched into it.

    The archive (170 MB) is used only if its SHA-256 is the official one; a fetch that fails or gives
    other bytes is tried again. The folder appears whole. Processes that call this at once wait for
    each other at a file lock, and those that come second find the folder.

    Raises:
        UserError: no archive and `download` is False, no connection, wrong content, or `root` cannot
            be written to.
    """
    from filelock import FileLock

    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / ".cifar-10.lock"):
            if not (root / folder_name).is_dir():
                _unpack(_archive(root, download=download), root, folder_name)
    except (OSError, tarfile.TarError) as error:
        raise UserError(f"CIFAR-10 cannot be put into {root}: {error}") from error


def _archive(root: Path, *, download: bool) -> Path:
    """The archive in `root`, verified; fetched if it is not there or is damaged and `download` is True."""
    import pooch
    from requests import RequestException

    archive = root / ARCHIVE
    if archive.is_file() and pooch.file_hash(archive, alg="sha256") == SHA256:
        return archive
    if not download:
        fault = f"{archive} is damaged" if archive.is_file() else f"CIFAR-10 is not in {root}"
        raise UserError(f"{fault} and downloading is off: {_by_hand(root)}")
    log.info("CIFAR-10 is not in %s; fetching %s (170 MB).", root, URL)
    pooch.get_logger().setLevel(logging.ERROR)
    registry = pooch.create(
        path=root,
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


def _unpack(archive: Path, root: Path, folder_name: str) -> None:
    with tempfile.TemporaryDirectory(dir=root, prefix=".cifar-10-") as temporary:
        with tarfile.open(archive) as tar:
            tar.extractall(temporary, filter="data")
        (Path(temporary) / folder_name).replace(root / folder_name)
