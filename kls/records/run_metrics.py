"""Checks what the metrics of a run may be, and makes cells of values: texts, numbers, booleans and None."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from kls.errors import DamageError
from kls.records import names
from kls.records.escape import one_line, shortened

STATUSES = (names.FINISHED, names.DIVERGED, names.FAILED, names.RUNNING, names.INTERRUPTED, names.PRUNED)
SCORES = ("_accuracy", "_loss", "_cost")  # ends of the names of scores

_LARGEST = 2**63  # of whole numbers
_KINDS = {  # by the names of metrics, the first that fits; metrics of other names may have any value
    r".*accuracy": "a share from 0 to 1",
    r".*(_loss|_cost|seconds?|epochs)": "a number from 0 on",
    r"n_.*|.*steps?|layers|parameters|population|classes|schema": "a whole number from 0 on",
    r"message|data|.*fingerprint|started|ended": "a text",
}


def check_metrics(path: Path, metrics: Mapping[str, Any]) -> None:
    """Raises DamageError if a metric has a value that it cannot have. path: of metrics.json, for the message."""
    status = metrics.get(names.STATUS)
    if status not in STATUSES:
        text = shortened(repr(status))
        raise DamageError(f"{path.parent}: {path.name} has the status {text}, which is none of {', '.join(STATUSES)}")
    for key, value in metrics.items():
        kind = _kind(key)
        if value is not None and kind and not _fits(kind, value):
            raise DamageError(f"{path}: {shortened(key)}={shortened(repr(value))} is not {kind}; it was damaged")


@lru_cache(maxsize=4096)
def _kind(key: str) -> str:
    return next((kind for pattern, kind in _KINDS.items() if re.fullmatch(pattern, key)), "")


def _fits(kind: str, value: Any) -> bool:
    if kind == "a text" or isinstance(value, bool) or not isinstance(value, int | float):
        return kind == "a text" and isinstance(value, str)
    if isinstance(value, float) and kind == "a whole number from 0 on":
        return False
    return 0 <= value <= (1 if kind == "a share from 0 to 1" else _LARGEST if isinstance(value, int) else float("inf"))


def cells(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as tables have them: lists as texts such as "[50, 50]", all texts on one line; keys too."""
    return {_line(key): _cell(value) for key, value in values.items()}


_line = lru_cache(maxsize=4096)(one_line)  # most are the same in all runs


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < _LARGEST):
        return value
    return _line(value) if isinstance(value, str) else shortened(str(value), 1000)
