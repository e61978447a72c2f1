"""The copy of a study in a storage that others read: each trial once, in order, whatever was killed when.

A trial is copied when it and all before it have ended. Optuna writes each attribute of a trial by statements of its
own, tens of milliseconds in all; here a batch of trials is one transaction, and one statement a table.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import distribution_to_json
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, RDBStorage
from optuna.storages._rdb import models
from optuna.trial import FrozenTrial
from sqlalchemy import insert

from kls.sweep.stage_study import ENDED


class StudyCopy:
    """The copy of ``study`` under a name. One that is there is gone on with, if its trials are the study's."""

    def __init__(self, storage: BaseStorage, name: str, study: optuna.Study) -> None:
        self._study, self._storage, self._name = study, storage, name
        self._n = 0  # trials that are known to be there
        self._found: list[Any] = []  # what was there before
        try:
            self._id = storage.get_study_id_from_name(name)
            self._found = [_told(trial) for trial in storage.get_all_trials(self._id, deepcopy=False)]
        except KeyError:
            self._id = storage.create_new_study(study.directions, name)

    def update(self) -> None:
        """Copy what has ended since. Raises `FAULTS` of the storage."""
        trials = self._study.get_trials(deepcopy=False)
        end = self._n
        while end < len(trials) and trials[end].state in ENDED:
            end += 1
        if end == self._n:
            return
        try:
            found = self._found[self._n : end]
            if found != [_told(trial) for trial in trials[self._n : self._n + len(found)]]:
                self._begin_anew()
            self._add(trials[max(self._n, len(self._found)) : end])
        except (KeyError, ValueError, RuntimeError) as error:  # of a journal; a study that somebody has removed
            raise StorageInternalError(f"the study {self._name} cannot be gone on with ({error})") from error
        self._n = end

    def _begin_anew(self) -> None:
        """Where failed trials were tried again: what has ended cannot be changed there."""
        self._storage.delete_study(self._id)
        self._id = self._storage.create_new_study(self._study.directions, self._name)
        self._n, self._found = 0, []

    def _add(self, trials: Sequence[FrozenTrial]) -> None:
        if isinstance(self._storage, RDBStorage):
            if trials:
                _insert(self._storage, self._id, trials)
        else:
            for trial in trials:
                self._storage.create_new_trial(self._id, trial)


def _told(trial: FrozenTrial) -> Any:
    return trial.state, trial.params, trial.values


def _insert(storage: RDBStorage, study_id: int, trials: Sequence[FrozenTrial]) -> None:
    with storage.scoped_session() as session, session.begin():
        rows = [
            models.TrialModel(
                study_id=study_id, number=t.number, state=t.state,
                datetime_start=t.datetime_start, datetime_complete=t.datetime_complete,
            )
            for t in trials
        ]  # fmt: skip
        session.add_all(rows)
        session.flush()
        ids = [row.trial_id for row in rows]
        for table, row_of in _PARTS.items():
            parts = [{"trial_id": i, **row} for i, trial in zip(ids, trials, strict=True) for row in row_of(trial)]
            if parts:
                session.execute(insert(table), parts)


def _values(trial: FrozenTrial) -> list[dict[str, Any]]:
    stored = [models.TrialValueModel.value_to_stored_repr(value) for value in trial.values or ()]
    return [{"objective": i, "value": value, "value_type": kind} for i, (value, kind) in enumerate(stored)]


def _params(trial: FrozenTrial) -> list[dict[str, Any]]:
    return [
        {
            "param_name": name,
            "param_value": distribution.to_internal_repr(trial.params[name]),
            "distribution_json": distribution_to_json(distribution),
        }
        for name, distribution in trial.distributions.items()
    ]


def _reports(trial: FrozenTrial) -> list[dict[str, Any]]:
    of = models.TrialIntermediateValueModel.intermediate_value_to_stored_repr
    stored = {step: of(value) for step, value in trial.intermediate_values.items()}
    return [
        {"step": step, "intermediate_value": value, "intermediate_value_type": kind}
        for step, (value, kind) in stored.items()
    ]


def _attributes(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value_json": json.dumps(value)} for key, value in found.items()]


_PARTS: dict[Any, Any] = {
    models.TrialValueModel: _values,
    models.TrialParamModel: _params,
    models.TrialUserAttributeModel: lambda trial: _attributes(trial.user_attrs),
    models.TrialSystemAttributeModel: lambda trial: _attributes(trial.system_attrs),
    models.TrialIntermediateValueModel: _reports,
}
