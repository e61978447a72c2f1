"""The copy of a study is as Optuna would write it, has each trial once, and goes on after a kill anywhere."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import BaseStorage, RDBStorage
from optuna.trial import TrialState

from kls.sweep import study_copy
from kls.sweep.shared_storage import Address, opened
from kls.sweep.stage_study import Outcome, new_study, tell
from kls.sweep.study_copy import StudyCopy
from kls.sweep.trial_storage import FAULTS

SPACE: dict[str, Any] = {
    "lam": FloatDistribution(1e-5, 1e-1, log=True),
    "n": IntDistribution(1, 9),
    "model": CategoricalDistribution(["3layer", None, True, 2]),
}


@pytest.fixture(params=["database", "journal"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BaseStorage]:
    if request.param == "journal":
        with opened(Address(str(tmp_path / "x.journal"))) as journal:
            yield journal
        return
    database = RDBStorage("sqlite://")
    yield database
    database.remove_session()
    database.engine.dispose()


def asked(study: optuna.Study, n: int, *outcomes: Outcome) -> None:
    """Ask for ``n`` trials and tell of the first of them."""
    trials = [study.ask(SPACE) for _ in range(n)]
    for trial, outcome in zip(trials, outcomes, strict=False):
        tell(study, trial, outcome)


def some_study() -> optuna.Study:
    study = new_study("s", optuna.samplers.RandomSampler(seed=0), maximize=True)
    asked(
        study, 5,
        Outcome(0.5, by_epoch={1: 0.1, 2: math.inf, 3: math.nan}, facts={"seeds": [1, 2], "sd": 0.25}),
        Outcome(0.25, pruned=True, by_epoch={3: 0.25}, facts={"folders": ["ü"]}),
        Outcome(None),
        Outcome(-math.inf),
    )  # fmt: skip
    return study


def content(storage: BaseStorage, name: str) -> list[str]:
    trials = storage.get_all_trials(storage.get_study_id_from_name(name))
    return [repr({k: v for k, v in vars(t).items() if k != "_trial_id"}) for t in trials]


def test_it_is_what_optuna_would_write(storage: BaseStorage) -> None:
    study = some_study()
    theirs = optuna.create_study(study_name="theirs", storage=storage, direction="maximize")
    theirs.add_trials(study.trials[:4])
    StudyCopy(storage, "ours", study).update()
    assert content(storage, "ours") == content(storage, "theirs")
    again = optuna.load_study(study_name="ours", storage=storage)
    assert again.direction == study.direction
    assert again.best_trial.number == 0
    assert [t.state for t in again.trials] == [t.state for t in study.trials[:4]]
    again.enqueue_trial({"lam": 0.01})
    assert again.ask(SPACE).params["lam"] == 0.01
    assert [t.number for t in again.trials] == [0, 1, 2, 3, 4]


def test_only_what_is_new_is_written(storage: BaseStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    added: list[int] = []
    add = StudyCopy._add
    monkeypatch.setattr(StudyCopy, "_add", lambda self, t: (added.extend(x.number for x in t), add(self, t))[1])
    study = some_study()
    copy = StudyCopy(storage, "s", study)
    copy.update()
    copy.update()
    assert added == [0, 1, 2, 3]
    study.tell(4, 0.75)
    asked(study, 2, Outcome(0.5), Outcome(0.5))
    copy.update()
    assert added == [0, 1, 2, 3, 4, 5, 6]
    StudyCopy(storage, "s", study).update()  # of a process that goes on
    assert added == [0, 1, 2, 3, 4, 5, 6]
    assert len(content(storage, "s")) == 7


def test_a_failed_trial_that_was_tried_again(storage: BaseStorage) -> None:
    StudyCopy(storage, "s", some_study()).update()
    study, before = new_study("s", optuna.samplers.RandomSampler(seed=0), maximize=True), some_study()
    study.add_trials(before.trials[:2])
    asked(study, 3, Outcome(0.125), Outcome(0.375))
    StudyCopy(storage, "s", study).update()
    again = optuna.load_study(study_name="s", storage=storage)
    assert [t.value for t in again.trials] == [0.5, 0.25, 0.125, 0.375]
    assert [t.state for t in again.trials] == [TrialState.COMPLETE, TrialState.PRUNED, *[TrialState.COMPLETE] * 2]


def test_other_studies_are_left_alone(storage: BaseStorage) -> None:
    other = optuna.create_study(study_name="other", storage=storage)
    other.enqueue_trial({"x": 1})
    test_a_failed_trial_that_was_tried_again(storage)
    assert [t.state for t in optuna.load_study(study_name="other", storage=storage).trials] == [TrialState.WAITING]


class Killed(BaseException):
    """Stands for a kill -9."""


@pytest.mark.parametrize("n", [1, 3])
def test_a_kill_within_a_batch_leaves_none_of_it(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    storage, calls, study = RDBStorage("sqlite://"), [0], some_study()

    def counted(trial: Any) -> Any:
        calls[0] += 1
        if calls[0] == n:
            raise Killed
        return study_copy._params(trial)

    with monkeypatch.context() as patch:
        patch.setitem(study_copy._PARTS, study_copy.models.TrialParamModel, counted)
        with pytest.raises(Killed):
            StudyCopy(storage, "s", study).update()
    assert content(storage, "s") == []
    StudyCopy(storage, "s", study).update()
    assert len(content(storage, "s")) == 4
    storage.remove_session()
    storage.engine.dispose()


def test_a_study_that_somebody_has_removed_is_a_fault_and_is_made_again(tmp_path: Path) -> None:
    study = some_study()
    with opened(Address(str(tmp_path / "x.journal"))) as journal:
        copy = StudyCopy(journal, "s", study)
        optuna.delete_study(study_name="s", storage=journal)
        with pytest.raises(FAULTS, match="the study s cannot be gone on with"):
            copy.update()
        StudyCopy(journal, "s", study).update()
        assert len(content(journal, "s")) == 4


def test_a_line_that_a_kill_left_in_part_in_a_journal(tmp_path: Path) -> None:
    path, study = tmp_path / "x.log", some_study()
    with opened(Address(str(path))) as journal:
        StudyCopy(journal, "s", study).update()
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    with opened(Address(str(path))) as journal:
        assert len(content(journal, "s")) == 3
        StudyCopy(journal, "s", study).update()
        assert len(content(journal, "s")) == 4
    with opened(Address(str(path))) as journal:
        assert len(content(journal, "s")) == 4
