"""Which jobs train together, and how they are shared out over processes."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from entry_points import composed

from kls.config.settings import Settings
from kls.config.validation import validate
from kls.training.populations import groups, share_out
from kls.training.session import Job


@lru_cache
def settings(command: str = "") -> Settings:
    """Settings of a command whose overrides are separated by blanks."""
    return validate(composed("data=cifar10", *command.split()))


def job(number: int, command: str = "") -> Job:
    return Job(settings(command), Path("stage", str(number)))


def grouped(*commands: str) -> list[list[int]]:
    """Numbers of the jobs, group by group."""
    jobs = [job(number, command) for number, command in enumerate(commands)]
    return [[int(member.folder.name) for member in group] for group in groups(jobs)]


@pytest.mark.parametrize(
    "command",
    [
        "lam=0.1",
        "seed=0 order_seed=0",
        "seed=7 order_seed=0",
        "model.init.sigma=0.1",
        "model.init.scheme=xavier",
        "model.bn.momentum=0.7",
        "optimizer.schedule.eta_max=0.2",
        "optimizer.schedule.eta_max_factor=0.5",
        "optimizer.schedule.n_s=4500 optimizer.schedule.cycles=1",
        "optimizer.schedule.cycles=null optimizer.schedule.steps=9000",
        "optimizer.schedule.cycles=null optimizer.schedule.epochs=20",
        "optimizer=sgd_constant optimizer.schedule.epochs=null optimizer.schedule.steps=9000",
        "plots=false progress=false name=x threads=2 checkpoint_seconds=1 max_failures=1",
    ],
)
def test_members_of_one_population(command: str) -> None:
    assert grouped("", command, "lam=0.2") == [[0, 1, 2]]


@pytest.mark.parametrize(
    "command",
    [
        "seed=1",  # is also that of the order
        "order_seed=1",
        "model.hidden=[50,40]",
        "model=9layer_bn",
        "model.bn.enabled=false",
        "model.bn.placement=after",
        "model.bn.statistics=precise",
        "model.bn.epsilon=1e-5",
        "model.dropout=0.1",
        "model.label_smoothing=0.1",
        "batch_size=50",
        "dtype=float64",
        "optimizer=adam_cyclic",
        "optimizer.momentum=0.9",
        "optimizer.schedule.cycles=1",
        "data.split_seed=1",
        "data.n_train=1000",
        "data.root=/elsewhere",
        "data.augmentation.flip=0.5",
        "data.test_augmentation.share=0.5",
        "evaluation.test=false",
        "evaluation.every_steps=9",
        "ensemble.snapshots=1",
        "pruning.rule=median",
        "pruning.n_warmup=1",
    ],
)
def test_members_of_different_populations(command: str) -> None:
    assert grouped("", command, "lam=0.2", command) == [[0, 2], [1, 3]]


@pytest.mark.parametrize(
    "setting", ["ensemble.snapshots=1", "pruning.rule=halving", "pruning.rule=median pruning.at=epoch"]
)
def test_cycles_of_one_length_where_something_is_done_at_their_ends(setting: str) -> None:
    longer = "optimizer.schedule.n_s=4500 optimizer.schedule.cycles=1"
    assert grouped(setting, f"{setting} {longer}", f"{setting} lam=0.2") == [[0, 2], [1]]


def shared_out(sizes: list[int], processes: int, max_members: int) -> list[list[int]]:
    """Pieces of groups of so many jobs, which are numbered through."""
    jobs = [job(number) for number in range(sum(sizes))]
    starts = np.cumsum([0, *sizes])
    pieces = share_out([jobs[a:b] for a, b in pairwise(starts)], processes, max_members)
    return [[int(member.folder.name) for member in piece] for piece in pieces]


@pytest.mark.parametrize(
    ("sizes", "processes", "max_members", "pieces"),
    [
        ([6], 1, 40, [[0, 1, 2, 3, 4, 5]]),
        ([6], 2, 40, [[0, 2, 4], [1, 3, 5]]),
        ([5], 2, 40, [[0, 2, 4], [1, 3]]),
        ([2], 4, 40, [[0], [1]]),
        ([7], 1, 3, [[0, 3, 6], [1, 4], [2, 5]]),
        ([1, 5], 2, 40, [[1, 3, 5], [2, 4], [0]]),
        ([2, 2], 1, 40, [[0, 1], [2, 3]]),
        ([3], 8, 1, [[0], [1], [2]]),
        ([], 2, 40, []),
    ],
)
def test_pieces_are_even_and_the_largest_come_first(
    sizes: list[int], processes: int, max_members: int, pieces: list[list[int]]
) -> None:
    assert shared_out(sizes, processes, max_members) == pieces
