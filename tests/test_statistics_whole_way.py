"""Made-up runs of known truth, 1,000 experiments from records to verdicts: what holds, and what is called different.

A few records are written and read; then their rows are repeated with other settings, seeds and scores, and go through
the functions that every table and finding uses.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from made_up_runs import make_run

from kls.analysis.groups import group_runs
from kls.analysis.pivot import select
from kls.analysis.runs import Runs, read_runs
from kls.analysis.statistics import difference
from kls.records import names

EXPERIMENTS, SEEDS = 1000, 5
NOISE, SEED = 0.005, 0.003  # standard deviations of a run, and of what a seed changes in all runs with it
DIFFERENCE = 0.01
SIDE = "optimizer.momentum"
LAMS = (0.001, 0.003, 0.01, 0.03)
METHODS = pytest.mark.parametrize("method", ["paired by seed", "Welch"])


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """One finished, one diverged and one pruned run."""
    folder = tmp_path_factory.mktemp("runs")
    make_run(folder / "0", 0.5)
    make_run(folder / "1", 0.1, status=names.DIVERGED)
    make_run(folder / "2", 0.9, status=names.PRUNED)
    runs = read_runs([folder])
    assert runs.warnings == []
    return runs


def repeated(read: Runs, **columns: Any) -> Runs:
    """Finished runs with these values, and for each twentieth one a pruned run of another seed."""
    n = len(columns["seed"])
    frame = read.frame.iloc[np.r_[np.zeros(n, np.int64), np.full(n // 20, 2)]].reset_index(drop=True)
    for key, values in columns.items():
        frame[key] = np.r_[values, values[: 20 * (n // 20) : 20]].astype(object)
    pruned = frame.index >= n
    frame.loc[pruned, "seed"], frame.loc[pruned, names.VAL_ACCURACY] = -1, 0.9
    return replace(read, frame=frame.assign(order_seed=frame["seed"]))


def share_called(times: int) -> float:
    """5 %, and two standard deviations of a simulation of so many experiments."""
    return 0.05 + 2.0 * math.sqrt(0.05 * 0.95 / times)


@METHODS
def test_intervals_hold_the_truth_and_equal_means_are_called_different_in_5_percent(read: Runs, method: str) -> None:
    """A table of 10,000 runs: at each of 1,000 lambdas five seeds with momentum and five without."""
    draw = np.random.default_rng(0)
    experiment, side, seed = (axis.ravel() for axis in np.indices((EXPERIMENTS, 2, SEEDS)))
    if method == "Welch":
        seed = seed + SEEDS * side
    own = SEED * draw.standard_normal((EXPERIMENTS, 2 * SEEDS))[experiment, seed]
    scores = 0.54 + DIFFERENCE * side + own + NOISE * draw.standard_normal(experiment.size)
    lams, momenta = 1e-6 * (experiment + 1.0), 0.9 * side
    groups = group_runs(repeated(read, lam=lams, seed=seed, val_accuracy=scores, **{SIDE: momenta}))
    table = groups.table
    assert (len(table), set(table["val_accuracy_n"])) == (2 * EXPERIMENTS, {SEEDS})
    assert table["n_pruned"].sum() == 500
    truth = 0.54 + DIFFERENCE * (table[SIDE] > 0.0)
    assert 0.93 <= ((table["val_accuracy_low"] <= truth) & (truth <= table["val_accuracy_high"])).mean() <= 0.97

    holds, called = [], []
    for _, pair in table.sort_values(["lam", SIDE]).groupby("lam"):
        without, having = (groups.samples(i).values for i in pair.index)
        found = difference(having, without)
        assert found.method == method
        holds.append(found.interval.holds(DIFFERENCE))
        called.append(difference(having - DIFFERENCE, without).p < 0.05)
    assert len(holds) == EXPERIMENTS
    assert 0.93 <= np.mean(holds) <= 0.97
    assert np.mean(called) <= share_called(EXPERIMENTS)


def ties(read: Runs, method: str, truth: tuple[float, ...], times: int) -> np.ndarray:
    """Which of four lambdas are tied with the best one, (times, 4) bool; each has five seeds."""
    draw, found = np.random.default_rng(1), []
    group, seed = (axis.ravel() for axis in np.indices((len(LAMS), SEEDS)))
    if method == "Welch":
        seed = seed + SEEDS * group
    for _ in range(times):
        own = SEED * draw.standard_normal(seed.max() + 1)[seed]
        scores = np.take(truth, group) + own + NOISE * draw.standard_normal(group.size)
        groups = group_runs(repeated(read, lam=np.take(LAMS, group), seed=seed, val_accuracy=scores))
        table = groups.ties.set_index(groups.table["lam"])
        found.append([bool(table.at[lam, "tied"]) for lam in LAMS])
    return np.array(found)


def equal_groups_are_tied(read: Runs, method: str, times: int) -> None:
    assert 1.0 - ties(read, method, (0.54,) * 4, times).all(axis=1).mean() <= share_called(times)


def the_best_is_tied_and_the_worst_is_not(read: Runs, method: str, times: int) -> None:
    tied = ties(read, method, (0.54, 0.53, 0.535, 0.48), times)
    assert tied[:, 0].mean() >= 0.95
    assert tied[:, 3].mean() <= 0.02


@METHODS
def test_ties_with_the_best(read: Runs, method: str) -> None:
    equal_groups_are_tied(read, method, 50)
    the_best_is_tied_and_the_worst_is_not(read, method, 20)


@pytest.mark.slow
@METHODS
def test_ties_with_the_best_in_1000_experiments(read: Runs, method: str) -> None:
    equal_groups_are_tied(read, method, EXPERIMENTS)
    the_best_is_tied_and_the_worst_is_not(read, method, 200)


def test_a_sample_is_the_same_by_group_and_by_name(read: Runs) -> None:
    """What a finding selects, it takes from the same group as the tables; a diverged run is a guess in its mean."""
    scores = np.array([0.5, 0.52, 0.54, 0.5, 0.51, 0.53])
    runs = repeated(read, lam=np.repeat([0.1, 0.01], 3), seed=np.tile([0, 1, 2], 2), val_accuracy=scores)
    chosen, groups = select(runs, {"lam": 0.1}, names.VAL_ACCURACY), group_runs(runs)
    place = groups.table.index[groups.table["lam"] == 0.1][0]
    assert chosen.values.equals(groups.samples(place).values)
    assert chosen.mean == pytest.approx(0.52)
    other = select(runs, {"lam": 0.01}, names.VAL_ACCURACY)
    found = difference(chosen.values, other.values)
    # pairs differ by 0, 0.01 and 0.01: 4.302652729749462 * 0.01 / 3 each way
    assert (found.interval.centre, found.interval.high) == pytest.approx((0.02 / 3, 0.02 / 3 + 0.01434217576583154))

    frame = runs.frame.copy()
    frame.loc[0, names.STATUS], frame.loc[0, names.VAL_ACCURACY] = read.frame.loc[1, [names.STATUS, names.VAL_ACCURACY]]
    diverged = select(replace(runs, frame=frame), {"lam": 0.1}, names.VAL_ACCURACY)
    assert diverged.values.tolist() == [0.1, 0.52, 0.54]
