"""Unpacks the official archive of a data set, fetched if need be: whole or not at all."""

from __future__ import annotations

import gzip
import logging
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from kls.data.download import Remote, fetched, is_official, only_writer
from kls.data.known_files import KnownFiles
from kls.errors import UserError
from kls.records.atomic import remove_leftovers, temporary_path, write_bytes
from kls.records.checked import set_aside

REST_BYTES = 2**20  # of the archive beside the files that are taken

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Archive:
    """A tar.gz with one folder.

    title: of the data set. stem: of the names of lock and record. sizes: bytes of each file to take; others in the
    archive are not unpacked.
    """

    title: str
    stem: str
    remote: Remote
    folder: str
    sizes: Mapping[str, int]

    def provide(self, root: Path, *, download: bool) -> None:
        """Make `root / folder` from the archive, which lies in `root` or is fetched into it.

        The archive is used only if its SHA-256 is the official one. The folder appears whole. Processes that call this
        at once wait for each other, and those that come second find the folder. What the files hold is noted in
        `KnownFiles`.

        Raises UserError: no archive and `download` is False, no connection, wrong content, or `root` cannot be
        written to.
        """
        if not download and not (root / self.remote.name).is_file():
            raise UserError(f"{self.title} is not in {root} and downloading is off: {self._by_hand(root)}")
        with only_writer(root, self.title, self.stem):
            if not (root / self.folder).is_dir():
                if (root / self.folder).exists():
                    raise UserError(f"{root / self.folder} is not a folder: {self.title} is to be unpacked there")
                remove_leftovers(root)
                self._unpack(self._verified(root, download=download), root / self.folder)

    def restore(self, root: Path, name: str) -> bool:
        """Whether the archive is in `root` and the file was unpacked from it again, the old one set aside."""
        archive = root / self.remote.name
        try:
            with only_writer(root, self.title, self.stem):
                if not is_official(archive, self.remote):
                    return False
                content = next(content for found, content in self._files(archive) if found == name)
                path = root / self.folder / name
                if path.exists():
                    set_aside(path)
                write_bytes(path, content)
                log.warning("%s: unpacked again from %s", path, archive.name)
        except UserError:
            return False
        return True

    def _verified(self, root: Path, *, download: bool) -> Path:
        archive = root / self.remote.name
        if is_official(archive, self.remote):
            return archive
        if not download:
            raise UserError(f"{archive} is damaged and downloading is off: {self._by_hand(root)}")
        return fetched(root, self.remote, self.title, self._by_hand(root))

    def _by_hand(self, root: Path) -> str:
        return f"put {self.remote.name} from {self.remote.url}, or the folder inside it, into {root}"

    def _unpack(self, archive: Path, folder: Path) -> None:
        temporary = temporary_path(folder)
        temporary.mkdir()
        known = KnownFiles(folder.parent, self.stem)
        try:
            for name, content in self._files(archive):
                write_bytes(temporary / name, content)
                known.add_unpacked(folder / name, content)
            known.save()
            temporary.rename(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _files(self, archive: Path) -> Iterator[tuple[str, bytes]]:
        """Name and content of each file, once. Raises TarError unless all are there, plain files of their sizes."""
        missing = {f"{self.folder}/{name}": size for name, size in self.sizes.items()}
        with (
            _LimitedGzip(archive, sum(self.sizes.values()) + REST_BYTES) as unzipped,
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
