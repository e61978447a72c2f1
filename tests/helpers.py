"""Networks, populations and comparisons that several tests of the numerical core share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kls.config.schedules import CyclicSettings
from kls.core import cross_entropy
from kls.core.adam import Adam
from kls.core.architecture import Architecture
from kls.core.augmentation import Augmentation, Augmenter
from kls.core.batches import Batches
from kls.core.network import Network
from kls.core.parameter import Block
from kls.core.population import Member, Optimizer, Population
from kls.core.sgd import SGD
from kls.core.streams import stream

Array = NDArray[Any]
State = dict[str, Array]

FLOAT64 = np.dtype(np.float64)
IMAGE_SHAPE = (3, 4, 4)
N_INPUTS, N_CLASSES = 48, 5
OPTIMIZERS: dict[str, Callable[[Sequence[Block]], Optimizer]] = {
    "sgd": lambda blocks: SGD(blocks),
    "momentum": lambda blocks: SGD(blocks, momentum=0.9),
    "adam": lambda blocks: Adam(blocks),
}
TOP_RATE = {"sgd": 0.1, "momentum": 0.02, "adam": 0.005}


def relative_error(a: Array, b: Array, floor: float = 0.0) -> float:
    """The larger of |a - b| / max(|a| + |b|, floor) in the 2-norm and in the maximum norm."""
    assert a.shape == b.shape
    a, b = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    tiny = np.finfo(np.float64).tiny
    return max(
        float(np.linalg.norm(a - b, order) / max(np.linalg.norm(a, order) + np.linalg.norm(b, order), floor, tiny))
        for order in (2, np.inf)
    )


def gradient_errors(got: State, expected: State) -> dict[str, float]:
    """``relative_error`` of each of a member's gradients.

    A gradient that is zero in exact arithmetic (a bias that a batch norm takes away again, a dead unit) is pure
    rounding error, so an array's scale is at least 1e-4 of the member's largest gradient array.
    """
    assert got.keys() == expected.keys()
    floor = 1e-4 * max(float(np.linalg.norm(value)) for value in expected.values())
    return {name: relative_error(got[name], expected[name], floor) for name in got}


def assert_same_state(a: State, b: State) -> None:
    """Every array of two members' states is equal to the last bit."""
    assert a.keys() == b.keys()
    for name in a:
        assert np.array_equal(a[name], b[name]), name


def largest_difference(a: State, b: State) -> float:
    """Largest |a - b| / max(1, |b|) over two members' states; what is not a float must be equal."""
    assert a.keys() == b.keys()
    worst = 0.0
    for name in a:
        if a[name].dtype.kind == "f":
            assert a[name].shape == b[name].shape
            worst = max(worst, float(np.max(np.abs(a[name] - b[name]) / np.maximum(1.0, np.abs(b[name])))))
        else:
            assert np.array_equal(a[name], b[name]), name
    return worst


def randomise(network: Network, rng: np.random.Generator) -> None:
    """Give every member random biases, gammas and betas."""
    for k in range(network.n_members):
        state = network.member_state(k)
        for name, value in state.items():
            if name.startswith(("b", "beta")) and "." not in name:
                state[name] = 0.3 * rng.standard_normal(value.shape)
            elif name.startswith("gamma"):
                state[name] = rng.uniform(0.5, 1.5, value.shape) * rng.choice([-1.0, 1.0], value.shape)
        network.load_member(k, state)


def random_network(architecture: Architecture, k: int, batch_size: int, rng: np.random.Generator) -> Network:
    """K members with random parameters of every kind and BN momenta between 0.5 and 0.99."""
    weights = [
        [
            rng.standard_normal((rows, columns)) * np.sqrt(2.0 / rows)
            for rows, columns in zip(architecture.widths[:-1], architecture.widths[1:], strict=True)
        ]
        for _ in range(k)
    ]
    network = Network(architecture, weights, np.linspace(0.5, 0.99, k), batch_size)
    randomise(network, rng)
    return network


def plain_forward(
    architecture: Architecture, state: State, x: Array, masks: Sequence[Array | float] = (), kept: bool = False
) -> tuple[Array, list[Array]]:
    """Logits (B, C) of one member, written out layer by layer, and what each batch norm was given, (B, m).

    kept: normalise with the kept statistics of ``state`` instead of those of x.
    """
    normalised: list[Array] = []

    def norm(layer: int, z: Array) -> Array:
        normalised.append(z)
        mean = state[f"bn{layer}.mean"] if kept else z.mean(axis=0)
        variance = state[f"bn{layer}.variance"] if kept else z.var(axis=0)
        unit = (z - mean) / np.sqrt(variance + architecture.bn_epsilon)
        return state[f"gamma{layer}"] * unit + state[f"beta{layer}"]

    a, last = x, len(architecture.hidden) + 1
    for layer in range(1, last):
        a = a @ state[f"W{layer}"]
        a = norm(layer, a) if architecture.bn == "before" else a + state[f"b{layer}"]
        a = np.maximum(a, 0.0)
        if architecture.bn == "after":
            a = norm(layer, a)
        if masks:
            a = a * masks[layer - 1]
    return a @ state[f"W{last}"] + state[f"b{last}"], normalised


def toy_architecture(**changes: Any) -> Architecture:
    """A 3-layer float64 network for the toy pictures."""
    base = Architecture(N_INPUTS, (16, 12), N_CLASSES, N_INPUTS, bn_epsilon=1e-5, dtype=FLOAT64)
    return replace(base, **changes)


def toy_pictures(n: int, seed: int = 1, distance: float = 0.6) -> tuple[Array, Array]:
    """Noisy pictures x (n, 48) around one picture a class, and their labels (n,)."""
    centres = stream(0, "split").standard_normal((N_CLASSES, N_INPUTS)) * distance
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, N_CLASSES, n)
    return centres[labels] + rng.standard_normal((n, N_INPUTS)), labels


def toy_batches(dtype: np.dtype = FLOAT64, augment: bool = False, n: int = 210) -> Batches:
    """Mini-batches of 20 toy pictures; 210 pictures make 10 mini-batches an epoch and leave 10 out."""
    x, labels = toy_pictures(n)
    q = cross_entropy.targets(labels, N_CLASSES, 0.0, dtype)
    augmenter = Augmenter(Augmentation(flip=0.5, translate=0.7, reach=1), IMAGE_SHAPE) if augment else None
    return Batches(x.astype(dtype), q, 20, order_seed=7, augmenter=augmenter)


def triangular(t: Array, eta_min: float, eta_max: float, n_s: int, eta_max_factor: float = 1.0) -> Array:
    """The rates of a cyclic schedule at the steps t."""
    return CyclicSettings(
        kind="cyclic", eta_min=eta_min, eta_max=eta_max, n_s=n_s, eta_max_factor=eta_max_factor,
        cycles=1, epochs=None, steps=None,
    ).rates(t)  # fmt: skip


def toy_members(k: int, n_steps: int, optimizer: str) -> list[Member]:
    """K members that differ in everything a member can have for itself."""
    t, top = np.arange(n_steps), TOP_RATE[optimizer]
    return [
        Member(
            seed=100 + i,
            lam=(0.0, 1e-4, 1e-3, 1e-2)[i % 4],
            rates=triangular(t, top / 100, top * (1.0 - 0.1 * i), 15),
            scheme=("he", "xavier")[i % 2],
            sigma=0.1 + 0.02 * i if i % 3 == 2 else None,
            bn_momentum=0.5 + 0.06 * i,
        )
        for i in range(k)
    ]


def state_hash(population: Population) -> str:
    """SHA-256 of everything that the members of a population need to go on."""
    digest = hashlib.sha256()
    for i in population.ids:
        for name, value in sorted(population.member_state(i).items()):
            digest.update(name.encode())
            digest.update(value.tobytes())
    return digest.hexdigest()


def trained_hash() -> str:
    """``state_hash`` of a float32 population after 60 steps with every random part switched on."""
    architecture = toy_architecture(bn="before", dropout=(0.2, 0.3), dtype=np.dtype(np.float32))
    batches = toy_batches(np.dtype(np.float32), augment=True)
    population = Population(architecture, toy_members(3, 60, "adam"), OPTIMIZERS["adam"], batches)
    assert population.advance(60) == []
    return state_hash(population)
