"""What the smooth curve through the trials of a search says: the best value, its interval, and what is as good."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from kls.analysis import curve
from kls.analysis.runs import Runs
from kls.analysis.search import Search, searches
from kls.analysis.wording import counted, is_accuracy, listed, number, setting_text, unit
from kls.errors import UserError


@dataclass(frozen=True)
class SearchOptimum:
    """The optimum of a search for one number, in one budget.

    scores: by seed (rows) and value (columns), NaN where there is no run. curve: through them, in record units; of a
    loss at the smallest.
    """

    search: Search
    scores: pd.DataFrame
    curve: curve.Optimum

    @property
    def runs(self) -> int:
        return int(self.scores.count().sum())

    @property
    def single(self) -> bool:
        """Whether each value has one run."""
        return self.runs == self.scores.shape[1]

    @cached_property
    def highest(self) -> tuple[float, float]:
        """The value with the best mean of its runs, and that mean."""
        means = self.scores.mean()
        best = int((_sign(self.search.score) * means).to_numpy().argmax())
        return float(self.scores.columns[best]), float(means.iloc[best])

    @property
    def tried(self) -> str:
        """For example "20 runs" or "12 runs at 4 values"."""
        return counted(self.runs, "run") + ("" if self.single else f" at {counted(self.scores.shape[1], 'value')}")

    @property
    def place(self) -> str:
        return f"{self.curve.place.centre:.3g}"

    @property
    def interval(self) -> str:
        """The 95 % interval of the place, for example "0.001 to 0.004"."""
        return f"{self.curve.place.low:.3g} to {self.curve.place.high:.3g}"

    @property
    def flat(self) -> str:
        """The values that cannot be told from the best, for example "0.001 to 0.004"."""
        return f"{self.curve.flat[0]:.3g} to {self.curve.flat[1]:.3g}"

    @property
    def highest_text(self) -> str:
        """For example "54.10 % at lam 0.005"."""
        best, mean = self.highest
        score = self.search.score
        return f"{number(score, mean)}{unit(score)} at {self.search.head} {setting_text(best)}"

    def cells(self) -> dict[str, str]:
        """As a row of a table."""
        end = f", {self.curve.at_end} tried" if self.curve.at_end else ""
        return {
            "setting": self.search.head, "budget": self.search.section, "runs": f"{self.runs:,}",
            "seeds": f"{self.scores.index.nunique():,}", "best": self.place + end, "95 % interval": self.interval,
            "flat region": self.flat, "best mean tried": self.highest_text,
        }  # fmt: skip


def search_optimum(search: Search) -> SearchOptimum:
    """The optimum of one search. Raises UserError if its runs differ in other settings, or fewer than two values."""
    if search.others:
        raise UserError(f"the runs of {search.head} differ in other settings: {listed(search.others)}")
    trials = search.trials[~search.trials["repeated"]]
    trials = trials[trials["x"] > 0] if search.log else trials
    trials = trials.assign(seeds=trials["seeds"].map(str))
    again = trials.groupby(["seeds", "x"]).cumcount()  # further runs of a seed at a place have rows of their own
    scores = trials.assign(again=again).pivot_table("score", ["seeds", "again"], "x").droplevel("again")
    sign, x = _sign(search.score), scores.columns.to_numpy(np.float64)
    found = curve.optimum(x, sign * scores, search.log)
    if sign < 0:
        found = replace(found, mean=-found.mean, low=-found.high, high=-found.low)
    return SearchOptimum(search, scores, found)


def optima(runs: Runs, score: str) -> list[SearchOptimum]:
    """Those of all searches for one number alone that tried enough values of it for a curve."""
    return [found for search in searches(runs, score) if (found := shown_optimum(search)) is not None]


def shown_optimum(search: Search) -> SearchOptimum | None:
    """The optimum of one search; None if it is for several settings at once, or has too few values for a curve."""
    x = search.trials["x"]
    places = x[x > 0].nunique() if search.log else x.nunique()
    return None if search.others or places < curve.FEWEST_PLACES else search_optimum(search)


def _sign(score: str) -> float:
    """-1 of a score that is better the lower it is."""
    return 1.0 if is_accuracy(score) else -1.0
