"""Records that only grow: a line of JSON each, with its number and a SHA-256, in two files.

A batch of lines is written at the end of both files and has reached the disk (fsync) before the work goes on, whatever
the files hold already. A line that a killed process has written in part is cut off when the files are read; one that is
damaged in one file is taken from the other.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kls.errors import DamageError
from kls.records.atomic import fsync_folder, write_bytes
from kls.records.checked import CHECKSUM, check_file, copy_of, json_digest, plain, set_aside

LARGEST = 2**30  # bytes
_LINE = "line"

log = logging.getLogger("kls")


def append_twice(path: Path, start: int, records: Sequence[Mapping[str, Any]]) -> None:
    """Write records at the end of a file and of its copy, which have ``start`` lines. Raises OSError: a full disk."""
    text = b"".join(_line(number, record) for number, record in enumerate(records, start))
    for place in (path, copy_of(path)):
        new = not place.exists()
        try:
            with place.open("ab") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise type(error)(error.errno, error.strerror, str(path)) from error
        if new:
            fsync_folder(place.parent)


def read_twice(path: Path) -> list[dict[str, Any]]:
    """All records, in their order; both files are whole and alike again afterwards.

    Raises FileNotFoundError where there is neither file; DamageError where a line is damaged or missing in both, and
    others follow it.
    """
    places = [path, copy_of(path)]
    contents = [_content(place) for place in places]
    if contents == [None, None]:
        raise FileNotFoundError(path)
    lines: dict[int, tuple[bytes, dict[str, Any]]] = {}
    for content in contents:
        for line in (content or b"").splitlines(keepends=True):
            number, record = _parsed(line)
            if record is not None:
                lines.setdefault(number, (line, record))
    missing = [number for number in range(len(lines)) if number not in lines]
    if missing:
        raise DamageError(f"{path}: line {missing[0] + 1} is damaged or missing, in the copy too")
    whole = b"".join(lines[number][0] for number in range(len(lines)))
    for place, content in zip(places, contents, strict=True):
        if content != whole:
            _mend(place, content, whole)
    return [lines[number][1] for number in range(len(lines))]


def _line(number: int, record: Mapping[str, Any]) -> bytes:
    content = plain({_LINE: number, **record})
    text = json.dumps({**content, CHECKSUM: json_digest(content)}, allow_nan=False, ensure_ascii=False)
    return f"{text}\n".encode("utf-8", "surrogatepass")


def _content(place: Path) -> bytes | None:
    """None where there is no file; an empty line, which fits nowhere, where it cannot be read."""
    try:
        check_file(place, LARGEST)
        return place.read_bytes()
    except FileNotFoundError:
        return None
    except (DamageError, OSError):
        return b"\n"


def _parsed(line: bytes) -> tuple[int, dict[str, Any] | None]:
    """Number and record of a line; no record where it is damaged, or its end is missing."""
    try:
        content = json.loads(line) if line.endswith(b"\n") else None
        if isinstance(content, dict) and content.pop(CHECKSUM) == json_digest(content):
            return int(content.pop(_LINE)), content
    except (KeyError, OverflowError, TypeError, ValueError, RecursionError):
        pass
    return -1, None


def _mend(place: Path, content: bytes | None, whole: bytes) -> None:
    """Make a file whole. One that lacks no more than its end is no damaged one: a process was killed while it wrote."""
    kept = content[: content.rfind(b"\n") + 1] if content else b""
    if not whole.startswith(kept):
        set_aside(place)
    if kept != whole and not place.name.startswith("."):
        log.warning("%s: restored from its copy", place)
    write_bytes(place, whole)
