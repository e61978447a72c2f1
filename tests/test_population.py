"""A population gives every member what it gets alone; members may leave; a training can be taken up again."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import (
    OPTIMIZERS,
    State,
    assert_same_state,
    largest_difference,
    toy_architecture,
    toy_batches,
    toy_members,
    toy_pictures,
    trained_hash,
)

import kls
from kls.core.architecture import Architecture
from kls.core.evaluation import evaluate
from kls.core.population import Member, Population

TOLERANCE = 1e-10
STEPS = 100

ARCHITECTURES = {
    "plain": {},
    "dropout": {"dropout": (0.3, 0.2)},
    "bn before, ema": {"bn": "before"},
    "bn before, precise, dropout": {"bn": "before", "bn_statistics": "precise", "dropout": (0.0, 0.4)},
    "bn after, ema, dropout": {"bn": "after", "dropout": (0.3, 0.0)},
    "bn after, adaptive": {"bn": "after", "bn_statistics": "adaptive"},
}


def made(architecture: Architecture, members: list[Member], optimizer: str, augment: bool = False) -> Population:
    return Population(architecture, members, OPTIMIZERS[optimizer], toy_batches(architecture.dtype, augment))


def solo_states(architecture: Architecture, members: list[Member], optimizer: str, **changes: Any) -> list[State]:
    """Each member's state after a training of its own."""
    states = []
    for member in members:
        alone = made(architecture, [member], optimizer, **changes)
        assert alone.advance(STEPS) == []
        states.append(alone.member_state(0))
    return states


@pytest.mark.parametrize(("k", "augment"), [(8, False), (8, True), (2, False)])
@pytest.mark.parametrize("kind", ARCHITECTURES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_members_get_the_result_of_their_solo_runs(optimizer: str, kind: str, k: int, augment: bool) -> None:
    architecture = toy_architecture(**ARCHITECTURES[kind])
    members = toy_members(k, STEPS, optimizer)
    together = made(architecture, members, optimizer, augment)
    start = [together.member_state(i) for i in range(k)]
    assert together.advance(STEPS) == []
    expected = solo_states(architecture, members, optimizer, augment=augment)
    for i in range(k):
        state = together.member_state(i)
        assert largest_difference(state, expected[i]) < TOLERANCE
        assert np.abs(state["W1"] - start[i]["W1"]).max() > 1e-3
    finals = [together.member_state(i)["W3"] for i in range(k)]
    assert all(np.abs(a - b).max() > 1e-3 for a, b in pairwise(finals))


def test_solo_and_population_accuracies_agree_in_float32() -> None:
    architecture = toy_architecture(bn="before", dropout=(0.1, 0.1), dtype=np.dtype(np.float32))
    members = toy_members(8, 300, "sgd")
    x, labels = toy_pictures(4000, seed=5)
    x = x.astype(np.float32)
    together = made(architecture, members, "sgd")
    together.advance(300)
    accuracies = evaluate(together.network, x, labels, together.lam).accuracy
    assert accuracies.min() > 0.7
    for i, member in enumerate(members):
        alone = made(architecture, [member], "sgd")
        alone.advance(300)
        accuracy = evaluate(alone.network, x, labels, alone.lam).accuracy[0]
        assert accuracies[i] == pytest.approx(accuracy, abs=0.002)


@pytest.mark.parametrize("kind", ARCHITECTURES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_rest_goes_on_unchanged_when_members_are_dropped(optimizer: str, kind: str) -> None:
    architecture = toy_architecture(**ARCHITECTURES[kind])
    members = toy_members(8, STEPS, optimizer)
    undisturbed, population = made(architecture, members, optimizer), made(architecture, members, optimizer)
    undisturbed.advance(STEPS)
    population.advance(33)
    population.drop([0, 3, 4])
    assert population.ids == [1, 2, 5, 6, 7]
    population.advance(57)
    population.drop([7])
    population.advance(80)
    population.drop([1, 2, 6])
    assert population.ids == [5]
    assert population.advance(STEPS) == []
    assert largest_difference(population.member_state(5), undisturbed.member_state(5)) < TOLERANCE


@pytest.mark.parametrize("statistics", ["ema", "precise"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_dropping_leaves_the_kept_members_as_they_are(optimizer: str, statistics: str) -> None:
    architecture = toy_architecture(bn="after", bn_statistics=statistics)
    population = made(architecture, toy_members(4, STEPS, optimizer), optimizer)
    population.advance(25)
    before = [population.member_state(i) for i in range(4)]
    population.drop([0, 2])
    for i in (1, 3):
        assert_same_state(population.member_state(i), before[i])
    assert population.network.n_members == 2
    x, _ = toy_pictures(6)
    assert population.network.logits(x).shape == (6, 2, 5)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["plain", "bn before, ema", "bn after, ema, dropout"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_diverging_member_leaves_and_is_reported(optimizer: str, kind: str, dtype: type) -> None:
    architecture = toy_architecture(**ARCHITECTURES[kind], dtype=np.dtype(dtype))
    members = toy_members(4, STEPS, optimizer)
    members[2] = replace(members[2], rates=np.full(STEPS, np.finfo(dtype).max / 1e6))
    population = made(architecture, members, optimizer)
    diverged: list[int] = []
    while population.step < STEPS:
        diverged += population.advance(population.step + 1)
        assert population.ids == ([0, 1, 3] if diverged else [0, 1, 2, 3])
    assert diverged == [2]

    others = members[:2] + members[3:]
    expected = solo_states(architecture, others, optimizer)
    tolerance = TOLERANCE if dtype is np.float64 else 0.02
    for i, solo in zip((0, 1, 3), expected, strict=True):
        assert largest_difference(population.member_state(i), solo) < tolerance


def test_a_population_whose_members_all_diverge_ends() -> None:
    members = [replace(m, rates=np.full(STEPS, 1e200 * (1 + i))) for i, m in enumerate(toy_members(3, STEPS, "sgd"))]
    population = made(toy_architecture(), members, "sgd")
    assert sorted(population.advance(STEPS)) == [0, 1, 2]
    assert population.ids == []
    step = population.step
    assert 0 < step < STEPS
    assert population.advance(STEPS) == []
    assert population.step == step


def test_advance_stops_between_two_steps() -> None:
    population = made(toy_architecture(), toy_members(1, STEPS, "sgd"), "sgd")
    assert population.advance(STEPS, stop=lambda: population.step >= 13) == []
    assert population.step == 13
    undisturbed = made(toy_architecture(), toy_members(1, STEPS, "sgd"), "sgd")
    undisturbed.advance(STEPS)
    population.advance(STEPS)
    assert population.step == STEPS
    assert_same_state(population.member_state(0), undisturbed.member_state(0))


@pytest.mark.parametrize("augment", [False, True])
@pytest.mark.parametrize("dropout", [(), (0.2, 0.3)])
@pytest.mark.parametrize("statistics", ["ema", "precise", "adaptive"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_restored_training_goes_on_to_the_same_bits(
    optimizer: str, statistics: str, dropout: tuple[float, ...], augment: bool
) -> None:
    architecture = toy_architecture(bn="before", bn_statistics=statistics, precise_batches=7, dropout=dropout)
    members = toy_members(3, 60, optimizer)
    undisturbed = made(architecture, members, optimizer, augment)
    undisturbed.advance(33)
    saved = [undisturbed.member_state(i) for i in range(3)]
    undisturbed.advance(60)

    restored = made(architecture, members, optimizer, augment)
    restored.advance(4)
    for i in range(3):
        restored.load_member(i, saved[i])
        assert_same_state(restored.member_state(i), saved[i])
    assert restored.step == 33
    restored.advance(60)
    for i in range(3):
        assert_same_state(restored.member_state(i), undisturbed.member_state(i))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_member_of_a_population_goes_on_alone(dtype: type) -> None:
    """A sweep's population is interrupted and each run is resumed for itself."""
    architecture = toy_architecture(bn="after", dropout=(0.2, 0.3), dtype=np.dtype(dtype))
    members = toy_members(3, 60, "momentum")
    together = made(architecture, members, "momentum", augment=True)
    together.advance(33)
    saved = together.member_state(1)
    together.advance(60)
    alone = made(architecture, [members[1]], "momentum", augment=True)
    alone.load_member(0, saved)
    alone.advance(60)
    tolerance = TOLERANCE if dtype is np.float64 else 1e-3
    assert largest_difference(alone.member_state(0), together.member_state(1)) < tolerance


def test_a_state_is_a_copy() -> None:
    population = made(toy_architecture(bn="before"), toy_members(1, 20, "adam"), "adam")
    population.advance(5)
    state = population.member_state(0)
    copies = {name: value.copy() for name, value in state.items()}
    population.advance(20)
    assert_same_state(state, copies)


def test_a_missing_array_is_a_key_error() -> None:
    population = made(toy_architecture(), toy_members(1, 20, "sgd"), "sgd")
    state = population.member_state(0)
    del state["W2"]
    with pytest.raises(KeyError, match="W2"):
        population.load_member(0, state)


def test_another_process_trains_to_the_same_bits() -> None:
    path = os.pathsep.join(str(p) for p in (Path(__file__).parent, Path(kls.__file__).parents[1]))
    made_there = subprocess.run(
        [sys.executable, "-c", "from helpers import trained_hash; print(trained_hash())"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert made_there.stdout.strip() == trained_hash()
