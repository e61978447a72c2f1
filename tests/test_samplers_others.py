"""Samplers of other packages: checked before they are made, and going on after a stop as they would have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.samplers import RandomSampler
from optuna.trial import TrialState
from test_samplers import SPACE, draw, params_of, score, stage_with, whole

from kls.errors import UserError
from kls.records import names
from kls.sweep.other_samplers import Replayed
from kls.sweep.samplers import sampler_of
from kls.sweep.trial_storage import TrialRecord

ANNEALING = {"_target_": "small_samplers.Annealing"}
NONE = "is no class that derives from optuna.samplers.BaseSampler"


@pytest.mark.parametrize(
    ("sampler", "line"),
    [
        ({"_target_": "small_samplers.NoSampler"}, f"small_samplers.NoSampler: {NONE}"),
        ({"_target_": "small_samplers.Nothing"}, f"small_samplers.Nothing: {NONE}"),
        ({"_target_": "small_samplers.BaseSampler"}, f"small_samplers.BaseSampler: {NONE}"),
        ({"_target_": "small_samplers.np"}, f"small_samplers.np: {NONE}"),
        ({"_target_": "os.system", "command": "touch ran"}, f"os.system: {NONE}"),
        ({"_target_": "no_such.Sampler"}, "no_such.Sampler needs the package no_such: pip install no_such"),
        ({"_target_": "kls.nothing.Sampler"}, "kls.nothing.Sampler: there is no module kls.nothing"),
        (ANNEALING | {"step": 1}, "small_samplers.Annealing: got an unexpected keyword argument 'step'; it takes"),
        ({"_target_": "small_samplers.Passing"}, "small_samplers.Passing: missing a required argument: 'other'; it ta"),
        (
            {"_target_": "small_samplers.Passing", "other": ANNEALING | {"step": 1}},
            "small_samplers.Annealing: got an unexpected keyword argument 'step'",
        ),
        (
            {"_target_": "small_samplers.Picky"},
            "small_samplers.Picky: cannot be made: ImportError: Tried to import 'botorch' but failed",
        ),
    ],
)
def test_mistakes_are_told_in_a_line(sampler: dict[str, Any], line: str) -> None:
    stage = stage_with(sampler)  # which imports nothing
    with pytest.raises(UserError) as caught:
        sampler_of(stage)
    assert str(caught.value).startswith(f"stage coarse: {line}")
    assert len(str(caught.value).splitlines()) == 1


def test_a_definition_alone_imports_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "from pathlib import Path\nPath(__file__).with_name('ran').touch()\nraise OSError('no\\nway')\n"
    (tmp_path / "pay.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    stage = stage_with({"_target_": "pay.Run"})
    assert stage.learns
    assert not (tmp_path / "ran").exists()
    with pytest.raises(UserError, match=r"^stage coarse: pay\.Run: pay cannot be imported: OSError: no way$"):
        sampler_of(stage)
    assert (tmp_path / "ran").exists()  # which the module makes


def test_it_is_seeded_by_the_stage() -> None:
    first, again, other = (whole(sampler_of(stage_with(ANNEALING, seed=seed))) for seed in (3, 3, 4))
    assert first == again
    assert all(a["lam"] != b["lam"] for a, b in zip(first, other, strict=True))


def test_arguments_reach_it() -> None:
    still, moving = (whole(sampler_of(stage_with(ANNEALING | {"first": first}))) for first in (0.0, 1.0))
    assert still[:5] == moving[:5]
    assert len({point["lam"] for point in still[5:10]}) == 1
    assert len({point["lam"] for point in moving[5:10]}) == 5


def test_it_draws_as_it_would_in_a_loop_of_optuna() -> None:
    def objective(trial: optuna.Trial) -> float:
        for name, distribution in SPACE.items():
            trial._suggest(name, distribution)
        return score(trial.params)

    from small_samplers import Annealing

    own = optuna.create_study(direction="maximize", sampler=Annealing(seed=3))
    own.optimize(objective, n_trials=20)
    assert params_of(own) == whole(sampler_of(stage_with(ANNEALING)), (1,) * 20)


def test_what_a_record_holds_is_enough_to_go_on(tmp_path: Path) -> None:
    """The whole way of a resumed sweep: trials are written, read back into a new study, and some wait to be run."""
    stopped = optuna.create_study(direction="maximize")
    draw(stopped, sampler_of(stage_with(ANNEALING)), (5, 5))
    assert [trial.system_attrs[names.TOLD] for trial in stopped.trials] == [0] * 5 + [5] * 5
    again = optuna.create_study(direction="maximize")
    TrialRecord(tmp_path, stopped).write()
    TrialRecord(tmp_path, again).restore(lambda number: None)  # no runs are there: all wait
    assert {trial.state for trial in again.trials} == {TrialState.WAITING}
    draw(again, sampler_of(stage_with(ANNEALING)), (5, 5, 5, 5))
    assert params_of(again) == whole(sampler_of(stage_with(ANNEALING)))


def test_pruned_and_failed_trials_are_played_again() -> None:
    def run(pieces: int) -> list[dict[str, Any]]:
        study = optuna.create_study(direction="maximize", sampler=sampler_of(stage_with(ANNEALING)))
        for i in range(12):
            if i % 4 == 0 and pieces > 1:
                study.sampler = sampler_of(stage_with(ANNEALING))
            trial = study.ask(SPACE)
            trial.report(score(trial.params), 1)
            state = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)[i % 3]
            study.tell(trial, score(trial.params) if i % 3 == 0 else None, state)
        return params_of(study)

    assert run(1) == run(3)


def test_one_that_cannot_be_played_again_is_told_what_was_tried() -> None:
    known: list[list[float]] = []

    class Forgetful(RandomSampler):
        def before_trial(self, study: Any, trial: Any) -> None:
            known.append([t.params["lam"] for t in study.trials[:-1]])

    study = optuna.create_study(direction="maximize")
    draw(study, Replayed(Forgetful), (1,) * 4)
    draw(study, Replayed(Forgetful), (1,))
    assert known[-1] == [point["lam"] for point in params_of(study)[:4]]
    assert known[-1] == known[3] + [params_of(study)[3]["lam"]]
