"""The database of a sweep's trials, and what of it a killed controller leaves behind."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.trial import TrialState

ENDED = (TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED)


@contextmanager
def opened(path: Path) -> Iterator[optuna.storages.RDBStorage]:
    """The database; connected to by path, for in a URL some names of folders mean something else."""

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")  # a crash loses no more than the last trials,
        connection.execute("PRAGMA synchronous = NORMAL")  # which are then asked for again
        return connection

    storage = optuna.storages.RDBStorage("sqlite://", engine_kwargs={"creator": connect})
    try:
        yield storage
    finally:
        storage.remove_session()
        with storage.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode = DELETE")  # one file again, for whoever reads it
        storage.engine.dispose()


def ask_stale_trials_again(study: optuna.Study) -> None:
    """Trials that a killed controller left running wait again: the next batch takes them, parameters and all."""
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study._storage.set_trial_state_values(trial._trial_id, state=TrialState.WAITING)
