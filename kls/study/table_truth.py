"""What a table of runs says of a network: the smooth curve behind the scores, and their noise, as runs are drawn.

A score is the curve's, plus what a seed changes everywhere (its main effect), plus what it changes at that place
(the interaction). The curve is a smoothing spline in the logarithm of the setting. Its penalty is that of least
expected squared error at the known noise, the unbiased risk estimate of Craven and Wahba, Numerische Mathematik 31
(1979).
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import make_smoothing_spline

from kls.study.table_of_runs import Table

_GRID = 1601  # places of a curve
_REFERENCE = 2.0  # points below the best from which on scores are brought nearer by a logarithm
_PENALTIES = np.geomspace(1e-5, 1e3, 49)
_LEAST = 1e-6  # variance of a mean, points squared: less is no noise


class Truth:
    """The curves of a table, after 1 to c cycles, and its noise.

    seeds, cycles, epochs: how many seeds and cycles the table has, and the length of a cycle. values: (1601,) of the
    setting. curves: (c, 1601), in percent. main: effects (n, c) of the table's seeds.
    interaction: (k, n, c). Both have the variance of the table, estimated without bias, as their mean square.
    """

    def __init__(self, table: Table) -> None:
        scores, self.epochs = table.scores, table.epochs
        k, n, cycles = scores.shape
        self.seeds, self.cycles = n, cycles
        self.nodes = np.log10(table.values)
        self._grid = np.linspace(self.nodes[0], self.nodes[-1], _GRID)
        self.values, means, of_seeds = 10.0**self._grid, scores.mean(axis=1), scores.mean(axis=0)
        interaction = scores - means[:, None] - of_seeds + of_seeds.mean(axis=0)
        self.interaction = interaction * np.sqrt(k * n / ((k - 1) * (n - 1)))
        self.interaction_variance = (self.interaction**2).mean(axis=(0, 1))
        main, raw = of_seeds - of_seeds.mean(axis=0), of_seeds.var(axis=0, ddof=1)
        self.main_variance = np.maximum(raw - self.interaction_variance / k, 0.0)
        self.main = main * np.sqrt(self.main_variance / np.maximum(main.var(axis=0), 1e-300))
        noise = np.maximum(self.interaction_variance / n, _LEAST)
        self.curves = np.stack([self._curve(means[:, c], noise[c]) for c in range(cycles)])

    def _curve(self, means: np.ndarray, variance: float) -> np.ndarray:
        """The spline (1601,) through means (k,), of which one is uncertain by ``variance``.

        One penalty has to do for the top and for a steep fall beside it: distances below the best go by log1p.
        """
        below = np.maximum(means.max() - means, 0.0) / _REFERENCE
        y, of_y = -_REFERENCE * np.log1p(below), variance / (1.0 + below) ** 2
        risks = []
        for penalty in _PENALTIES:
            smoother = make_smoothing_spline(self.nodes, np.eye(len(y)), w=1.0 / of_y, lam=penalty)(self.nodes)
            risks.append(((y - smoother @ y) ** 2 / of_y).sum() + 2.0 * np.trace(smoother))
        spline = make_smoothing_spline(self.nodes, y, w=1.0 / of_y, lam=_PENALTIES[np.argmin(risks)])
        curve: np.ndarray = means.max() - _REFERENCE * np.expm1(-spline(self._grid) / _REFERENCE)
        return curve

    def at(self, value: float) -> np.ndarray:
        """The curves (c,) at a value; beyond the table that of its end."""
        place = np.interp(np.log10(value), self._grid, np.arange(_GRID)) if value > 0.0 else 0.0
        low = min(int(place), _GRID - 2)
        found: np.ndarray = self.curves[:, low] + (place - low) * (self.curves[:, low + 1] - self.curves[:, low])
        return found

    def best(self, cycles: int) -> float:
        """The value at which the curve after so many cycles is highest."""
        return float(self.values[self.curves[cycles - 1].argmax()])

    def regret(self, value: float, cycles: int) -> float:
        """How many points the curve after so many cycles is lower at a value than at its highest."""
        return float(self.curves[cycles - 1].max() - self.at(value)[cycles - 1])


class VirtualRuns:
    """Scores of runs that are drawn; one of the same value and seed has the same however often it is asked for.

    A seed is one of the table's for its main effect. The interaction is that of any seed at one of the two values of
    the table beside, the nearer the likelier; all cycles of a run have those of one seed and value.
    """

    def __init__(self, truth: Truth, rng: np.random.Generator) -> None:
        self._truth, self._rng = truth, rng
        self._main: dict[int, np.ndarray] = {}
        self._runs: dict[tuple[float, int], np.ndarray] = {}

    def scores(self, value: float, seed: int) -> np.ndarray:
        """Percent (c,) after 1 to c cycles."""
        if (value, seed) not in self._runs:
            self._runs[value, seed] = self._truth.at(value) + self._of_seed(seed) + self._residual(value)
        return self._runs[value, seed]

    def _of_seed(self, seed: int) -> np.ndarray:
        if seed not in self._main:
            self._main[seed] = self._truth.main[self._rng.integers(len(self._truth.main))]
        return self._main[seed]

    def _residual(self, value: float) -> np.ndarray:
        nodes, of = self._truth.nodes, self._truth.interaction
        place = np.interp(np.log10(value), nodes, np.arange(len(nodes))) if value > 0.0 else 0.0
        node = int(place) + int(self._rng.random() < place - int(place))
        found: np.ndarray = of[node, self._rng.integers(of.shape[1])]
        return found
