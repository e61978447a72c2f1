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
from kls.records import checked, lines, names
from kls.sweep.stage_study import ENDED, Outcome

FAULTS = (SQLAlchemyError, optuna.exceptions.StorageInternalError)  # of the database, as of a full disk
_KEY = "trials"  # of what older versions recorded


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
    """The record of a study in a stage's folder. It grows by a line for each trial asked for or told.

    A line says of a trial what is not as its lines before say.
    """

    def __init__(self, folder: Path, study: optuna.Study) -> None:
        self._path, self._study = folder / names.TRIALS, study
        self._n_lines = 0
        self._open: dict[int, dict[str, Any]] = {}  # what is written of trials that may change yet
        self._ended = 0  # trials at the beginning that have ended, all of whose lines are written
        self._ended_later = set[int]()

    def write(self) -> None:
        """Record what the study has asked and been told since."""
        new = []
        for trial in self._study.get_trials(deepcopy=False)[self._ended :]:
            if trial.number in self._ended_later:
                continue
            record, written = _record(trial), self._open.get(trial.number, {})
            if record != written:
                changed = {key: value for key, value in record.items() if key not in written or written[key] != value}
                new.append({"number": trial.number, **changed})
            self._keep(trial, record)
        if new:
            lines.append_twice(self._path, self._n_lines, new)
            self._n_lines += len(new)

    def restore(self, outcome_of: Callable[[int], Outcome | None], n_seeds: int = 0) -> None:
        """Put the recorded trials into the empty study. Those that their runs do not confirm wait to be run again.

        outcome_of: what came of the trial of a number; None if that is not known yet. n_seeds: of each trial, if the
        stage says them; older versions recorded one trial a seed then.
        Raises DamageError where the record and its copy are damaged.
        """
        try:
            self._open = self._read()
            records = list(self._open.values())
        except FileNotFoundError:
            records = self._older(n_seeds)
        try:
            for record in records:
                self._study.add_trial(_trial(record, outcome_of(int(record["number"]))))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self._unreadable(error) from None

    def _keep(self, trial: FrozenTrial, record: dict[str, Any]) -> None:
        if trial.state not in ENDED:
            self._open[trial.number] = record
            return
        self._open.pop(trial.number, None)
        self._ended_later.add(trial.number)
        while self._ended in self._ended_later:
            self._ended_later.remove(self._ended)
            self._ended += 1

    def _read(self) -> dict[int, dict[str, Any]]:
        found = lines.read_twice(self._path)
        self._n_lines = len(found)
        records: dict[int, dict[str, Any]] = {}
        try:
            for line in found:
                records[line["number"]] = records.get(line["number"], {}) | line
        except (KeyError, TypeError) as error:
            raise self._unreadable(error) from None
        if list(records) != list(range(len(records))):
            raise self._unreadable("numbers are missing")
        return records

    def _older(self, n_seeds: int) -> list[dict[str, Any]]:
        """What an older version has recorded; all of it is written anew."""
        try:
            records: Any = checked.read_json_twice(self._path.with_name(names.TRIALS_AS_ONE)).get(_KEY)
            if n_seeds and any("seed" in record["params"] for record in records):
                records = [_of_all_seeds(record, number) for number, record in enumerate(records[::n_seeds])]
        except FileNotFoundError:
            return []
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise self._unreadable(error) from None
        return records

    def _unreadable(self, why: object) -> DamageError:
        return DamageError(f"{self._path}: cannot be read as a record of trials ({why!r})")


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
