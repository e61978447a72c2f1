"""From the table of runs to what a record of experiments keeps of each."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from kls.analysis.runs import Runs, read_history
from kls.config.flat_settings import shown
from kls.errors import UserError
from kls.export.mlflow_store import Record
from kls.records import names
from kls.records.escape import one_line, shortened

SINGLE = "kls"  # experiment of runs that are part of no sweep

_STATUS = {names.RUNNING: "RUNNING", names.FAILED: "FAILED", names.INTERRUPTED: "KILLED", names.PRUNED: "KILLED"}
_TAGS = (
    names.STATUS, names.MESSAGE, "sweep", "stage", "trial", "model", "data", "data_fingerprint", "kls_version",
    "git_commit", "cpu",
)  # fmt: skip
_PICTURES = (names.CURVES, names.WEIGHTS)


def experiment_of(runs: Runs, row: Mapping[Any, Any]) -> str:
    """What the command of a run's sweep calls it, else the sweep's folder; `SINGLE` of a run that is part of none."""
    sweep = runs.sweeps.get(row["sweep"])
    if sweep is None:
        return SINGLE
    return shortened(sweep.called or row["path"].resolve().parents[1].name) or SINGLE


def record_of(runs: Runs, row: Mapping[Any, Any], warn: Callable[[str], None]) -> Record:
    """A run with its settings, its values at each evaluation, its scores, and its pictures.

    warn: is told, in a line, of a history that cannot be read; the run is kept without.
    """
    path: Path = row["path"]
    place = path.resolve()
    parts = place.parts[-3:] if row["sweep"] is not None else place.parts[-1:]
    told = [*parts, row.get("started"), *(row.get(key) for key in ("seed", "order_seed", "data.split_seed"))]
    pictures = [path / name for name in _PICTURES if (path / name).is_file() and not (path / name).is_symlink()]
    state = [row[names.STATUS], row.get("steps"), row.get("ended"), *(picture.name for picture in pictures)]
    tags = {f"kls.{key}": one_line(str(row[key])) for key in _TAGS if row.get(key) is not None}
    return Record(
        key=hashlib.sha256("\n".join(map(str, told)).encode()).hexdigest()[:32],
        state=" ".join(map(str, state)),
        name="/".join(map(one_line, parts)),
        status=_STATUS.get(row[names.STATUS], "FINISHED"),
        started=_milliseconds(row.get("started")) or 0,
        ended=_milliseconds(row.get("ended")),
        params={_name(key): shown(row[key]) for key in runs.settings},
        tags=tags | {"kls.folder": one_line(str(place))},
        metrics=partial(_metrics, runs, row, path, warn),
        pictures=pictures,
    )


def _metrics(
    runs: Runs, row: Mapping[Any, Any], path: Path, warn: Callable[[str], None]
) -> list[tuple[str, float, int]]:
    """Each evaluation at its step. Final scores that a history has too, of other pictures, are called final_...."""
    found, series = list[tuple[str, float, int]](), [c for c in names.HISTORY_COLUMNS if c != "step"]
    try:
        history = read_history(path)
    except UserError as error:
        if row[names.STATUS] not in (names.RUNNING, names.FAILED):
            warn(f"{error}; exported without it")
    else:
        for step, values in zip(history["step"].astype(int), history[series].to_numpy(), strict=True):
            found += [(name, float(value), int(step)) for name, value in zip(series, values, strict=True)]
    last = int(row.get("steps") or 0)
    for key in dict.fromkeys([*runs.scores, names.BEST_VAL_ACCURACY, "epochs", "seconds", "training_seconds"]):
        value = row.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            found.append((f"final_{key}" if key in series else key, float(value), last))
    return [(_name(name), value, step) for name, value, step in found if math.isfinite(value)]


def _name(key: str) -> str:
    """A key as MLflow allows it; those of this project stay as they are."""
    return re.sub(r"[^\w. -]|^\.+$", "_", key)[:200]


def _milliseconds(text: Any) -> int | None:
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
