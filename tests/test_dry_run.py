"""dry_run=true: a table of what would run, an estimate of the time, and nothing else."""

# ruff: noqa: E501

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from entry_points import composed
from small_sweeps import TINY, stages_argument, sweep_in

from kls.config.settings import Settings
from kls.config.validation import validate
from kls.sweep import dry_run
from kls.sweep.dry_run import estimated_seconds

STAGES = stages_argument(
    "name:coarse,sampler:random,trials:20,params:{lam:{low:1e-5,high:0.1,scale:log}},"
    "budget:['optimizer.schedule.cycles=2','batch_size=20']",
    "name:fine,sampler:{_target_:optuna.samplers.TPESampler},trials:7,"
    "params:{lam:{narrow:{from:coarse,rule:range_of_best,k:5,widen:3},scale:log}}",
    "name:around,sampler:tpe,trials:3,params:{lam:{narrow:{from:coarse,rule:around_best,factor:2.5}}}",
    "name:steps,params:{lam:{narrow:{from:fine,rule:neighbours_of_best},steps:4},model:{values:[3layer,9layer]}}",
    "name:confirm,confirm:{from:steps,best:2,seeds:3}",
)
TABLE = """\
stage    trials       sampler     searched                                        budget                        about
-------  -----------  ----------  ----------------------------------------------  ----------------------------  ----------
coarse   20           random      lam: [1e-05, 0.1], log                          optimizer.schedule.cycles=2,  1 min 40 s
                                                                                  batch_size=20
fine     7            TPESampler  lam: range of the 5 best of coarse, log         -                             40 s
around   3            tpe         lam: the best / and * 2.5 of coarse, linear     -                             20 s
steps    8            grid        lam: neighbours of the best of fine, linear, 4  -                             40 s
                                  steps; model: 3layer, 9layer
confirm  2 x 3 seeds  confirm     the 2 best of steps                             -                             30 s
44 runs, about 3 min 50 s with 2 processes, measured from a few steps of each stage trained as populations; \
nothing was run
"""


@pytest.fixture
def estimates(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Settings, int]]:
    """What is estimated: settings and members of each population; ten seconds for one member, on two processes."""
    asked: list[tuple[Settings, int]] = []

    def ten_seconds(settings: Settings, members: int) -> float:
        asked.append((settings, members))
        return 10.0 * members

    monkeypatch.setattr(dry_run, "estimated_seconds", ten_seconds)
    monkeypatch.setattr(dry_run, "cpu_count", lambda: 2)
    return asked


def test_the_table(estimates: list[tuple[Settings, int]], cifar_root: Path, tmp_path: Path) -> None:
    outcome = sweep_in(tmp_path, *TINY, STAGES, "dry_run=true")
    assert (outcome.err, outcome.status) == ("", 0)
    assert outcome.out == TABLE
    assert list(tmp_path.iterdir()) == []
    assert [members for _, members in estimates] == [10, 4, 2, 4, 3]
    assert [settings.batch_size for settings, _ in estimates] == [20, 50, 50, 50, 50]
    assert [settings.optimizer.schedule.model_dump()["cycles"] for settings, _ in estimates] == [2, 1, 1, 1, 1]
    assert [settings.evaluation.test for settings, _ in estimates] == [False] * 4 + [True]


def test_an_ad_hoc_grid(estimates: list[tuple[Settings, int]], cifar_root: Path, tmp_path: Path) -> None:
    outcome = sweep_in(tmp_path, *TINY, "lam=0.1,1e-3", "model.hidden=[10],[8,5]", "dry_run=true")
    assert outcome.out.splitlines()[2].split("  ")[0] == "grid"
    assert "lam: 0.1, 0.001; model.hidden: [10], [8,5]" in outcome.out
    assert list(tmp_path.iterdir()) == []


def test_no_more_members_than_train_together(
    estimates: list[tuple[Settings, int]], cifar_root: Path, tmp_path: Path
) -> None:
    outcome = sweep_in(tmp_path, *TINY, "seed=range(1000)", "dry_run=true")
    assert [members for _, members in estimates] == [40]
    assert "1000 runs, about 86 min 40 s with 2 processes" in outcome.out  # 13 rounds of 400 s
    assert "seed: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, ..." in outcome.out


def test_data_that_are_not_there_are_not_fetched(tmp_path: Path) -> None:
    root = tmp_path / "data"
    outcome = sweep_in(tmp_path, *TINY, f"data.root={root}", "data.download=true", "lam=0.1,0.2", "dry_run=true")
    assert (outcome.err, outcome.status) == ("", 0)
    told = f"2 runs; their time is not known: CIFAR-10 is not in {root} and downloading is off: put "
    assert outcome.out.splitlines()[-1].startswith(told)
    assert outcome.out.endswith("; nothing was run\n")


def test_a_real_estimate(cifar_root: Path, tmp_path: Path) -> None:
    outcome = sweep_in(tmp_path, *TINY, "lam=0.1,0.2", "dry_run=true")
    assert (outcome.err, outcome.status) == ("", 0)
    assert re.match(r"2 runs, about \d s with ", outcome.out.splitlines()[-1])
    assert outcome.out.endswith("; nothing was run\n")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Seconds that the next pieces of work seem to take; the work itself is done."""
    seconds: list[float] = []

    def measured(work: Callable[[], object]) -> float:
        work()
        return seconds.pop(0)

    monkeypatch.setattr(dry_run, "_timed", measured)
    yield seconds
    assert seconds == []


def settings(*overrides: str) -> Settings:
    return validate(composed(*TINY, "model.hidden=[5]", *overrides))


@pytest.mark.parametrize(
    ("overrides", "steps_measured", "steps", "pictures"),
    [
        # 2 cycles of 2 x 600 steps; a row every 6 steps and at the start, of 200 training and 200 validation pictures;
        # at the end 600 + 200 + 200 test pictures
        (("optimizer.schedule.n_s=600", "optimizer.schedule.cycles=2"), 40, 2400, 401 * 400 + 1000),
        (("optimizer.schedule.n_s=6", "evaluation.test=false"), 12, 12, 3 * 400 + 800),
        # 12 steps an epoch; rows are measured on at most the 600 training pictures
        (
            ("optimizer.schedule.n_s=60", "evaluation.every_steps=null", "evaluation.n_train=5000"),
            40,
            120,
            11 * 800 + 1000,
        ),
    ],
)
def test_estimates(
    overrides: tuple[str, ...], steps_measured: int, steps: int, pictures: int, clock: list[float], cifar_root: Path
) -> None:
    clock += [0.5 * steps_measured, 0.25 * 200]  # of the steps, and of an evaluation of 200 pictures
    assert estimated_seconds(settings(*overrides), 3) == pytest.approx(0.5 * steps + 0.25 * pictures, rel=1e-12)


def test_the_estimate_of_a_population_that_diverges_at_once(clock: list[float], cifar_root: Path) -> None:
    clock += [20.0]
    diverging = settings("model=3layer", "optimizer.schedule.eta_min=1e8", "optimizer.schedule.eta_max=1e8")
    assert estimated_seconds(diverging, 2) == 20.0
