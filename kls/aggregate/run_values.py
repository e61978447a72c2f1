"""Checks what the files of a run hold, and makes cells of it: texts, numbers, booleans and null."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from kls.errors import DamageError
from kls.records import checked, names
from kls.records.escape import one_line, shortened
from kls.records.run_folder import RunFolder
from kls.records.small_files import check_file

STATUSES = (names.FINISHED, names.DIVERGED, names.FAILED, names.RUNNING, names.INTERRUPTED, names.PRUNED)

_TEXTS = (names.MESSAGE, "data", "data_fingerprint", "started", "ended")
_COUNTS = (
    "n_inputs", "n_train", "n_val", "n_test", "layers", "parameters", "population", "steps", "planned_steps",
    names.BEST_STEP,
)  # fmt: skip
_AMOUNTS = ("epochs", "planned_epochs", "seconds", "training_seconds", "steps_per_second")
_LARGEST = 2**63  # of whole numbers


def check_metrics(path: Path, metrics: Mapping[str, Any]) -> None:
    """Raises DamageError where a metric has a value that it cannot have; unknown metrics may have any.

    path: of metrics.json, for the message.
    """
    status = metrics.get(names.STATUS)
    if status not in STATUSES:
        said = shortened(repr(status))
        raise DamageError(f"{path.parent}: {path.name} has the status {said}, which is none of {', '.join(STATUSES)}")
    for key, value in metrics.items():
        wanted = _wanted(key, value)
        if wanted is not None:
            raise DamageError(f"{path}: {shortened(key)}={shortened(repr(value))} is not {wanted}; it was damaged")


def _wanted(key: str, value: Any) -> str | None:
    """What the value should be, where it is something else."""
    if value is None or (isinstance(value, str) and key in _TEXTS):
        return None
    if key in _TEXTS:
        return "a text"
    if key.endswith("accuracy"):
        return None if _is_within(value, 1.0) else "a share from 0 to 1"
    if key in _COUNTS:
        return None if isinstance(value, int) and _is_within(value, _LARGEST) else "a whole number from 0 on"
    if key in _AMOUNTS or key.endswith(("_loss", "_cost")):
        return None if _is_within(value, float("inf")) and not _is_huge(value) else "a number from 0 on"
    return None


def _is_within(value: Any, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most


def _is_huge(value: Any) -> bool:
    return isinstance(value, int) and abs(value) >= _LARGEST


def read_history(run: Path) -> list[dict[str, float]]:
    """The evaluations of a run. Raises UserError where there are none, or a row holds what it cannot."""
    path = run / names.HISTORY
    with suppress(FileNotFoundError):
        check_file(path)
        checked.read_csv(path)  # fits its checksum
    rows = RunFolder(run).read_history()
    steps = [row["step"] for row in rows]
    accuracies = [row[names.metric(split, "accuracy")] for row in rows for split in ("train", "val")]
    if not all(0.0 <= value <= 1.0 for value in accuracies):
        raise DamageError(f"{path}: has an accuracy that is no share from 0 to 1; it was damaged")
    if not all(math.isfinite(row["epoch"]) for row in rows) or steps != sorted({*steps}):
        raise DamageError(f"{path}: its evaluations do not follow one another; it was damaged")
    if not rows:
        raise DamageError(f"{path}: its history is empty")
    return rows


def cells(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as tables show them: lists as texts such as "[50, 50]", all texts on one line; keys too."""
    return {one_line(key): _cell(value) for key, value in values.items()}


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and not _is_huge(value)):
        return value
    return one_line(value) if isinstance(value, str) else shortened(str(value), 1000)
