"""The trials of a sweep: Optuna's database, which others may read, and the record that a resumed sweep reads.

The database is made anew from the records when a sweep is resumed, so that nothing depends on its damage, or on what
somebody put into it: Optuna's samplers unpickle some of what they find there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import distribution_to_json, json_to_distribution
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.exc import SQLAlchemyError

from kls.errors import DamageError
from kls.records import checked, names
from kls.records.run_folder import RunFolder

FAULTS = (SQLAlchemyError, optuna.exceptions.StorageInternalError)  # of the database, as of a full disk
ENDED = (TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED)
_KEY = "trials"


@contextmanager
def opened(path: Path) -> Iterator[optuna.storages.RDBStorage]:
    """A new database in the place of any there.

    It is opened by its path, for in a URL some names of folders mean something else.
    """
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")  # a crash loses no more than the last trials,
        connection.execute("PRAGMA synchronous = NORMAL")  # which the records have
        return connection

    storage = optuna.storages.RDBStorage("sqlite://", engine_kwargs={"creator": connect})
    try:
        yield storage
    finally:
        storage.remove_session()
        with suppress(SQLAlchemyError), storage.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode = DELETE")  # one file again, for whoever reads it
        storage.engine.dispose()


def write_trials(path: Path, study: optuna.Study) -> None:
    """Record what a study has asked and been told."""
    checked.write_json_twice(path, {_KEY: [_record(trial) for trial in study.get_trials(deepcopy=False)]})


def restore_trials(path: Path, study: optuna.Study) -> None:
    """Put the recorded trials into an empty study. Those whose own runs do not confirm the value wait to be run again.

    Raises DamageError where the record and its copy are damaged.
    """
    try:
        records: Any = checked.read_json_twice(path).get(_KEY)
    except FileNotFoundError:
        return
    try:
        for record in records:
            study.add_trial(_trial(record, path.parent))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DamageError(f"{path}: cannot be read as a record of trials ({error!r})") from None


def _record(trial: FrozenTrial) -> dict[str, Any]:
    return {
        "number": trial.number,
        "value": trial.value if trial.state == TrialState.COMPLETE else None,
        "params": trial.params,
        "distributions": {name: distribution_to_json(d) for name, d in trial.distributions.items()},
        "system_attrs": trial.system_attrs,
    }


def _trial(record: dict[str, Any], stage: Path) -> FrozenTrial:
    value, found = record["value"], _value(stage / str(int(record["number"])))
    known = value is not None and found == value
    return create_trial(
        state=TrialState.COMPLETE if known else TrialState.WAITING,
        value=value if known else None,
        params=record["params"],
        distributions={name: json_to_distribution(text) for name, text in record["distributions"].items()},
        system_attrs=record["system_attrs"],
    )


def _value(folder: Path) -> float | None:
    """The score of a run that has ended, with all that it should have left; else it has to go on."""
    run = RunFolder(folder)
    if not run.ended:
        return None
    metrics = run.read_metrics()
    if metrics[names.STATUS] == names.FINISHED and not run.has_its_networks():
        run.write_metrics(metrics | {names.STATUS: names.INTERRUPTED})
        return None
    return metrics.get(names.VAL_ACCURACY)
