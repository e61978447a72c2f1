"""What the files of a data set held when they were first read, so that a later change of them is noticed."""

from __future__ import annotations

import hashlib
import logging
from contextlib import suppress
from pathlib import Path

from kls.errors import DamageError
from kls.records.checked import read_json, set_aside, write_json

Buffer = bytes | memoryview

log = logging.getLogger(__name__)


class KnownFiles:
    """SHA-256 of files below a folder, kept in a file there; in a folder that cannot be written to, nothing is known.

    Attributes:
        path: the file of the record.
        unpacked: whether this program has unpacked the files itself.
    """

    def __init__(self, root: Path, stem: str) -> None:
        """Reads the record <stem>-checksums.json; one that is damaged is set aside, and the files are trusted anew."""
        self.path = root / f"{stem}-checksums.json"
        self.unpacked = False
        self._root = root
        self._digests: dict[str, str] = {}
        self._new = False
        try:
            record = read_json(self.path)
            if not isinstance(record.get("files"), dict) or not isinstance(record.get("unpacked"), bool):
                raise DamageError(f"{self.path}: is no record of files")
            self._digests, self.unpacked = record["files"], record["unpacked"]
        except OSError:
            pass
        except DamageError as error:
            log.warning("%s; the data files are taken as they are", error)
            with suppress(OSError):
                set_aside(self.path)

    def fits(self, path: Path, content: Buffer) -> bool:
        """Whether a file's content is that of the record; a file that it lacks is added to it."""
        name, digest = self._name(path), hashlib.sha256(content).hexdigest()
        self._new |= name not in self._digests
        return self._digests.setdefault(name, digest) == digest

    def add_unpacked(self, path: Path, content: Buffer) -> None:
        """Note what a file that this program unpacks holds."""
        self._digests[self._name(path)] = hashlib.sha256(content).hexdigest()
        self.unpacked = self._new = True

    def save(self) -> None:
        """Write what was added, where that is possible."""
        if self._new:
            try:
                write_json(self.path, {"unpacked": self.unpacked, "files": self._digests})
            except OSError as error:
                log.info("%s: cannot be written (%s); changes of the data will not be noticed", self.path, error)
            self._new = False

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()
