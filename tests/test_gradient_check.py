"""Numerical gradients: right where the derivative is known, and honest about kinks of the ReLU."""

from __future__ import annotations

import numpy as np
import pytest
from entry_points import Array
from helpers import FLOAT64, State, plain_forward, random_network

from kls.core.architecture import Architecture
from kls.core.gradient_check import CostFrom, numerical_gradients


def plain_cost(architecture: Architecture, state: State, x: Array, q: Array, lam: float) -> float:
    logits = plain_forward(architecture, state, x)[0]
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    squares = sum((value**2).sum() for name, value in state.items() if name.startswith("W"))
    return float(-(q * log_p).sum() / len(x) + lam * squares)


def softmax(logits: Array) -> Array:
    exponentials = np.exp(logits)
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def one_unit(bias: float) -> State:
    """One picture of one pixel, 1.0, one hidden unit with input 1 + bias, two classes."""
    return {
        "W1": np.array([[1.0]]),
        "b1": np.array([bias]),
        "W2": np.array([[0.7, -0.4]]),
        "b2": np.array([0.1, 0.2]),
    }


ONE = np.ones((1, 1))
FIRST_CLASS = np.array([[1.0, 0.0]])


def gradients_of_one_unit(bias: float, lam: float = 0.0) -> State:
    return numerical_gradients(CostFrom(one_unit(bias), 2, None, 1e-12, ONE, FIRST_CLASS), lam)


@pytest.mark.parametrize("lam", [0.0, 0.3])
def test_linear_classifier_has_the_gradient_of_the_formula(lam: float) -> None:
    """dJ/dW = X^T (P - Q) / B + 2 lam W, dJ/db = mean of P - Q."""
    rng = np.random.default_rng(0)
    x, w, b = rng.standard_normal((6, 5)), rng.standard_normal((5, 3)), rng.standard_normal(3)
    q = rng.dirichlet(np.ones(3), 6)
    found = numerical_gradients(CostFrom({"W1": w, "b1": b}, 1, None, 1e-12, x, q), lam)
    residual = (softmax(x @ w + b) - q) / 6
    assert found.keys() == {"W1", "b1"}
    np.testing.assert_allclose(found["W1"], x.T @ residual + 2 * lam * w, rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(found["b1"], residual.sum(axis=0), rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("bn", [None, "before", "after"])
def test_every_entry_is_the_slope_of_a_cost_written_out_here(bn: str | None) -> None:
    architecture = Architecture(4, (5, 3), 3, 4, bn=bn, bn_epsilon=1e-3, dtype=FLOAT64)
    rng = np.random.default_rng(1)
    state = random_network(architecture, 1, 6, rng).member_state(0)
    state = {name: value for name, value in state.items() if "." not in name}
    x, q = rng.standard_normal((6, 4)), rng.dirichlet(np.ones(3), 6)
    before = {name: value.copy() for name, value in state.items()}
    cost = CostFrom(state, 3, bn, 1e-3, x, q)
    expected_loss = plain_cost(architecture, state, x, q, 0.0)
    for layer in (1, 2, 3):
        loss, crossed = cost.after_product(cost.products[layer - 1][None], layer)
        assert loss == pytest.approx([expected_loss], rel=1e-13)
        assert not crossed.any()
    found = numerical_gradients(cost, 0.01)
    assert found.keys() == state.keys()
    for name, value in state.items():
        assert not np.isnan(found[name]).any()
        for index in np.ndindex(value.shape):
            kept = value[index]
            costs = []
            for h in (1e-5, -1e-5):
                value[index] = kept + h
                costs.append(plain_cost(architecture, state, x, q, 0.01))
            value[index] = kept
            assert found[name][index] == pytest.approx((costs[0] - costs[1]) / 2e-5, rel=1e-6, abs=1e-9), name
    for name, value in state.items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize("distance", [1.0, 1.5e-3, 5e-4, 1e-4, 5e-6])
def test_near_a_kink_only_steps_on_its_side_are_used(distance: float) -> None:
    """With a unit's input at +distance the derivative is that of the active unit, at -distance it is 0."""
    active, dead = gradients_of_one_unit(distance - 1.0), gradients_of_one_unit(-distance - 1.0)
    hidden = one_unit(distance - 1.0)
    residual = (softmax(distance * hidden["W2"] + hidden["b2"]) - FIRST_CLASS)[0]
    slope = float(residual @ hidden["W2"][0])
    assert active["W1"] == pytest.approx(slope, rel=1e-6)
    assert active["b1"] == pytest.approx(slope, rel=1e-6)
    assert active["W2"] == pytest.approx(np.array([distance * residual]), rel=1e-6, abs=1e-10)
    assert (dead["W1"], dead["b1"]) == (0.0, 0.0)
    np.testing.assert_array_equal(dead["W2"], 0.0)


def test_on_a_kink_there_is_no_derivative() -> None:
    found = gradients_of_one_unit(-1.0, lam=0.5)
    assert np.isnan(found["W1"]).all()
    assert np.isnan(found["b1"]).all()
    np.testing.assert_array_equal(found["W2"], one_unit(0.0)["W2"])  # 2 lam W, as the hidden unit is 0
    assert found["b2"] == pytest.approx((softmax(one_unit(0.0)["b2"][None]) - FIRST_CLASS)[0], rel=1e-8)


def test_a_kink_in_a_later_layer_is_seen() -> None:
    """The second layer's unit is on its kink, and the first layer's entries move it too."""
    values = {
        "W1": np.array([[1.0]]), "b1": np.array([1.0]), "W2": np.array([[1.0]]), "b2": np.array([-2.0]),
        "W3": np.array([[0.7, -0.4]]), "b3": np.array([0.1, 0.2]),
    }  # fmt: skip
    found = numerical_gradients(CostFrom(values, 3, None, 1e-12, ONE, FIRST_CLASS), 0.0)
    assert [name for name, value in found.items() if np.isnan(value).all()] == ["W1", "b1", "W2", "b2"]
    assert not np.isnan(found["W3"]).any()


def test_kinks_of_other_units_do_not_matter() -> None:
    """Two units, the first on its kink: entries that move the second alone have their derivative."""
    values = {
        "W1": np.array([[1.0, 1.0]]), "b1": np.array([-1.0, 1.0]),
        "W2": np.array([[0.7, -0.4], [0.3, 0.9]]), "b2": np.zeros(2),
    }  # fmt: skip
    found = numerical_gradients(CostFrom(values, 2, None, 1e-12, ONE, FIRST_CLASS), 0.0)
    np.testing.assert_array_equal(np.isnan(found["W1"]), [[True, False]])
    np.testing.assert_array_equal(np.isnan(found["b1"]), [True, False])
    residual = (softmax(2.0 * values["W2"][1:]) - FIRST_CLASS)[0]
    assert found["b1"][1] == pytest.approx(residual @ values["W2"][1], rel=1e-8)


def test_scale_and_shift_move_the_relu_under_batch_norm_before_it() -> None:
    """Two pictures become -1 and 1; gamma 1 and beta 1 put the first on the kink."""
    x, q = np.array([[0.0], [2.0]]), np.eye(2)
    values = {
        "W1": np.array([[1.0]]), "gamma1": np.array([1.0]), "beta1": np.array([1.0]),
        "W2": np.array([[0.7, -0.4]]), "b2": np.zeros(2),
    }  # fmt: skip
    kinked = numerical_gradients(CostFrom(values, 2, "before", 1e-300, x, q), 0.0)
    assert np.isnan(kinked["gamma1"]).all()
    assert np.isnan(kinked["beta1"]).all()
    values["beta1"] = np.array([3.0])  # now both are active: 3 -+ gamma
    found = numerical_gradients(CostFrom(values, 2, "before", 1e-300, x, q), 0.0)
    slopes = ((softmax(np.array([[2.0], [4.0]]) @ values["W2"]) - q) / 2) @ values["W2"][0]
    assert found["beta1"] == pytest.approx(slopes.sum(), rel=1e-7)
    assert found["gamma1"] == pytest.approx(slopes[1] - slopes[0], rel=1e-7)
    assert found["W1"] == pytest.approx(0.0, abs=1e-9)  # batch norm takes a unit's scale away
