"""Which texts can name a folder on every system, Windows included, or a path on this one."""

from __future__ import annotations

from pathlib import Path

LONGEST_PART = 255  # bytes, of most file systems
LONGEST_PATH = 1000
_DEVICES = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"} | {
    f"{port}{number}" for port in ("COM", "LPT") for number in "0123456789¹²³"
}


def is_folder_name(value: object) -> bool:
    """Whether a name leads to a folder under outputs/ and nowhere else, on any system."""
    return isinstance(value, str) and len(value) <= LONGEST_PATH and all(map(_is_part, value.split("/")))


def _is_part(part: str) -> bool:
    if not part.strip() or part.startswith(".") or part.endswith((".", " ")) or ".." in part:
        return False
    if not part.isprintable() or any(sign in part for sign in '<>:"|?*\\'):
        return False
    return part.split(".")[0].rstrip().upper() not in _DEVICES and len(part.encode()) <= LONGEST_PART


def check_folder_name(value: str) -> str:
    """The name. Raises ValueError where it is none, see `is_folder_name`."""
    if not is_folder_name(value):
        raise ValueError("must be a folder name under outputs/, such as my_study or studies/first")
    return value


def absolute_path(value: str) -> str:
    """A path of this moment's working folder as one of any. Raises ValueError where its user is not known."""
    try:
        return str(Path(value).expanduser().absolute())
    except RuntimeError as error:
        raise ValueError(str(error)) from None


def check_path(value: str) -> str:
    """The path of a folder. Raises ValueError where no folder can have it."""
    parts = value.split("/")
    if not value.strip() or "\0" in value or any(len(part.encode(errors="replace")) > LONGEST_PART for part in parts):
        raise ValueError("must be the path of a folder")
    return value
