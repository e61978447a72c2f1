"""What would not fit into the memory or on the disk is refused before it is begun, with the size it would take."""

from __future__ import annotations

import tracemalloc
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from entry_points import composed

from kls.config import build, limits
from kls.config.settings import Settings
from kls.config.validation import validate
from kls.core.batches import Batches
from kls.core.evaluation import evaluate
from kls.core.population import Population
from kls.errors import UserError
from kls.records import memory

GIB = 2**30


def settings(*overrides: str) -> Settings:
    return validate(composed(*overrides))


@pytest.fixture
def four_gib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "memory_limit", lambda: 4 * GIB)
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(limits.shutil, "disk_usage", lambda _: usage(4 * GIB))


@pytest.mark.parametrize(
    ("overrides", "runs", "processes", "message"),
    [
        (
            ("model.hidden=[100000,100000]",), 1, 1,
            "training a network of 3 layers and 10,308,600,010 parameters for 9,000 steps would take about 232.4 GiB "
            "of memory; there are 4 GiB",
        ),
        (
            ("optimizer.schedule.cycles=null", "optimizer.schedule.steps=100000000"), 2, 1,
            "training 2 networks of 3 layers and 156,810 parameters for 100,000,000 steps would take about 5.961 GiB "
            "of memory; there are 4 GiB; hydra.launcher.max_members=1 takes less",
        ),
        (
            ("data.projection=0.99",), 4, 8,
            "training a network of 3 layers and 156,810 parameters for 9,000 steps, in each of 4 processes, would take "
            "about 4.48 GiB of memory; there are 4 GiB",
        ),
    ],
)  # fmt: skip
def test_trainings_that_do_not_fit(
    overrides: tuple[str, ...], runs: int, processes: int, message: str, four_gib: None
) -> None:
    with pytest.raises(UserError) as caught:
        limits.require_training(settings(*overrides), runs, processes, max_members=40)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "overrides", [(), ("model=7layer_wider_bn",), ("data.projection=0.99",), ("dtype=float64", "optimizer=adam_cyclic")]
)
def test_trainings_that_fit(overrides: tuple[str, ...], four_gib: None) -> None:
    limits.require_training(settings(*overrides), 40, max_members=10)


def test_files_that_do_not_fit(four_gib: None, tmp_path: Path) -> None:
    small, large = settings("model=3layer"), settings("model.hidden=[10000,10000]", "optimizer=adam_cyclic")
    folder = tmp_path / "not" / "yet"
    limits.require_runs(folder, [(small, 1000)])
    with pytest.raises(UserError) as caught:
        limits.require_runs(folder, [(small, 10), (large, 5)])
    assert str(caught.value) == (
        f"the files of 15 runs would take about 17.09 GiB on the disk of {folder}; 4 GiB are free"
    )
    assert not folder.exists()


def test_the_limit_is_the_smallest_of_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    group, none = tmp_path / "limit", tmp_path / "max"
    none.write_text("max\n")
    monkeypatch.setattr(memory, "_CGROUPS", (str(none), str(group)))
    physical = limits.memory_limit()
    assert physical is not None
    group.write_text("1048576\n")
    assert limits.memory_limit() == 2**20
    group.write_text("9223372036854771712\n")
    assert limits.memory_limit() == physical
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (4096, 4096))
    assert limits.memory_limit() == 4096


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (2048, "2 KiB"), (5 * GIB // 2, "2.5 GiB"), (2**93, "8192 YiB")],
)
def test_sizes(size: int, text: str) -> None:
    assert limits.readable(size) == text


@pytest.mark.parametrize(
    ("overrides", "members"),
    [
        (("model.hidden=[400,300]",), 3),
        (("model.hidden=[1500]", "optimizer=adam_cyclic", "dtype=float64"), 1),
        (("model.hidden=[30,30]", "batch_size=2000", "model.dropout=0.2"), 4),
        (("model.hidden=[50]", "model.bn.statistics=precise", "model.bn.precise_batches=10000"), 2),
        (("model=3layer", "optimizer.schedule.n_s=100000"), 3),
    ],
)
def test_estimates_are_near_what_is_allocated(overrides: tuple[str, ...], members: int) -> None:
    wanted = settings(*overrides)
    x, q = np.zeros((4000, 3072), wanted.dtype), np.zeros((4000, 10), wanted.dtype)
    inputs: Any = SimpleNamespace(preparation=SimpleNamespace(n_inputs=3072), class_names=range(10), n_raw=3072)
    tracemalloc.start()
    feed = Batches(x, q, wanted.batch_size, 0)
    members_ = [build.member(wanted, wanted.steps_of(45_000)) for _ in range(members)]
    population = Population(build.architecture(wanted, inputs), members_, wanted.optimizer.make, feed)
    population.advance(2)
    evaluate(population.network, x[:1000], np.zeros(1000, np.intp), population.lam)
    states = [population.member_state(i) for i in range(members)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(states) == members
    assert 0.8 < limits._network(wanted, members) / peak < 2.0


@pytest.mark.parametrize("model", ["3layer_bn", "9layer"])
def test_members_that_fit_into_a_task(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as the check of a whole machine with so much memory allows, and no more."""
    own, size = settings(f"model={model}"), 2 * GIB
    monkeypatch.setattr(limits, "memory_limit", lambda: size)
    n = limits.members_in(size, own, 10_000)
    assert 1 < n < 10_000
    limits.require_training(own, n, max_members=n)
    with pytest.raises(UserError):
        limits.require_training(own, n + 1, max_members=n + 1)
    assert limits.members_in(size, own, 7) == 7
    with pytest.raises(UserError, match=r"hydra.launcher.memory: training one network takes about .*, more than 1 MiB"):
        limits.members_in(2**20, own, 7)
