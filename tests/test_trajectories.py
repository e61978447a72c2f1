"""200 training steps against a training loop in plain torch, from the same weights with the same mini-batches."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from helpers import (
    FLOAT64,
    N_CLASSES,
    Array,
    State,
    relative_error,
    toy_architecture,
    toy_batches,
    toy_members,
    toy_pictures,
)

from kls.core import cross_entropy
from kls.core.adam import Adam
from kls.core.batches import Batches
from kls.core.evaluation import evaluate
from kls.core.population import Member, Population
from kls.core.sgd import SGD

torch = pytest.importorskip("torch")
functional = torch.nn.functional
torch.set_num_threads(1)

STEPS = 200
LAM = 2e-3
BN_MOMENTUM = 0.85
BN_EPSILON = 1e-5
OPTIMIZERS = {  # ours, torch's, and the largest rate
    "sgd": (SGD, torch.optim.SGD, 0.1),
    "momentum": (partial(SGD, momentum=0.9), partial(torch.optim.SGD, momentum=0.9), 0.02),
    "adam": (Adam, torch.optim.Adam, 0.005),
}


def triangular_rates(top: float) -> Array:
    """Up in 30 steps, down in 30, and so on."""
    return np.interp(np.arange(STEPS) % 60, [0, 30, 60], [top / 50, top, top / 50])


class TorchTraining:
    """A 3-layer classifier, its running statistics and its optimiser."""

    def __init__(self, state: State, optimizer: str, bn: str | None, smoothing: float) -> None:
        self.p = {name: torch.tensor(value, requires_grad=True) for name, value in state.items() if "." not in name}
        self.bn, self.smoothing = bn, smoothing
        self.running: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        parameters = list(self.p.values())
        self.optimizer = OPTIMIZERS[optimizer][1](parameters, lr=1.0)

    def norm(self, layer: int, z: torch.Tensor, training: bool) -> torch.Tensor:
        weight, bias = self.p[f"gamma{layer}"], self.p[f"beta{layer}"]
        if not training:
            return functional.batch_norm(z, *self.running[layer], weight, bias, training=False, eps=BN_EPSILON)
        mean, variance = z.detach().mean(0), z.detach().var(0, correction=0)
        if layer in self.running:
            old_mean, old_variance = self.running[layer]
            mean = BN_MOMENTUM * old_mean + (1 - BN_MOMENTUM) * mean
            variance = BN_MOMENTUM * old_variance + (1 - BN_MOMENTUM) * variance
        self.running[layer] = mean, variance
        return functional.batch_norm(z, None, None, weight, bias, training=True, eps=BN_EPSILON)

    def logits(self, x: Array, training: bool) -> torch.Tensor:
        a = torch.tensor(x)
        for layer in (1, 2):
            z = functional.linear(a, self.p[f"W{layer}"].T, self.p.get(f"b{layer}"))
            if self.bn == "before":
                z = self.norm(layer, z, training)
            a = functional.relu(z)
            if self.bn == "after":
                a = self.norm(layer, a, training)
        return functional.linear(a, self.p["W3"].T, self.p["b3"])

    def penalty(self) -> torch.Tensor:
        return LAM * sum((self.p[f"W{layer}"] ** 2).sum() for layer in (1, 2, 3))

    def step(self, x: Array, labels: Array, rate: float) -> None:
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.zero_grad()
        loss = functional.cross_entropy(self.logits(x, True), torch.tensor(labels), label_smoothing=self.smoothing)
        (loss + self.penalty()).backward()
        self.optimizer.step()

    def scores(self, x: Array, labels: Array) -> tuple[float, float, float]:
        """Loss, cost and accuracy in evaluation."""
        with torch.no_grad():
            logits = self.logits(x, False)
            loss = functional.cross_entropy(logits, torch.tensor(labels)).item()
            accuracy = (logits.argmax(1) == torch.tensor(labels)).double().mean().item()
            return loss, loss + self.penalty().item(), accuracy


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("bn", [None, "before", "after"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_follows_torch(optimizer: str, bn: str | None, smoothing: float) -> None:
    labelled = toy_batches()
    labels = labelled.q.argmax(axis=1)
    smoothed = Batches(labelled.x, cross_entropy.targets(labels, N_CLASSES, smoothing, FLOAT64), 20, order_seed=7)
    architecture = toy_architecture(bn=bn, bn_epsilon=BN_EPSILON, label_smoothing=smoothing)
    make, _, top = OPTIMIZERS[optimizer]
    member = Member(seed=3, lam=LAM, rates=triangular_rates(top), bn_momentum=BN_MOMENTUM)
    population = Population(architecture, [member], make, smoothed)
    reference = TorchTraining(population.network.member_state(0), optimizer, bn, smoothing)

    val_x, val_labels = toy_pictures(50, seed=2)
    for step in range(STEPS):
        x, q = labelled.get(step)
        reference.step(x, q.argmax(axis=1), member.rates[step])
        assert population.advance(step + 1) == []
        loss, cost, accuracy = reference.scores(val_x, val_labels)
        scores = evaluate(population.network, val_x, val_labels, population.lam)
        assert scores.loss[0] == pytest.approx(loss, rel=1e-10), step
        assert scores.cost[0] == pytest.approx(cost, rel=1e-10), step
        assert scores.accuracy[0] == pytest.approx(accuracy, abs=1e-12), step

    state = population.member_state(0)
    for name, value in reference.p.items():
        assert relative_error(state[name], value.detach().numpy(), floor=1.0) < 1e-10, name
    assert len(reference.running) == (2 if bn else 0)
    for layer, (mean, variance) in reference.running.items():
        assert relative_error(state[f"bn{layer}.mean"], mean.numpy(), floor=1.0) < 1e-10
        assert relative_error(state[f"bn{layer}.variance"], variance.numpy()) < 1e-10


def test_the_toy_problem_is_learned() -> None:
    """Otherwise the trajectories would compare little."""
    population = Population(toy_architecture(), toy_members(1, STEPS, "sgd"), SGD, toy_batches())
    val_x, val_labels = toy_pictures(1000, seed=2)
    before = evaluate(population.network, val_x, val_labels, population.lam)
    population.advance(STEPS)
    after = evaluate(population.network, val_x, val_labels, population.lam)
    assert before.accuracy[0] < 0.4
    assert after.accuracy[0] > 0.8
    assert after.loss[0] < 0.5 * before.loss[0]
