"""The record of a sweep, sweep.json, and the lock that keeps a second controller out of its folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from kls.errors import UserError
from kls.records import names
from kls.records.atomic import write_json

LOCK = ".lock"


@contextmanager
def only_controller(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; it ends with the process, however that ends. Raises UserError where it is held."""
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(f"{folder}: another process is at work here; wait for it, or stop it first") from None
    try:
        yield
    finally:
        lock.release()


class SweepRecord:
    """What sweep.json holds; written whole at each change."""

    def __init__(self, folder: Path, definition: dict[str, Any], overrides: Sequence[str], resume: bool) -> None:
        """Begin a record, or take up the folder's.

        Raises UserError where a resumed definition has changed, or where one is begun in a sweep's folder.
        """
        self.path = folder / names.SWEEP
        self.content: dict[str, Any] = {
            "overrides": list(overrides),
            "status": names.RUNNING,
            "metric": names.VALUE,
            "definition": definition,
            "stages": [],
        }
        if resume:
            before = read_sweep(folder)
            changed = _changes(before["definition"], json.loads(json.dumps(definition)))
            if changed:
                raise UserError(f"{folder}: a sweep goes on as it began; changed: {'; '.join(changed)}")
            self.content["overrides"] = before["overrides"]
        elif self.path.exists():
            raise UserError(f"{folder}: has a sweep already; go on with it by resume={folder}, or take another folder")
        self.write()

    def write(self) -> None:
        write_json(self.path, self.content)

    def set_status(self, status: str) -> None:
        self.content["status"] = status
        self.write()

    def put_stage(self, entry: dict[str, Any]) -> None:
        """Add a stage's entry, or replace the one of that name."""
        self.content["stages"] = [s for s in self.content["stages"] if s["name"] != entry["name"]] + [entry]
        self.write()


def read_sweep(folder: Path) -> dict[str, Any]:
    """The folder's record. Raises UserError where there is none or it is damaged."""
    path = folder / names.SWEEP
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{folder}: not a sweep's folder, it has no {names.SWEEP}") from None
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON ({error})") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds no record of a sweep")
    return content


def _changes(old: Any, new: Any, where: str = "") -> list[str]:
    """Lines "place: old -> new" of all that differs between two JSON values."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            line
            for key in {**old, **new}
            for line in _changes(old.get(key), new.get(key), f"{where}.{key}" if where else str(key))
        ]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        names_ = [item.get("name", i) if isinstance(item, dict) else i for i, item in enumerate(old)]
        return [
            line for name, a, b in zip(names_, old, new, strict=True) for line in _changes(a, b, f"{where}[{name}]")
        ]
    return [] if old == new else [f"{where}: {json.dumps(old)} -> {json.dumps(new)}"]
