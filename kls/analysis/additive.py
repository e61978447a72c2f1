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

    seed, place: (m,) of each run, numbers from 0. weight: (k, k), the precision of the means in units of that of a run,
    n_k of place k on its diagonal; less where seeds with holes leave it open how places compare. seeds_apart: whether
    effects of seeds can be told from noise; if not, they are part of it.
    """

    y: np.ndarray
    seed: np.ndarray
    place: np.ndarray
    weight: np.ndarray
    seeds_apart: bool

    @property
    def means(self) -> np.ndarray:
        """Of each place (k,)."""
        return np.bincount(self.place, self.y) / np.bincount(self.place)

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
    n, of_seed = counts.sum(axis=0), counts.sum(axis=1)
    if (counts == counts[0]).all():  # every seed as often at each place as the others
        means = np.bincount(own, y) / of_seed
        return Additive(y - means[own] + y.mean(), own, place, np.diag(n), True)
    single, (inner, dof) = _rest(y, None, place)[0], _rest(y, own, place)
    if not dof:
        return Additive(y, own, place, np.diag(n), False)
    ranks = y.size - dof - n.size  # of the seeds, beyond the places
    spread = (single - inner) / max(inner / dof, 1e-300) - ranks
    ratio = float(np.clip(spread / (y.size - (counts**2 / n).sum()), _LEAST, _MOST))
    shrunk = counts / (of_seed + 1.0 / ratio)[:, None]
    weight = np.diag(n) - counts.T @ shrunk
    places = np.linalg.solve(weight, np.bincount(place, y) - shrunk.T @ np.bincount(own, y))
    effects = np.bincount(own, y - places[place]) / (of_seed + 1.0 / ratio)
    level = weight.sum(axis=0)  # of all scores, which says nothing of the place: as if no seed moved it
    pinned = weight + np.outer(level, level) * (y.size / level.sum() - 1.0) / level.sum()
    return Additive(y - effects[own], own, place, pinned, True)


def _rest(y: np.ndarray, seed: np.ndarray | None, place: np.ndarray) -> tuple[float, int]:
    """Sum of squares that places, and seeds if given, leave, and its degrees of freedom."""
    if seed is None:
        return float(((y - (np.bincount(place, y) / np.bincount(place))[place]) ** 2).sum()), y.size - place.max() - 1
    design = np.hstack([np.equal.outer(part, np.arange(part.max() + 1)) for part in (place, seed)]).astype(np.float64)
    found, _, rank, _ = np.linalg.lstsq(design, y - y.mean())
    return float(((y - y.mean() - design @ found) ** 2).sum()), y.size - int(rank)
