"""Which folders can be read, and which this project may write into: where nobody has what it would overwrite."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kls.errors import UserError


def require_folder(path: Path, given: str = "") -> None:
    """Raises UserError where there is no such folder. given: what stands before the path, such as "--config-dir "."""
    if not path.is_dir():
        raise UserError(f"{given}{path}: {'is not a folder' if path.exists() else 'there is no such folder'}")


def refuse_used(folder: Path, written: Sequence[str], what: str) -> None:
    """Raises UserError where a folder, which may not be there, has any of the names or patterns to be written."""
    patterns = [name for name in written if "*" in name]
    taken = [name for name in written if (folder / name).exists() or (folder / name).is_symlink()]
    taken += [path.name for pattern in patterns for path in folder.glob(pattern)]
    if taken:
        raise UserError(
            f"{folder}: has {taken[0]} already, which {what} would overwrite; take another folder, "
            f"or go on with what is there by resume={folder}"
        )


def refuse_links(folder: Path) -> None:
    """Raises UserError where a folder is a link, or holds one: what is written there would land elsewhere."""
    for path in [folder, *(folder.iterdir() if folder.is_dir() else ())]:
        if path.is_symlink():
            raise UserError(f"{path}: is a link to {path.readlink()}; a folder that is gone on with holds none")
