"""Scores of seeds at places, not all of them there: what a seed changes everywhere, the means, and the noise of a run.

score = place + seed + noise. Where every seed has been at every place, the means over seeds are all there is to it. In
a table with holes the effects of seeds are random: Henderson's mixed-model equations, and his method 3 for their
variance (Biometrics 9 (1953); Searle, Casella & McCulloch, Variance Components (1992), 5.5 and 7.6).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from kls.analysis.statistics import interaction

_LEAST, _MOST = 1.0, 1e6  # variance of seeds over that of a run, where the runs do not say it well


@dataclass(frozen=True)
class Additive:
    """Runs y (m,) without the effects of their seeds.

    seed, place: (m,) of each run, numbers from 0. n: (k,) runs at each place. lost: two arrays (r, k), by whose product
    seeds with holes leave it open how places compare. seeds_apart: whether effects of seeds can be told from noise; if
    not, they are part of it.
    """

    y: np.ndarray
    seed: np.ndarray
    place: np.ndarray
    n: np.ndarray
    lost: tuple[np.ndarray, np.ndarray]
    seeds_apart: bool

    @property
    def means(self) -> np.ndarray:
        """Of each place (k,)."""
        return np.bincount(self.place, self.y) / self.n

    def weighted(self, rows: np.ndarray) -> np.ndarray:
        """Rows (s, k) times the precision (k, k) of the means, in units of that of a run; it is never held whole."""
        left, right = self.lost
        found: np.ndarray = rows * self.n - (rows @ left.T) @ right
        return found

    @property
    def noise(self) -> tuple[float, int]:
        """Variance of a run, and its degrees of freedom; NaN for 0."""
        n, k = int(self.seed.max()) + 1, int(self.place.max()) + 1
        if self.y.size == n * k == np.unique(self.seed * k + self.place).size:
            table = np.empty((n, k))
            table[self.seed, self.place] = self.y
            return interaction(table)
        rest, dof = _rest(self.y, self.seed if self.seeds_apart else None, self.place)
        return (rest / dof if dof else np.nan), dof

    def changed(self, y: np.ndarray) -> Additive:
        """The same runs with other scores."""
        return replace(self, y=y)


def additive(scores: np.ndarray, seed: np.ndarray) -> Additive:
    """Of scores (n, k), NaN where there is no run, a run at least in each column; seed (n,): the number of each row's.

    What a seed that has been everywhere changes is removed as it is; where there are holes, as far as the scores bear.
    """
    row, place = np.nonzero(np.isfinite(scores))
    own, y = seed[row], scores[row, place]
    counts = np.zeros((int(own.max()) + 1, scores.shape[1]))
    np.add.at(counts, (own, place), 1.0)
    n, of_seed, nothing = counts.sum(axis=0), counts.sum(axis=1), (counts[:0], counts[:0])
    if (counts == counts[0]).all():  # every seed as often at each place as the others
        means = np.bincount(own, y) / of_seed
        return Additive(y - means[own] + y.mean(), own, place, n, nothing, True)
    single, (inner, dof) = _rest(y, None, place)[0], _rest(y, own, place)
    if not dof:
        return Additive(y, own, place, n, nothing, False)
    ranks = y.size - dof - n.size  # of the seeds, beyond the places
    spread = (single - inner) / max(inner / dof, 1e-300) - ranks
    ratio = float(np.clip(spread / (y.size - (counts**2 / n).sum()), _LEAST, _MOST))
    shrunk = counts / (of_seed + 1.0 / ratio)[:, None]
    equations = np.diag(of_seed + 1.0 / ratio) - counts / n @ counts.T  # those of the seeds, without the places
    effects = np.linalg.solve(equations, np.bincount(own, _centred(y, place)))
    level = n - of_seed @ shrunk  # of all scores, which says nothing of the place: as if no seed moved it
    pinned = level * (1.0 - y.size / level.sum()) / level.sum()
    apart = (np.vstack([counts, level]), np.vstack([shrunk, pinned]))
    return Additive(y - (effects - effects.mean())[own], own, place, n, apart, True)


def _rest(y: np.ndarray, seed: np.ndarray | None, place: np.ndarray) -> tuple[float, int]:
    """Sum of squares that places, and seeds if given, leave, and its degrees of freedom."""
    rest, rank = _centred(y, place), int(place.max()) + 1
    if seed is not None:
        fewer, more = sorted((seed, place), key=np.max)  # the effects of one are found, the other's are centred out
        counts = np.zeros((int(fewer.max()) + 1, int(more.max()) + 1))
        np.add.at(counts, (fewer, more), 1.0)
        n = counts.sum(axis=0)
        rest = _centred(y, more)
        normal = np.diag(counts.sum(axis=1)) - counts / n @ counts.T
        effects, _, inner, _ = np.linalg.lstsq(normal, np.bincount(fewer, rest), rcond=1e-9)
        rest, rank = _centred(rest - effects[fewer], more), n.size + int(inner)
    return float((rest**2).sum()), y.size - rank


def _centred(y: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Without the mean of each group."""
    return y - (np.bincount(group, y) / np.bincount(group))[group]
