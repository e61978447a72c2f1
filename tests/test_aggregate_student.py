"""Student's t quantiles equal SciPy's."""

import math

import pytest

from kls.aggregate.student import central_probability, t_quantile

# scipy.stats.t.ppf(0.975, dof), SciPy 1.17
QUANTILES = {
    1: 12.706204736174694,
    2: 4.302652729749462,
    3: 3.1824463052837078,
    4: 2.7764451051977934,
    5: 2.5705818356363146,
    9: 2.262157162798205,
    10: 2.228138851986274,
    29: 2.045229642132703,
    30: 2.0422724563012378,
    99: 1.9842169515864174,
    1000: 1.9623390808264083,
}


@pytest.mark.parametrize(("dof", "expected"), QUANTILES.items())
def test_quantiles_equal_those_of_scipy(dof: int, expected: float) -> None:
    assert t_quantile(dof) == pytest.approx(expected, rel=1e-12)


def test_another_level() -> None:
    assert t_quantile(4, 0.99) == pytest.approx(4.604094871349992, rel=1e-12)


def test_probabilities_of_one_and_two_degrees_have_closed_forms() -> None:
    for t in (0.1, 1.0, 7.0):
        assert central_probability(math.atan(t), 1) == pytest.approx(2.0 / math.pi * math.atan(t), rel=1e-14)
        assert central_probability(math.atan(t / math.sqrt(2)), 2) == pytest.approx(t / math.sqrt(2 + t * t), rel=1e-14)
