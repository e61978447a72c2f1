"""The rules of pruning, against those of Optuna for a trial that reports when all others have."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import optuna
import pytest
from numpy.typing import NDArray
from optuna.trial import TrialState, create_trial

from kls.training.pruning import behind_median, behind_top_share

Array = NDArray[np.float64]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


def curves(seed: int, members: int, evaluations: int, decimals: int) -> Array:
    """Noisy learning curves (K, E); rounded coarsely there are ties."""
    rng = np.random.default_rng(seed)
    quality = rng.uniform(0.2, 0.6, (members, 1))
    rise = 1.0 - np.exp(-np.arange(1, evaluations + 1) / 2.0)
    return np.round(quality * rise + 0.05 * rng.standard_normal((members, evaluations)), decimals)


def median_of_optuna(reports: Array, n_startup: int, n_warmup: int) -> list[bool]:
    """Optuna's verdict on each member, with the others complete; evaluation e is its step e - 1."""
    pruner = optuna.pruners.MedianPruner(n_startup_trials=n_startup, n_warmup_steps=n_warmup)
    verdicts = []
    for k, mine in enumerate(reports):
        study = optuna.create_study(direction="maximize", pruner=pruner)
        for other in np.delete(reports, k, axis=0):
            values = dict(enumerate(map(float, other)))
            study.add_trial(create_trial(state=TrialState.COMPLETE, value=1.0, intermediate_values=values))
        trial = study.ask()
        for step, value in enumerate(mine):
            trial.report(float(value), step)
        verdicts.append(trial.should_prune())
    return verdicts


def halving_of_optuna(curves_so_far: list[Array], min_resource: int, factor: int) -> list[bool]:
    """Optuna's verdict on each member, when it is the last to report at each step; evaluation e is its step e.

    curves_so_far: for each evaluation the scores of those still there, (K_e,), the members of the last one first.
    """
    members = len(curves_so_far[-1])
    verdicts = []
    for k in range(members):
        pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=min_resource, reduction_factor=factor)
        study = optuna.create_study(direction="maximize", pruner=pruner)
        trials = [study.ask() for _ in curves_so_far[0]]
        verdict = False
        for step, scores in enumerate(curves_so_far, 1):
            for i in [*(i for i in range(len(scores)) if i != k), k]:
                trials[i].report(float(scores[i]), step)
                verdict = trials[i].should_prune()
        verdicts.append(verdict)
    return verdicts


@pytest.mark.parametrize("decimals", [1, 6])
@pytest.mark.parametrize(("members", "n_startup", "n_warmup"), [(9, 5, 0), (6, 5, 1), (6, 6, 0), (2, 0, 0), (1, 0, 0)])
def test_the_median_rule_is_that_of_optuna(members: int, n_startup: int, n_warmup: int, decimals: int) -> None:
    found = []
    for seed in range(5):
        reports = curves(seed, members, 4, decimals)
        for e in range(1, 5):
            behind = behind_median(reports[:, :e], n_startup, n_warmup)
            assert behind.tolist() == median_of_optuna(reports[:, :e], n_startup, n_warmup)
            found.append((e, behind.any()))
    assert any(dropped for _, dropped in found) == (1 < members > n_startup)
    assert not any(dropped for e, dropped in found if e <= n_warmup)


@pytest.mark.parametrize("decimals", [1, 6])
@pytest.mark.parametrize(
    ("members", "min_resource", "factor"), [(12, 1, 2), (12, 1, 4), (9, 2, 3), (3, 1, 4), (2, 1, 2), (1, 1, 2)]
)
def test_the_halving_rule_is_that_of_optuna(members: int, min_resource: int, factor: int, decimals: int) -> None:
    """In the course of a whole training: those that are dropped are not among the later reports."""
    rungs = {min_resource * factor**n for n in range(4)}
    for seed in range(3):
        reports = curves(seed, members, 8, decimals)
        history: list[Array] = []
        for e in range(1, 9):
            history.append(reports[:, e - 1])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                expected = halving_of_optuna(history, min_resource, factor)
            behind = behind_top_share(reports[:, :e], min_resource, factor)
            assert behind.tolist() == expected, (seed, e)
            assert e in rungs or not behind.any()
            if decimals > 1 and e in rungs:
                assert (~behind).sum() == max(len(reports) // factor, 1)
            order = np.argsort(behind, kind="stable")  # those that go on first
            reports = reports[order][: (~behind).sum()]
            history = [np.concatenate([h[: len(behind)][order], h[len(behind) :]]) for h in history]


def test_halving_by_hand() -> None:
    reports = np.array([[0.5], [0.3], [0.4], [0.4], [0.1]])
    assert behind_top_share(reports, 1, 2).tolist() == [False, True, False, False, True]
    assert behind_top_share(reports, 1, 5).tolist() == [False, True, True, True, True]
    assert not behind_top_share(reports, 2, 2).any()


def test_the_median_rule_by_hand() -> None:
    """Others of the first: 0.3, 0.4 and 0.9, median 0.4. Its best so far, not its last score, is compared with it."""
    reports = np.array([[0.4, 0.1], [0.0, 0.3], [0.2, 0.4], [0.5, 0.9]])
    assert behind_median(reports, 3, 0).tolist() == [False, True, False, False]
    assert not behind_median(reports, 4, 0).any()
    assert not behind_median(reports, 3, 2).any()
