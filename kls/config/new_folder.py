"""Makes folders for results, and remembers which of them it made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kls.config.folder_names import is_folder_name
from kls.errors import UserError

MADE: list[Path] = []  # absolute, parents before what they hold


def make(folder: Path) -> None:
    """Make a folder, and those that lead to it, where they are missing. Raises OSError."""
    for path in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        try:
            path.mkdir()
        except FileExistsError:  # another process was faster
            continue
        MADE.append(path.absolute())
    if not folder.is_dir():
        raise NotADirectoryError(20, "Not a directory", str(folder))


def new_folder(root: str, name: Any, day: str, time: str) -> str:
    """Make and name a folder that nobody else has: root/<name or day>/<time>, with a number if that is taken.

    A name that leads elsewhere counts as none here; the settings are validated before, and refuse it.
    """
    parent = parent_of(root, name, day)
    make(parent)
    for attempt in range(1, 10_000):
        folder = parent / (time if attempt == 1 else f"{time}-{attempt}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        MADE.append(folder.absolute())
        return str(folder)
    raise UserError(f"{parent}: has ten thousand folders of {time} already")


def parent_of(root: str, name: Any, day: str) -> Path:
    """Where ``new_folder`` makes its folder."""
    return Path(root) / (name if is_folder_name(name) else day)
