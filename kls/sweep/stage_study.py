"""One stage as a study of Optuna: trials are asked for in batches, evaluated, and told what came of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import TrialState

ENDED = (TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED)


@dataclass(frozen=True)
class Outcome:
    """What came of a trial.

    score: in the objective's units, the mean over its seeds; None where a run failed. pruned: the score is that of the
    moment at which a run was dropped. by_epoch: the mean scores at whole epochs. facts: what else is to be known, as
    JSON has it; the seeds and the score of each among it.
    """

    score: float | None
    pruned: bool = False
    by_epoch: Mapping[int, float] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> TrialState:
        if self.score is None:
            return TrialState.FAIL
        return TrialState.PRUNED if self.pruned else TrialState.COMPLETE


Evaluate = Callable[[Sequence[optuna.Trial]], Sequence[Outcome]]


def new_study(name: str, sampler: optuna.samplers.BaseSampler, maximize: bool) -> optuna.Study:
    """A study in memory."""
    return optuna.create_study(
        study_name=name,
        storage=optuna.storages.InMemoryStorage(),
        sampler=sampler,
        direction="maximize" if maximize else "minimize",
    )


def search(
    study: optuna.Study, space: Mapping[str, BaseDistribution], n_trials: int, batch: int, evaluate: Evaluate
) -> None:
    """Go on until so many trials have ended; those that wait are taken up first."""
    done = len(study.get_trials(deepcopy=False, states=ENDED))
    while done < n_trials:
        n = min(batch - done % batch, n_trials - done)
        trials = [study.ask(dict(space)) for _ in range(n)]
        for trial, outcome in zip(trials, evaluate(trials), strict=True):
            tell(study, trial, outcome)
        done += n


def tell(study: optuna.Study, trial: optuna.Trial, outcome: Outcome) -> None:
    for epoch, score in outcome.by_epoch.items():
        trial.report(score, epoch)
    for key, value in outcome.facts.items():
        trial.set_user_attr(key, value)
    complete = outcome.state == TrialState.COMPLETE
    study.tell(trial, outcome.score if complete else None, outcome.state)
