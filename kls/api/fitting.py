"""Trains the networks of classifiers together, as one population."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kls.api.parameters import Parameters
from kls.config import blas
from kls.core import cross_entropy
from kls.core.batches import Batches
from kls.core.evaluation import evaluate
from kls.core.population import Population
from kls.data.dataset import Split

Arrays = dict[str, NDArray[np.generic]]
History = dict[str, list[float]]


@dataclass(frozen=True)
class Fitted:
    """What came of one network.

    arrays: its parameters, and kept statistics of batch norm; zeros where it diverged, which give all classes alike.
    history: columns, an item an evaluation.      diverged_at: the step at which its loss was no longer finite.
    """

    arrays: Arrays
    history: History
    diverged_at: int | None


def fit_networks(
    members: Sequence[Parameters],
    seeds: Sequence[int],
    order_seed: int,
    examples: Mapping[str, Split],
    n_classes: int,
    starts: Sequence[Arrays],
) -> list[Fitted]:
    """Train one network for each member, on the same mini-batches.

    members: share all but lam, eta, cycles, init and bn_momentum. seeds: of initial weights and dropout.
    examples: "train", and others, which are only evaluated. starts: arrays that each network begins with, where their
    shapes agree.
    """
    shared, train = members[0], examples["train"]
    architecture = shared.architecture(train.x.shape[1], n_classes)
    n_batches = shared.n_batches(len(train.x))
    n_steps = shared.epochs * n_batches
    q = cross_entropy.targets(train.y, n_classes, shared.label_smoothing, architecture.dtype)
    batches = Batches(train.x, q, len(train.x) // n_batches, order_seed)
    with blas.limited(shared.threads):
        population = Population(
            architecture,
            [member.member(seed, n_steps, len(train.x)) for member, seed in zip(members, seeds, strict=True)],
            shared.optimizer_settings(n_steps).make,
            batches,
        )
        network = population.network
        for k, start in enumerate(starts):
            network.load_member(k, started(network.member_state(k), start))
        histories: list[History] = [{} for _ in members]
        looks = np.linspace(0, n_steps, shared.evaluations + 1).round()[1:] if shared.evaluations else [n_steps]
        for step in dict.fromkeys(map(int, looks)):
            population.advance(step)
            if shared.evaluations and population.ids:
                _evaluate(population, examples, histories, step / n_batches)
        zeros = {name: np.zeros_like(value) for name, value in network.member_state(0).items()}
        found = {i: network.member_state(k) for k, i in enumerate(population.ids)}
    ends = dict(population.diverged_at)
    for i, arrays in found.items():
        if not all(np.isfinite(array).all() for array in arrays.values()):
            ends[i] = n_steps
    return [Fitted(zeros if i in ends else found[i], history, ends.get(i)) for i, history in enumerate(histories)]


def started(fresh: Arrays, kept: Mapping[str, NDArray[np.generic]]) -> Arrays:
    """The arrays to begin with: of each layer the kept ones if they all have the shapes of the fresh ones."""
    unlike = {layer_of(name) for name, new in fresh.items() if name not in kept or kept[name].shape != new.shape}
    return {name: new if layer_of(name) in unlike else kept[name] for name, new in fresh.items()}


def layer_of(name: str) -> int:
    """The number in the name of an array, such as W1 or bn1.mean."""
    return int(re.findall(r"\d+", name)[0])


def _evaluate(
    population: Population, examples: Mapping[str, Split], histories: Sequence[History], epoch: float
) -> None:
    """Add a row to the histories of the members that are still there."""
    for i in population.ids:
        histories[i].setdefault("epoch", []).append(epoch)
    for name, part in examples.items():
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            scores = evaluate(population.network, part.x, part.y, population.lam)
        for k, i in enumerate(population.ids):
            histories[i].setdefault(f"{name}_loss", []).append(float(scores.loss[k]))
            histories[i].setdefault(f"{name}_accuracy", []).append(float(scores.accuracy[k]))
