"""The place of an optimum, with an interval, from a smooth curve through all scores.

Gaussian-process regression with a Matérn kernel (nu = 7/2): Rasmussen & Williams, Gaussian Processes for Machine
Learning (2006), in the reduced-rank form of Solin & Särkkä, Statistics and Computing 30 (2020). Length-scale,
amplitude and noise have flat priors of their logarithms and are averaged over by their posterior probability. Scores
are taken to be smooth over more than a decade of a setting that is searched on a logarithmic scale: curves with shorter
length-scales follow the noise, and a search that goes by them finds worse values (`kls study questions`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.linalg import solve_triangular
from scipy.special import softmax

from kls.analysis.additive import additive
from kls.analysis.statistics import LEVEL, Interval, complete
from kls.errors import UserError

FEWEST_PLACES = 5  # values of a setting of a curve that is shown, or chosen by

_TAILS = [(1.0 - LEVEL) / 2, (1.0 + LEVEL) / 2]
_DRAWS = 2000
_POINTS = 401  # of the curve, between the smallest and the largest value tried
_AT_END = 4  # points from an end
_HALF_WIDTH = 1.6  # of the basis functions' domain, in half ranges of x
_FREQUENCIES = np.pi * np.arange(1, 41) / (2.0 * _HALF_WIDTH)
_SHORTEST, _LONGEST, _N_LENGTHS = 0.1, 3.0, 12  # length-scales, in half ranges of x
_SMOOTH = 1.2  # decades: the shortest length-scale in a logarithm, but no more than
_SMOOTHEST = 0.6  # half ranges
_AMPLITUDES = np.geomspace(0.3, 300.0, 14)[:, None]  # standard deviations of the curve over that of a run
_CONSTANT = 1e3


@dataclass(frozen=True)
class Optimum:
    """The place of the highest score with its 95 % interval, in units of x, and the curve through all scores.

    flat: smallest and largest x around the place at which the curve cannot be told from the highest (5 % level).
    at_end: "smallest" or "largest" if the place is within 1 % of the range from that x: the optimum may lie beyond.
    x, mean, low, high: the curve (401,) with its pointwise 95 % band, in the scores' units.
    """

    place: Interval
    flat: tuple[float, float]
    at_end: str | None
    x: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def optimum(x: np.ndarray, scores: pd.DataFrame | pd.Series[float] | np.ndarray, log: bool) -> Optimum:
    """Where the highest score is expected.

    Scores of several seeds tell the noise by the interaction of seeds and places, for what a seed changes everywhere
    does not move the optimum (see `additive`); of single runs it is estimated with the curve. The interval of the place
    is that of the highest points of 2000 curves drawn from the posterior, with a fixed seed. Scores that jump, as
    between learning rates that converge and diverge, are not what the method is for: leave out runs that diverged.

    x: (k,) values of a setting. scores: (k,) of single runs, or (n, k), a row for each seed, NaN where there is no run;
    rows with the same index are further runs of one seed. log: whether the curve is smooth in the logarithm of x.

    Raises UserError if fewer than two different x have a score, or if ``log`` and an x is not positive.
    """
    fit = _Fit(x, scores, log)
    middle, curves = fit.means()[0], fit.draws()
    highest = int(middle.argmax())
    centre, ends = float(fit.grid[highest]), np.quantile(fit.grid[curves.argmax(axis=0)], _TAILS)
    place = Interval(centre, min(float(ends[0]), centre), max(float(ends[1]), centre))
    lower = np.flatnonzero((curves >= curves[highest]).mean(axis=1) < 1.0 - LEVEL)
    first, last = lower[lower < highest].max(initial=-1) + 1, lower[lower > highest].min(initial=_POINTS) - 1
    flat = (float(fit.grid[first]), float(fit.grid[last]))
    end = "smallest" if highest < _AT_END else "largest" if highest >= _POINTS - _AT_END else None
    return Optimum(place, flat, end, fit.grid, *fit.scores(np.vstack([middle, np.quantile(curves, _TAILS, axis=1)])))


def top(x: np.ndarray, scores: pd.DataFrame | pd.Series[float] | np.ndarray, log: bool) -> float:
    """The place of `optimum` without its interval, in a fifth of the time. Arguments as there."""
    fit = _Fit(x, scores, log)
    return float(fit.grid[fit.means()[0].argmax()])


def by_seed(runs: Iterable[tuple[float, int, float]]) -> pd.DataFrame:
    """Scores of runs (x, seed, score) as a table: a row for each seed, a column for each x, NaN where there is none."""
    return pd.DataFrame(runs, columns=["x", "seed", "score"]).pivot_table("score", "seed", "x")


def seed_optima(x: np.ndarray, scores: pd.DataFrame, log: bool) -> pd.Series[float]:
    """Where the curve of each seed alone is highest, in units of x, indexed by seed. Arguments as of `optimum`.

    These curves are as smooth as that of the mean scores, for smoother ones have biased optima. An end is that x.
    """
    whole = complete(scores)
    fit = _Fit(x, whole, log)
    return pd.Series(fit.grid[fit.means(fit.runs.y.reshape(whole.shape)).argmax(axis=1)], index=whole.index)


class _Fit:
    """The posterior of a curve through the means of runs, whose scores far below the best are brought nearer by a
    logarithm, which moves no maximum, for one length-scale has to do for the top and for a steep fall beside it."""

    def __init__(self, x: np.ndarray, scores: pd.DataFrame | pd.Series[float] | np.ndarray, log: bool) -> None:
        table = scores if isinstance(scores, pd.DataFrame) else pd.DataFrame(np.asarray(scores, np.float64)[None])
        y = table.to_numpy(np.float64)
        there = np.isfinite(y).any(axis=0)
        x = np.asarray(x, np.float64)[there]
        if np.unique(x).size < 2 or (log and x.min() <= 0.0):
            raise UserError("an optimum needs results at two values" + log * ", all above 0")
        self._prior = _prior(_shortest(x) if log else _SHORTEST)
        self.grid = (np.geomspace if log else np.linspace)(x.min(), x.max(), _POINTS)
        position = np.log(x) if log else x
        self._basis = _basis(2.0 * (position - position.min()) / np.ptp(position) - 1.0)
        runs = additive(y[:, there], pd.factorize(table.index)[0])
        means = runs.means
        self._best = runs.y.max()
        self._reference = np.ptp(means) or np.ptp(runs.y) or 1.0
        self.runs = runs.changed(-self._reference * np.log1p((self._best - runs.y) / self._reference))
        self._centre, self._weighted = self.runs.y.mean(), runs.weighted(self._basis.T)
        gram = self._prior[:, :, None] * (self._weighted @ self._basis) * self._prior[:, None, :]
        # Cholesky factors (168, 41, 41) of the weights' precision, in units of the noise variance
        self._factor = np.linalg.cholesky(gram + np.eye(self._prior.shape[1]))
        means, k = self.runs.means - self._centre, len(x)
        self._half = self._forward(means[None])[:, :, 0]
        error, known = self.runs.noise
        # with the noise variance integrated out (Rasmussen & Williams, 2.7 and 5.4.1)
        whole = runs.weighted(means[None])[0] @ means
        squares = whole - (self._half**2).sum(axis=1) + (known * error if known else 0.0)
        self._squares, self._dof = np.maximum(squares, 1e-12 * whole + 1e-300), known + k - 1
        determinant = -np.log(np.diagonal(self._factor, axis1=1, axis2=2)).sum(axis=1)
        self._probability = softmax(determinant - self._dof / 2 * np.log(self._squares))

    def scores(self, curve: np.ndarray) -> np.ndarray:
        """Curves in the units of the scores."""
        return self._best - self._reference * np.expm1(-curve / self._reference)

    def means(self, y: np.ndarray | None = None) -> np.ndarray:
        """Posterior mean curves (s, 401) of y (s, k), which may be the means of all seeds; by default of these."""
        half = self._half[:, :, None] if y is None else self._forward(y - self._centre)
        weights = np.zeros(half.shape[1:])
        for p in np.flatnonzero(self._probability > 1e-18):
            weights += self._probability[p] * self._prior[p][:, None] * self._backward(p, half[p])
        return self._centre + (_GRID @ weights).T

    def draws(self) -> np.ndarray:
        """Curves (401, 2000) drawn from the posterior, a column each."""
        rng = np.random.default_rng(0)
        drawn = rng.choice(self._probability.size, _DRAWS, p=self._probability)
        sd = np.sqrt(self._squares[drawn] / rng.chisquare(self._dof, _DRAWS))
        half = self._half[drawn] + sd[:, None] * rng.standard_normal((_DRAWS, self._prior.shape[1]))
        weights = np.empty_like(half)
        for p in np.unique(drawn):
            own = drawn == p
            weights[own] = self._prior[p] * self._backward(p, half[own].T).T
        return self._centre + _GRID @ weights.T

    def _forward(self, y: np.ndarray) -> np.ndarray:
        """The weights' means (168, 41, s) from y (s, k), before `_backward`: a forward substitution for all factors."""
        half = self._prior[:, :, None] * (self._weighted @ y.T)
        for i in range(self._prior.shape[1]):
            half[:, i] -= (self._factor[:, i, None, :i] @ half[:, :i])[:, 0]
            half[:, i] /= self._factor[:, i, i, None]
        return half

    def _backward(self, p: np.intp, half: np.ndarray) -> np.ndarray:
        solved: np.ndarray = solve_triangular(self._factor[p], half, trans="T", lower=True, check_finite=False)
        return solved


def _basis(position: np.ndarray) -> np.ndarray:
    """A constant and sines (k, 41) at positions from -1 to 1 (k,)."""
    return np.hstack([np.ones((len(position), 1)), np.sin((position[:, None] + _HALF_WIDTH) * _FREQUENCIES)])


def _shortest(x: np.ndarray) -> float:
    """The shortest length-scale in log x, in half ranges."""
    return float(np.clip(_SMOOTH / (0.5 * np.log10(x.max() / x.min())), _SHORTEST, _SMOOTHEST))


@lru_cache(maxsize=8)
def _prior(shortest: float) -> np.ndarray:
    """Standard deviations (168, 41) of the weights of `_basis`, by the kernel's spectral density."""
    lengths = np.geomspace(shortest, _LONGEST, _N_LENGTHS)[:, None]
    density = (7.0 / lengths**2 + _FREQUENCIES**2) ** -4.0
    sines = _AMPLITUDES * np.sqrt(2.0 * density / density.sum(axis=1, keepdims=True))[:, None, :]
    return np.pad(sines.reshape(-1, _FREQUENCIES.size), ((0, 0), (1, 0)), constant_values=_CONSTANT)


_GRID = _basis(np.linspace(-1.0, 1.0, _POINTS))
