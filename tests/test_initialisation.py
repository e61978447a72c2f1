"""Standard deviations of initial weights, and the random streams that they and all else are drawn from."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from helpers import OPTIMIZERS, toy_architecture, toy_batches, toy_members

from kls.core.initialisation import initial_weights, standard_deviation
from kls.core.network import Network
from kls.core.population import Population
from kls.core.streams import stream

FANS, WIDTHS = (3072, 50, 40), (3072, 50, 40, 10)


def test_standard_deviations_by_hand() -> None:
    assert standard_deviation("he", None, 50) == pytest.approx(0.2, rel=1e-15)
    assert standard_deviation("xavier", None, 100) == pytest.approx(0.1, rel=1e-15)
    assert standard_deviation("he", 0.01, 50) == 0.01
    assert standard_deviation("xavier", 0.0, 50) == 0.0


@pytest.mark.parametrize(
    ("scheme", "sigma", "expected"),
    [
        ("he", None, [np.sqrt(2 / 3072), np.sqrt(2 / 50), np.sqrt(2 / 40)]),
        ("xavier", None, [np.sqrt(1 / 3072), np.sqrt(1 / 50), np.sqrt(1 / 40)]),
        ("he", 0.001, [0.001, 0.001, 0.001]),
    ],
)
def test_initial_weights_are_normal_with_that_standard_deviation(
    scheme: str, sigma: float | None, expected: list[float]
) -> None:
    """Bounds of 5 standard errors, for the mean sigma / sqrt(n), for the deviation sigma / sqrt(2 n)."""
    weights = initial_weights(np.random.default_rng(1), FANS, WIDTHS, scheme, sigma)
    assert [w.shape for w in weights] == [(3072, 50), (50, 40), (40, 10)]
    for w, deviation in zip(weights, expected, strict=True):
        assert w.dtype == np.float64
        assert abs(w.mean()) < 5.0 * deviation / np.sqrt(w.size)
        assert w.std() == pytest.approx(deviation, rel=5.0 / np.sqrt(2.0 * w.size))
        within_one = np.mean(np.abs(w) < deviation)
        assert within_one == pytest.approx(0.6827, abs=5.0 * np.sqrt(0.6827 * 0.3173 / w.size))


def test_schemes_scale_equal_draws() -> None:
    he, xavier, unit = (
        initial_weights(np.random.default_rng(2), FANS, WIDTHS, scheme, sigma)
        for scheme, sigma in [("he", None), ("xavier", None), ("he", 1.0)]
    )
    for a, b, c, fan in zip(he, xavier, unit, FANS, strict=True):
        assert np.allclose(a, c * np.sqrt(2.0 / fan), rtol=1e-15, atol=0.0)
        assert np.allclose(b, c / np.sqrt(fan), rtol=1e-15, atol=0.0)


def test_fan_in_of_projected_inputs_is_not_their_number() -> None:
    """Inputs projected from 3072 to 200 dimensions keep the fan-in of the 3072."""
    plain = initial_weights(np.random.default_rng(3), (200, 50), (200, 50, 10), "he", None)
    projected = initial_weights(np.random.default_rng(3), (3072, 50), (200, 50, 10), "he", None)
    assert np.allclose(projected[0], plain[0] * np.sqrt(200 / 3072), rtol=1e-14, atol=0.0)
    assert np.array_equal(projected[1], plain[1])


@pytest.mark.parametrize("bn", [None, "before", "after"])
def test_a_network_starts_with_zero_biases_and_unit_batch_norms(bn: str | None) -> None:
    architecture = toy_architecture(bn=bn)
    weights = [
        initial_weights(np.random.default_rng(s), architecture.fans, architecture.widths, "he", None) for s in (4, 5)
    ]
    network = Network(architecture, weights, np.array([0.9, 0.9]), 10)
    for k in range(2):
        state = network.member_state(k)
        for layer, w in enumerate(weights[k], start=1):
            assert np.array_equal(state.pop(f"W{layer}"), w)
        biases = {"b3"} if bn == "before" else {"b1", "b2", "b3"}
        norms = {"gamma1", "gamma2", "beta1", "beta2"} if bn else set()
        trained = {name for name in state if "." not in name}
        assert trained == biases | norms
        for name in trained:
            assert np.all(state[name] == (1.0 if name.startswith("gamma") else 0.0))


@pytest.mark.parametrize("bn", [None, "before", "after"])
@pytest.mark.parametrize("hidden", [(), (7,), (16, 12)])
def test_number_of_parameters(bn: str | None, hidden: tuple[int, ...]) -> None:
    architecture = toy_architecture(bn=bn, hidden=hidden)
    population = Population(architecture, toy_members(2, 1, "sgd"), OPTIMIZERS["sgd"], toy_batches())
    assert architecture.n_parameters == sum(p.value.size for p in population.network.parameters) // 2
    assert population.network.n_members == 2


def test_number_of_parameters_by_hand() -> None:
    """48 inputs, 16 and 12 hidden units, 5 classes."""
    weights = 48 * 16 + 16 * 12 + 12 * 5
    assert toy_architecture().n_parameters == weights + 16 + 12 + 5
    assert toy_architecture(bn="before").n_parameters == weights + 5 + 2 * 28
    assert toy_architecture(bn="after").n_parameters == weights + 33 + 2 * 28


def test_float32_and_float64_start_alike_and_the_seed_alone_decides() -> None:
    def first_weights(seed: int, dtype: type) -> np.ndarray:
        architecture = toy_architecture(dtype=np.dtype(dtype))
        weights = initial_weights(stream(seed, "init"), architecture.fans, architecture.widths, "he", None)
        return Network(architecture, [weights], np.array([0.9]), 10).member_state(0)["W1"]

    double = first_weights(6, np.float64)
    assert np.array_equal(first_weights(6, np.float32), double.astype(np.float32))
    assert np.array_equal(first_weights(6, np.float64), double)
    assert not np.any(first_weights(7, np.float64) == double)


def test_streams_of_different_purposes_and_epochs_are_independent() -> None:
    purposes = ("init", "order", "augmentation", "dropout", "test augmentation", "gradient check", "split")
    draws = np.stack([stream(s, p, i).standard_normal(4000) for s in (0, 1) for p in purposes for i in (0, 1)])
    correlations = np.corrcoef(draws) - np.eye(len(draws))
    assert np.abs(correlations).max() < 5.0 / np.sqrt(4000)


def test_a_stream_is_the_same_whatever_was_drawn_before_and_in_any_process() -> None:
    here = stream(11, "order", 3)
    stream(11, "order", 2).random(100)
    numbers = here.integers(0, 2**62, 5).tolist()
    assert stream(11, "order", 3).integers(0, 2**62, 5).tolist() == numbers
    code = "from kls.core.streams import stream; print(stream(11, 'order', 3).integers(0, 2**62, 5).tolist())"
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == str(numbers)


def test_an_unknown_purpose_is_an_error() -> None:
    with pytest.raises(ValueError, match="tuple"):
        stream(0, "weather")
