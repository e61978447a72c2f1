"""Learning rates at points computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import triangular

from kls.config.schedules import ConstantSettings, StepDecaySettings

CONSTANT = ConstantSettings(kind="constant", eta=0.03, epochs=1, steps=None)
STEP = StepDecaySettings(kind="step", eta=0.8, factor=0.1, every=10, epochs=1, steps=None)


def test_triangular_over_two_cycles() -> None:
    rates = triangular(np.arange(17), 1.0, 9.0, 4)
    assert rates == pytest.approx([1, 3, 5, 7, 9, 7, 5, 3, 1, 3, 5, 7, 9, 7, 5, 3, 1], abs=1e-14)


def test_triangular_of_the_usual_settings() -> None:
    """eta_min 1e-5, eta_max 1e-1, n_s 500."""
    t = np.array([0, 1, 250, 499, 500, 501, 750, 999, 1000, 1001, 1500, 2000])
    step = (0.1 - 1e-5) / 500
    expected = [
        1e-5,
        1e-5 + step,
        0.050005,
        0.1 - step,
        0.1,
        0.1 - step,
        0.050005,
        1e-5 + step,
        1e-5,
        1e-5 + step,
        0.1,
        1e-5,
    ]
    assert triangular(t, 1e-5, 1e-1, 500) == pytest.approx(expected, rel=1e-12)


def test_triangular_with_a_decaying_maximum() -> None:
    """Tops 8, 4, 2 and then eta_min = 1.5, since 1 would be less."""
    t = np.array([0, 2, 4, 6, 7, 8, 10, 12, 16, 18, 20, 24, 26, 28, 30, 32, 36, 400])
    rates = triangular(t, 1.5, 8.0, 4, eta_max_factor=0.5)
    expected = [1.5, 4.75, 8.0, 4.75, 3.125, 1.5, 2.75, 4.0, 1.5, 1.75, 2.0, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5]
    assert rates == pytest.approx(expected, rel=1e-14)


def test_triangular_with_half_cycles_of_one_step() -> None:
    assert triangular(np.arange(5), 0.1, 0.9, 1) == pytest.approx([0.1, 0.9, 0.1, 0.9, 0.1], rel=1e-14)


def test_the_length_of_a_training() -> None:
    assert CONSTANT.model_copy(update={"epochs": 3}).total_steps(450) == 1350
    assert CONSTANT.model_copy(update={"epochs": None, "steps": 7}).total_steps(450) == 7
    assert (CONSTANT.cycle, STEP.cycle) == (None, None)


def test_constant() -> None:
    rates = CONSTANT.rates(np.arange(4))
    assert rates.tolist() == [0.03, 0.03, 0.03, 0.03]


def test_step_decay_at_its_boundaries() -> None:
    t = np.array([0, 1, 9, 10, 11, 19, 20, 29, 30])
    expected = [0.8, 0.8, 0.8, 0.08, 0.08, 0.08, 0.008, 0.008, 0.0008]
    assert STEP.rates(t) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize(
    "rates",
    [
        triangular(np.arange(100), 1e-5, 1e-1, 7, 0.9),
        CONSTANT.rates(np.arange(100)),
        STEP.rates(np.arange(100)),
    ],
)
def test_rates_are_float64(rates: np.ndarray) -> None:
    assert rates.dtype == np.float64
    assert rates.shape == (100,)


def test_any_part_of_a_schedule_is_the_same_as_in_the_whole() -> None:
    whole = triangular(np.arange(1000), 1e-5, 1e-1, 45, 0.8)
    assert np.array_equal(triangular(np.arange(321, 400), 1e-5, 1e-1, 45, 0.8), whole[321:400])
