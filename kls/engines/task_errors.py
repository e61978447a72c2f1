"""The errors of a task's runs as JSON: what a task on another machine tells its controller."""

from __future__ import annotations

import builtins
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from kls import errors
from kls.engines.tasks import Errors
from kls.errors import DamageError
from kls.records import checked

_KEY = "errors"


def write_errors(path: Path, found: Errors) -> None:
    """Class and message of each run's error, by the name of its folder."""
    told = {folder.name: {"type": type(error).__name__, "message": str(error)} for folder, error in found.items()}
    checked.write_json(path, {_KEY: told})


def read_errors(path: Path, folders: Collection[Path]) -> Errors:
    """As written, of runs in ``folders``. Raises FileNotFoundError; DamageError where it is anything else."""
    told, by_name = checked.read_json(path).get(_KEY), {folder.name: folder for folder in folders}
    if not isinstance(told, dict) or not told.keys() <= by_name.keys():
        raise DamageError(f"{path}: holds no errors of these runs")
    return {by_name[name]: _error(path, one) for name, one in told.items()}


def _error(path: Path, told: Any) -> Exception:
    """An error of the same class, where that is Python's or this project's own, as nothing else is looked up."""
    match told:
        case {"type": str(name), "message": str(message)}:
            kind = getattr(builtins, name, None) or getattr(errors, name, None)
            if isinstance(kind, type) and issubclass(kind, Exception):
                with suppress(TypeError):  # those that are made of more than a message
                    return kind(message)
            return RuntimeError(f"{name}: {message}")
    raise DamageError(f"{path}: holds no errors")
