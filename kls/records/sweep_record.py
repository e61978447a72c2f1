"""The record of a sweep, sweep.json."""

from __future__ import annotations

import json
import logging
import re
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kls.errors import DamageError, UserError
from kls.records import checked, folders, names
from kls.records.escape import shortened

log = logging.getLogger("kls")

_STUDIES = "studies"
_OWN_NAME = re.compile(r".{1,100}-[0-9a-f]{8}")


class SweepRecord:
    """What sweep.json holds; written whole at each change."""

    def __init__(
        self,
        folder: Path,
        definition: dict[str, Any],
        overrides: Sequence[str],
        resume: bool,
        facts: dict[str, Any],
        as_now: Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]],
    ) -> None:
        """Begin a record, or take up the folder's.

        overrides: those of the command line that its jobs have. facts: more to be recorded, such as versions.
        as_now: gives a definition, which an older version may have recorded, as this one would; its second argument is
        the definition of now.
        Raises UserError where a resumed definition has changed, or where one is begun in a folder that is in use.
        """
        self.path = folder / names.SWEEP
        self.content: dict[str, Any] = {
            "schema": names.SCHEMA,
            **facts,
            "overrides": list(overrides),
            "status": names.RUNNING,
            "metric": definition.get("objective", names.VAL_ACCURACY),
            "definition": definition,
            "stages": [],
        }
        if resume:
            before = read_sweep(folder, restore=True)
            now = json.loads(json.dumps(definition))
            changed = _changes(as_now(before["definition"], now), now)
            if changed:
                raise UserError(f"{folder}: a sweep goes on as it began; changed: {'; '.join(changed)}")
            self.content["overrides"] = before["overrides"]
            if _OWN_NAME.fullmatch(str(before.get(_STUDIES))):
                self.content[_STUDIES] = before[_STUDIES]
            for key in facts.keys() & before.keys() - {"config_dir"}:
                if before[key] != facts[key]:
                    log.warning("%s was %s and is now %s: what is left may differ", key, before[key], facts[key])
        else:
            refuse_used(folder, definition)
        self.write()

    def write(self) -> None:
        checked.write_json_twice(self.path, self.content)

    def set_status(self, status: str) -> None:
        """Of the sweep, and of the stage that is under way if it is not finished."""
        self.content["status"] = status
        for stage in self.content["stages"]:
            if stage["status"] != names.FINISHED:
                stage["status"] = status
        self.write()

    def name_of_studies(self) -> str:
        """What the sweep's studies are called in a database that others use: its folder's name, and eight digits.

        These are made once, so that a name that is found there is this sweep's own.
        """
        if _STUDIES not in self.content:
            self.content[_STUDIES] = f"{shortened(self.path.parent.name)}-{secrets.token_hex(4)}"
            self.write()
        return str(self.content[_STUDIES])

    def put_stage(self, entry: dict[str, Any]) -> None:
        """Add a stage's entry, or replace the one of that name."""
        self.content["stages"] = [s for s in self.content["stages"] if s["name"] != entry["name"]] + [entry]
        self.write()


def refuse_used(folder: Path, definition: dict[str, Any]) -> None:
    """Raises UserError where a folder, which may not be there, has anything that a new sweep would write."""
    stages = [stage["name"] for stage in definition["stages"]]
    folders.refuse_used(folder, [*names.FILES_OF_A_SWEEP, *stages], "a sweep")


def read_sweep(folder: Path, restore: bool = False) -> dict[str, Any]:
    """The folder's record. Raises UserError where there is none, DamageError where it is damaged.

    restore: from its copy where it is missing or damaged.
    """
    path = folder / names.SWEEP
    try:
        content = (checked.read_json_twice if restore else checked.read_json)(path)
    except FileNotFoundError:
        raise UserError(f"{folder}: not a sweep's folder, it has no {names.SWEEP}") from None
    if restore and not {"overrides", "status", "definition", "stages"} <= content.keys():
        raise DamageError(f"{path}: holds no record of a sweep")
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
    return [] if old == new else [f"{shortened(where)}: {shortened(json.dumps(old))} -> {shortened(json.dumps(new))}"]
