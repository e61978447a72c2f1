"""Batch norm for itself, and the three kinds of statistics that it evaluates with, against hand-computed values."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import (
    FLOAT64,
    OPTIMIZERS,
    Array,
    assert_same_state,
    plain_forward,
    random_network,
    relative_error,
    toy_architecture,
    toy_batches,
    toy_members,
)

from kls.core.batch_norm import BatchNorm
from kls.core.network import Network
from kls.core.parameter import Parameter
from kls.core.population import Population
from kls.core.streams import stream

BATCH = 8


def flat(values: Array) -> Array:
    """(B, K, m) as the (B, K*m) that a layer takes."""
    return values.reshape(len(values), -1)


def made_layer(shape: tuple[int, int, int], epsilon: float, rng: np.random.Generator) -> BatchNorm:
    gamma = Parameter("gamma1", rng.standard_normal(shape[1:]), 0)
    beta = Parameter("beta1", rng.standard_normal(shape[1:]), 0)
    return BatchNorm(gamma, beta, epsilon, None, shape[0])


@pytest.mark.parametrize(
    ("shape", "epsilon"),
    [((2, 1, 1), 1e-2), ((2, 3, 4), 1e-1), ((5, 3, 4), 1e-12), ((5, 3, 4), 1e-2), ((128, 2, 64), 1e-12)],
)
def test_layer_equals_torch_for_a_random_upstream_gradient(shape: tuple[int, int, int], epsilon: float) -> None:
    """With two pictures and a tiny epsilon the exact gradient is almost zero, so there epsilon is larger."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(shape[0])
    layer = made_layer(shape, epsilon, rng)
    z, delta = 3.0 * rng.standard_normal(shape) + 1.0, rng.standard_normal(shape)
    tz = torch.tensor(z.reshape(len(z), -1), requires_grad=True)
    weight, bias = (torch.tensor(p.value.reshape(-1), requires_grad=True) for p in (layer.gamma, layer.beta))
    y = torch.nn.functional.batch_norm(tz, None, None, weight, bias, training=True, eps=epsilon)
    y.backward(torch.tensor(delta.reshape(len(z), -1)))

    out = np.empty(shape)
    layer.forward_batch(flat(z), flat(out))
    assert relative_error(out.reshape(len(z), -1), y.detach().numpy()) < 1e-13
    upstream = delta.copy()
    layer.backward(flat(upstream))
    tolerance = 1e-12
    assert relative_error(upstream.reshape(len(z), -1), tz.grad.numpy()) < tolerance
    assert relative_error(layer.gamma.gradient.reshape(-1), weight.grad.numpy()) < tolerance
    assert relative_error(layer.beta.gradient.reshape(-1), bias.grad.numpy()) < tolerance


def test_an_equal_upstream_gradient_gives_no_input_gradient() -> None:
    """Which is why the comparisons above need a random one."""
    rng = np.random.default_rng(0)
    layer = made_layer((16, 2, 3), 1e-5, rng)
    z = rng.standard_normal((16, 2, 3))
    layer.forward_batch(flat(z), np.empty_like(flat(z)))
    delta = np.ones_like(z)
    layer.backward(flat(delta))
    assert np.abs(delta).max() < 1e-13
    assert layer.beta.gradient == pytest.approx(np.full((2, 3), 16.0))


def test_forward_by_hand() -> None:
    """Values 1, 3, 5, 7: mean 4, biased variance 5."""
    gamma, beta = Parameter("gamma1", np.array([[2.0]]), 0), Parameter("beta1", np.array([[0.5]]), 0)
    layer = BatchNorm(gamma, beta, 4.0, None, 4)
    z = np.array([1.0, 3.0, 5.0, 7.0]).reshape(4, 1, 1)
    out = np.empty_like(z)
    layer.forward_batch(flat(z), flat(out))
    assert out.ravel() == pytest.approx([-1.5, -1.0 / 6.0, 7.0 / 6.0, 2.5], abs=1e-15)


def test_a_population_normalises_each_member_by_itself() -> None:
    rng = np.random.default_rng(1)
    z = rng.standard_normal((9, 3, 4)) * np.array([1.0, 5.0, 0.1])[:, None] + np.array([0.0, 3.0, -2.0])[:, None]
    gamma, beta = Parameter("gamma1", np.ones((3, 4)), 0), Parameter("beta1", np.zeros((3, 4)), 0)
    layer, out = BatchNorm(gamma, beta, 1e-12, None, 9), np.empty_like(z)
    layer.forward_batch(flat(z), flat(out))
    assert np.abs(out.mean(axis=0)).max() < 1e-14
    assert out.std(axis=0) == pytest.approx(np.ones((3, 4)), abs=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_large_mean_does_not_spoil_the_variance(dtype: type) -> None:
    rng = np.random.default_rng(2)
    noise = rng.standard_normal((100, 1, 6))
    z = (1000.0 + noise).astype(dtype)
    gamma, beta = Parameter("gamma1", np.ones((1, 6), dtype), 0), Parameter("beta1", np.zeros((1, 6), dtype), 0)
    layer, out = BatchNorm(gamma, beta, 1e-12, None, 100), np.empty_like(z)
    layer.forward_batch(flat(z), flat(out))
    exact = z.astype(np.float64)
    assert np.abs(out - (exact - exact.mean(axis=0)) / exact.std(axis=0)).max() < 1e-3


def fed_network(bn: str, statistics: str, k: int, n_batches: int) -> tuple[Network, list[list[list[Array]]], Array]:
    """A network that saw mini-batches without being updated; what its batch norms were given:
    for each member and layer a list of (B, m); and the momenta."""
    architecture = toy_architecture(bn=bn, bn_statistics=statistics, precise_batches=4)
    rng = np.random.default_rng(3)
    network = random_network(architecture, k, BATCH, rng)
    given: list[list[list[Array]]] = [[[] for _ in architecture.hidden] for _ in range(k)]
    for _ in range(n_batches):
        x = 0.5 + rng.standard_normal((BATCH, architecture.n_inputs))
        q = rng.dirichlet(np.ones(architecture.n_classes), BATCH)
        assert network.gradients(x, q, []) is None
        for member in range(k):
            for layer, z in enumerate(plain_forward(architecture, network.member_state(member), x)[1]):
                given[member][layer].append(z)
    return network, given, np.linspace(0.5, 0.99, k)


@pytest.mark.parametrize("bn", ["before", "after"])
@pytest.mark.parametrize("n_batches", [1, 2, 9])
def test_ema_statistics(bn: str, n_batches: int) -> None:
    network, given, momenta = fed_network(bn, "ema", 3, n_batches)
    for k, momentum in enumerate(momenta):
        for layer, values in enumerate(given[k], start=1):
            mean, variance = values[0].mean(axis=0), values[0].var(axis=0)
            for z in values[1:]:
                mean = momentum * mean + (1.0 - momentum) * z.mean(axis=0)
                variance = momentum * variance + (1.0 - momentum) * z.var(axis=0)
            state = network.member_state(k)
            assert state[f"bn{layer}.mean"] == pytest.approx(mean, rel=1e-12, abs=1e-12)
            assert state[f"bn{layer}.variance"] == pytest.approx(variance, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("bn", ["before", "after"])
@pytest.mark.parametrize(
    ("n_batches", "window"),
    [(1, (0, 1)), (3, (0, 3)), (4, (0, 4)), (5, (0, 4)), (7, (0, 4)), (8, (4, 8)), (11, (4, 8))],
)
def test_precise_statistics_are_the_true_ones_of_the_last_full_window(
    bn: str, n_batches: int, window: tuple[int, int]
) -> None:
    """Windows of 4 mini-batches; while the first is not yet full, those seen so far."""
    network, given, _ = fed_network(bn, "precise", 2, n_batches)
    for k in range(2):
        for layer, values in enumerate(given[k], start=1):
            means = np.stack([z.mean(axis=0) for z in values[slice(*window)]])
            variances = np.stack([z.var(axis=0) for z in values[slice(*window)]])
            state = network.member_state(k)
            mean, variance = means.mean(axis=0), variances.mean(axis=0) + means.var(axis=0)
            assert state[f"bn{layer}.mean"] == pytest.approx(mean, rel=1e-12, abs=1e-12)
            assert state[f"bn{layer}.variance"] == pytest.approx(variance, rel=1e-12, abs=1e-12)
            pictures = np.concatenate(values[slice(*window)])
            assert state[f"bn{layer}.mean"] == pytest.approx(pictures.mean(axis=0), abs=1e-12)
            assert state[f"bn{layer}.variance"] == pytest.approx(pictures.var(axis=0), abs=1e-12)


@pytest.mark.parametrize("bn", ["before", "after"])
@pytest.mark.parametrize("statistics", ["ema", "precise", "adaptive"])
def test_evaluation_uses_the_statistics_of_its_kind(bn: str, statistics: str) -> None:
    network, _, _ = fed_network(bn, statistics, 2, 6)
    x = np.random.default_rng(4).standard_normal((50, 48))
    logits = network.logits(x)
    for k in range(2):
        state = network.member_state(k)
        kept = statistics != "adaptive"
        assert any(name.startswith("bn") for name in state) == kept
        expected, _ = plain_forward(network.architecture, state, x, kept=kept)
        assert relative_error(logits[:, k], expected) < 1e-12


def test_members_have_momenta_of_their_own_after_others_left() -> None:
    """0.5 + 0.06 i, so the kept ones' averages differ if a momentum were taken from the wrong place."""
    architecture = toy_architecture(bn="before", dtype=FLOAT64)
    members = toy_members(4, 40, "sgd")
    population = Population(architecture, members, OPTIMIZERS["sgd"], toy_batches())
    population.advance(20)
    population.drop([0, 2])
    for step in range(20, 24):
        before = [population.member_state(i) for i in (1, 3)]
        x, _ = population.batches.get(step)
        x = x.copy()
        population.advance(step + 1)
        for old, i in zip(before, (1, 3), strict=True):
            given = plain_forward(architecture, old, x)[1]
            momentum = members[i].bn_momentum
            for layer, z in enumerate(given, start=1):
                expected = momentum * old[f"bn{layer}.mean"] + (1.0 - momentum) * z.mean(axis=0)
                assert population.member_state(i)[f"bn{layer}.mean"] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("bn", ["before", "after"])
@pytest.mark.parametrize("statistics", ["ema", "precise"])
def test_observing_a_mini_batch_moves_the_statistics_as_training_does(bn: str, statistics: str) -> None:
    architecture = toy_architecture(bn=bn, bn_statistics=statistics, precise_batches=3, dropout=(0.3, 0.3))
    observing, training = (random_network(architecture, 2, 20, np.random.default_rng(5)) for _ in range(2))
    start, batches = [observing.member_state(k) for k in range(2)], toy_batches()
    rngs = [[stream(s, "dropout") for s in (1, 2)] for _ in range(2)]
    for step in range(5):
        x, q = batches.get(step)
        observing.observe(x, rngs[0])
        assert training.gradients(x, q, rngs[1]) is None
    for k in range(2):
        state = observing.member_state(k)
        assert_same_state(state, training.member_state(k))
        moved = {name for name in state if not np.array_equal(state[name], start[k][name])}
        assert {"bn1.mean", "bn1.variance", "bn2.mean", "bn2.variance"} <= moved
        assert all(name.startswith("bn") for name in moved)
