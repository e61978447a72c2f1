"""Files that show their own damage: each carries a SHA-256 of what it holds, which is checked when it is read.

A file without one was written by another program, or by a version before checksums; it is read as it stands. JSON
carries it under the key "checksum", YAML in a comment on its first line, CSV in a last column that has it in each row.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import logging
import math
import re
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from kls.errors import DamageError
from kls.records.atomic import write_text

CHECKSUM = "checksum"
_FIRST_LINE = re.compile(r"# checksum ([0-9a-f]{64})\n")
LARGEST = 4 * 2**20  # bytes of the record of a run or a step; they have thousands
LARGEST_YAML = 2**18  # a reader of YAML takes minutes for millions
_LARGEST_TEXT = 256 * 2**20

log = logging.getLogger("kls")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """A dict as JSON, whole or not at all.

    It is made of dicts, lists, tuples, texts, numbers (Python's or NumPy's scalars), booleans and None. JSON (RFC 8259,
    section 6) has no NaN and no infinity: both become null. Raises TypeError where it holds something else.
    """
    content = plain(dict(content))
    text = json.dumps({**content, CHECKSUM: json_digest(content)}, allow_nan=False, ensure_ascii=False, indent=2)
    write_text(path, text + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """The dict as written. Raises FileNotFoundError; DamageError where it is anything else."""
    try:
        content = json.loads(read_text(path))
        if not isinstance(content, dict):
            raise DamageError(f"{path}: holds no JSON object")
        fits = CHECKSUM not in content or content.pop(CHECKSUM) == json_digest(content)
    except (ValueError, RecursionError) as error:
        raise DamageError(f"{path}: not valid JSON ({fault_text(error)})") from None
    if not fits:
        raise DamageError(f"{path}: does not fit its checksum; it was damaged or changed")
    return content


def write_json_twice(path: Path, content: Mapping[str, Any]) -> None:
    """As `write_json`, and again as a hidden copy: for small files on which the work of hours depends."""
    write_json(path, content)
    write_json(copy_of(path), content)


def read_json_twice(path: Path) -> dict[str, Any]:
    """As written by `write_json_twice`; a file that is missing or damaged is restored from its copy.

    Raises FileNotFoundError where there is neither; DamageError where both are damaged.
    """
    try:
        return read_json(path)
    except (FileNotFoundError, DamageError):
        if not copy_of(path).is_file():
            raise
        content = read_json(copy_of(path))
    if path.exists():
        set_aside(path)
    log.warning("%s: restored from its copy", path)
    write_json(path, content)
    return content


def plain(obj: Any) -> Any:
    """As JSON has it: NumPy's scalars become Python's, tuples lists, NaN and infinity None."""
    if isinstance(obj, np.generic):
        obj = obj.item()
    if isinstance(obj, dict):
        return {key: plain(value) for key, value in obj.items()}
    if isinstance(obj, list | tuple):
        return [plain(value) for value in obj]
    if isinstance(obj, float) and not math.isfinite(obj):
        return None
    return obj


def copy_of(path: Path) -> Path:
    """The hidden copy of a file that is written twice."""
    return path.with_name(f".{path.name}.copy")


def write_yaml(path: Path, content: Mapping[str, Any]) -> None:
    """A dict of dicts, lists, texts, numbers, booleans and nulls as YAML, whole or not at all."""
    text = yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True)
    write_text(path, f"# checksum {_digest(text)}\n{text}")


def read_yaml(path: Path) -> dict[str, Any]:
    """The dict as written. Raises FileNotFoundError; DamageError where it is anything else."""
    text = read_text(path)
    check_yaml(path, text)
    content = parse_yaml(path, text)
    if not isinstance(content, dict):
        raise DamageError(f"{path}: holds no settings")
    return content


def check_yaml(path: Path, text: str) -> bool:
    """Whether the text of a YAML file has a checksum on its first line. Raises DamageError where it does not fit."""
    first = _FIRST_LINE.match(text)
    if first and first[1] != _digest(text[first.end() :]):
        raise DamageError(f"{path}: does not fit its checksum; it was damaged or changed")
    return first is not None


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> None:
    """Rows as CSV with a header, whole or not at all.

    columns: the keys to write, by default those of the first row. Floats are written so that reading gives the same
    bits.
    """
    columns = list(rows[0]) if columns is None else list(columns)
    lines = [columns, *([str(row[column]) for column in columns] for row in rows)]
    digest = _digest(_csv_text(lines))
    write_text(path, _csv_text([[*lines[0], CHECKSUM], *([*line, digest] for line in lines[1:])]))


def read_csv(path: Path, columns: Sequence[str] = ()) -> list[dict[str, str]]:
    """Rows as written, all values as texts.

    columns: those that it must have. Raises FileNotFoundError; DamageError where it is anything else.
    """
    try:
        lines = list(csv.reader(io.StringIO(read_text(path), newline=""), strict=True))
    except csv.Error as error:
        raise DamageError(f"{path}: not valid CSV ({error})") from None
    if not lines or any(len(line) != len(lines[0]) for line in lines) or not {*columns} <= {*lines[0]}:
        raise DamageError(f"{path}: is empty or was cut")
    if lines[0][-1] == CHECKSUM:
        found = {line.pop() for line in lines} - {CHECKSUM}
        if found - {_digest(_csv_text(lines))}:
            raise DamageError(f"{path}: does not fit its checksum; it was damaged or changed")
    return [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]


def check_file(path: Path, largest: int = LARGEST) -> None:
    """Raises FileNotFoundError; DamageError where the path is no file, as a pipe is none, or one with more bytes."""
    try:
        found = path.stat()
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:  # a loop of links, a path in a file, a NUL in the name
        raise DamageError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if not stat.S_ISREG(found.st_mode):
        raise DamageError(f"{path}: is not a file")
    if found.st_size > largest:
        raise DamageError(f"{path}: is larger than {largest >> 10:,} KiB")


def read_text(path: Path, largest: int = _LARGEST_TEXT) -> str:
    """The file's text. Raises FileNotFoundError; DamageError where it is no text, too large or cannot be read."""
    check_file(path, largest)
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise DamageError(f"{path}: not a text in UTF-8 ({error.reason} at byte {error.start})") from None
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DamageError(f"{path}: cannot be read ({error.strerror})") from None
    if "\0" in text:  # which would hide the name of a column, that of the checksum too
        raise DamageError(f"{path}: holds a NUL character; it was damaged")
    return text


def set_aside(path: Path) -> Path:
    """Rename a damaged file of this project's own to <name>.damaged, with a number if that is taken; gives that."""
    for attempt in range(1, 1000):
        aside = path.with_name(f"{path.name}.damaged{'' if attempt == 1 else f'-{attempt}'}")
        if not aside.exists():
            break
    path.rename(aside)
    log.warning("%s: was damaged; set aside as %s", path, aside.name)
    return aside


class _Loader(yaml.SafeLoader):
    """Numbers as Hydra reads them: 1e-3 is one, which YAML 1.1 takes for a text. No aliases, which can grow without
    bound when they are expanded."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases are not allowed")
        return super().compose_node(parent, index)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def parse_yaml(source: object, text: str) -> Any:
    """What a YAML text holds; no tag makes anything but dicts, lists and scalars.

    source: its file, for the message. Raises DamageError where it is not valid.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:  # by tags
        raise DamageError(f"{source}: not valid YAML ({fault_text(error)})") from None


def json_digest(content: Mapping[str, Any]) -> str:
    """SHA-256 of what `plain` gives."""
    return _digest(json.dumps(content, allow_nan=False, ensure_ascii=False, sort_keys=True))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _csv_text(lines: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()


def fault_text(error: BaseException) -> str:
    """An error in one line of bounded length, of YAML with its place; libraries quote whole files in theirs."""
    said = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        place = f"line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}"
        said = f"{place}: {' '.join(str(error.problem).split())}"
    return said if len(said) <= 200 else f"{said[:200]}..."
