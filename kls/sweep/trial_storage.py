"""The trials of a sweep: the record that a resumed sweep reads, and a database of Optuna's that others may read.

A study is in memory and made anew from its record when a sweep is resumed, so that nothing depends on the database's
damage, or on what somebody put into it: Optuna's samplers unpickle some of what they find in a study.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import distribution_to_json, json_to_distribution
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.exc import SQLAlchemyError

from kls.errors import DamageError
from kls.records import checked
from kls.sweep.stage_study import ENDED, Outcome

FAULTS = (SQLAlchemyError, optuna.exceptions.StorageInternalError)  # of the database, as of a full disk
_KEY = "trials"


@contextmanager
def opened(path: Path) -> Iterator[RDBStorage]:
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

    storage = RDBStorage("sqlite://", engine_kwargs={"creator": connect})
    try:
        yield storage
    finally:
        storage.remove_session()
        with suppress(SQLAlchemyError), storage.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode = DELETE")  # one file again, for whoever reads it
        storage.engine.dispose()


class TrialRecord:
    """The record of a study, and its copy in the database, which gets a trial when it and all before it have ended."""

    def __init__(self, path: Path, study: optuna.Study, storage: RDBStorage) -> None:
        self._path, self._study = path, study
        self._copy = optuna.create_study(study_name=study.study_name, storage=storage, direction=study.direction)
        self._copied, self._written = 0, list[dict[str, Any]]()

    def write(self) -> None:
        """Record what the study has asked and been told."""
        trials = self._study.get_trials(deepcopy=False)
        records = [_record(trial) for trial in trials]
        if records != self._written:
            checked.write_json_twice(self._path, {_KEY: records})
            self._written = records
        while self._copied < len(trials) and trials[self._copied].state in ENDED:
            self._copy.add_trial(trials[self._copied])
            self._copied += 1

    def restore(self, outcome_of: Callable[[int], Outcome | None], n_seeds: int = 0) -> None:
        """Put the recorded trials into the empty study. Those that their runs do not confirm wait to be run again.

        outcome_of: what came of the trial of a number; None if that is not known yet. n_seeds: of each trial, if the
        stage says them; older versions recorded one trial a seed then.
        Raises DamageError where the record and its copy are damaged.
        """
        try:
            records: Any = checked.read_json_twice(self._path).get(_KEY)
        except FileNotFoundError:
            return
        try:
            if n_seeds and any("seed" in record["params"] for record in records):
                records = [_of_all_seeds(record, number) for number, record in enumerate(records[::n_seeds])]
            for record in records:
                self._study.add_trial(_trial(record, outcome_of(int(record["number"]))))
                self._written.append(record)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DamageError(f"{self._path}: cannot be read as a record of trials ({error!r})") from None


def _record(trial: FrozenTrial) -> dict[str, Any]:
    return {
        "number": trial.number,
        "value": trial.value if trial.state in (TrialState.COMPLETE, TrialState.PRUNED) else None,
        "params": trial.params,
        "distributions": {name: distribution_to_json(d) for name, d in trial.distributions.items()},
        "system_attrs": trial.system_attrs,
    }


def _of_all_seeds(record: dict[str, Any], number: int) -> dict[str, Any]:
    kept = {key: {k: v for k, v in record[key].items() if k != "seed"} for key in ("params", "distributions")}
    return record | kept | {"number": number, "value": None}


def _trial(record: dict[str, Any], found: Outcome | None) -> FrozenTrial:
    known = found is not None and found.score is not None and record["value"] == found.score
    if not known:
        found = None
    return create_trial(
        state=found.state if found else TrialState.WAITING,
        value=found.score if found else None,
        params=record["params"],
        distributions={name: json_to_distribution(text) for name, text in record["distributions"].items()},
        system_attrs=record["system_attrs"],
        user_attrs=dict(found.facts) if found else None,
        intermediate_values=dict(found.by_epoch) if found else None,
    )
