"""Which files this project wrote: tables, reports and pictures overwrite and remove no others.

Each carries the mark in its first bytes, a PDF anywhere: in a comment, or in the metadata of a picture. The tables in
CSV, which knows no comments, are told by the columns that they begin with.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from kls.errors import UserError

MARK = "written by kls"
MARKDOWN_MARK, LATEX_MARK = f"<!-- {MARK} -->", f"% {MARK}"

_TABLES = (b"folder,sweep,stage,trial,status,", b"data,data_fingerprint,", b"data,pictures_fingerprint,")
_BYTES = 1024


def is_own(path: Path) -> bool:
    """Whether a file was written by this project. Raises OSError where it cannot be read."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(None if path.suffix == ".pdf" else _BYTES)
    return MARK.encode() in start or (path.suffix == ".csv" and start.startswith(_TABLES))


def check_may_write(paths: Iterable[Path]) -> None:
    """Raises UserError where something stands at one of the paths that this project did not write."""
    for path in paths:
        if (path.exists() or path.is_symlink()) and not is_own(path):
            raise UserError(f"{path}: is there already, and kls did not write it; remove it, or give another --out")
