"""Finding: which way of searching comes nearest to the best value, and what each costs, by plays on a table of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from kls.analysis.statistics import Interval, holm, mean_interval, moments, share_interval, welch
from kls.analysis.tables import rows_table
from kls.analysis.wording import listed
from kls.config.study_file import PlayedWays
from kls.plots.costs import Way, plot_costs
from kls.report.document import Block, Paragraph, Picture, TableBlock
from kls.report.pictures import FORMATS
from kls.study.findings.common import Context

_TITLE = "Ways of searching: cost and regret"
_NOTE = (
    "Regret: points of true validation accuracy, after all cycles of the table, that the value which a play names is "
    "below the best one; behind the mean its 95 % interval. Spread: standard deviation of log10 of the value named. "
    "Holds: how often the 95 % interval of a search by a curve holds the best value of runs as long as the curve's. "
    "A grid names one of its own values, so that its regret is decided by how near one of them happens to lie."
)


class _Played(NamedTuple):
    """The plays of a way on the table of a network.

    holds: how often its interval holds the best value, "-" without one.
    """

    way: str
    epochs: float
    regret: np.ndarray
    mean: Interval
    high: float
    row: dict[str, str]
    holds: str

    @property
    def words(self) -> str:
        return f"{self.way} {self.mean.centre:.2f} ({self.high:.2f}) for {self.epochs:,.0f} epochs"


def plays(finding: PlayedWays, found: pd.DataFrame, context: Context) -> tuple[str, list[Block]]:
    """A sentence or two for each network, a table and a picture. found: columns `names.PLAY_COLUMNS`."""
    sentences, rows, panels = list[str](), list[dict[str, str]](), list[tuple[str, list[Way]]]()
    for network in found["network"].unique():
        own = found[found["network"] == network]
        ways = [_played(way, own[own["way"] == way]) for way in own["way"].unique()]
        sentences.append(f"{network}: {_sentences(ways, finding.published)}")
        rows += [{"network": network, **way.row} for way in ways]
        drawn = [Way(w.way, w.epochs, w.mean.centre, w.high, w.way in finding.published) for w in ways]
        panels.append((network, drawn))
    n, seeds = found["play"].nunique(), listed([f"{seeds:g}" for seeds in found["seeds"].unique()])
    sentences.append(
        f"Regret is told as mean (95th percentile) of {n:,} plays of each way on one table of {seeds} seeds; how well "
        "such a table knows a network is not in it."
    )
    name = f"{context.stem}plays.png"
    plot_costs(panels, context.folder / name, _TITLE, FORMATS)
    caption = f"{_TITLE}: marks are means of {n:,} plays, lines reach to the 95th percentile; 0.01 stands for less."
    picture = Picture(name, caption, "Regret of ways of searching against their epochs", context.folder)
    table = TableBlock(rows_table(rows, ["network", "way"]))
    return " ".join(sentences), [Paragraph(f"{_TITLE}:"), table, Paragraph(_NOTE, "note"), picture]


def _played(way: str, own: pd.DataFrame) -> _Played:
    regret = own["regret"].to_numpy(np.float64)
    mean, high, epochs = mean_interval(regret), float(np.quantile(regret, 0.95)), float(own["epochs"].mean())
    curves, holds = own.dropna(subset=["low", "high", "best"]), "-"
    if len(curves):
        held = curves["best"].between(curves["low"], curves["high"])
        share = share_interval(int(held.sum()), len(held))
        holds = f"{100.0 * share.centre:.1f} % (95 % interval {100.0 * share.low:.1f} to {100.0 * share.high:.1f} %)"
    ends = f" ({max(mean.low, 0.0):.3f} to {mean.high:.3f})" if mean.known else ""
    row = {
        "way": way,
        "epochs": f"{epochs:,.0f}",
        "mean regret": f"{mean.centre:.3f}{ends}",
        "95th percentile": f"{high:.3f}",
        "mean after 2 cycles": f"{own['regret_2'].mean():.3f}",
        "spread": f"{moments(np.log10(own['value'].to_numpy(np.float64))).sd:.2f}",
        "holds": holds,
    }
    return _Played(way, epochs, regret, mean, high, row, holds)


def _sentences(ways: Sequence[_Played], published: Sequence[str]) -> str:
    """Of one network: which published way was best, what it cost and what the others did."""
    theirs = sorted((way for way in ways if way.way in published), key=lambda way: way.mean.centre)
    others = [way for way in ways if way.way not in published]
    if not theirs:
        return f"mean regret in points (95th percentile): {'; '.join(way.words for way in others)}."
    best, *rest = theirs
    text = (
        f"of the published searches {best.way} had the least regret, {best.mean.centre:.2f} points on average (95th "
        f"percentile {best.high:.2f}), for {best.epochs:,.0f} epochs"
    )
    tied = _tied(best, rest)
    text += f"; {listed(tied)} cannot be told from it" * bool(tied)
    text += f". The others: {'; '.join(way.words for way in rest)}" * bool(rest)
    text += f". Beside them: {'; '.join(way.words for way in others)}" * bool(others)
    held = [f"; the interval of {way.way} held the best value in {way.holds}" for way in ways if way.holds != "-"]
    return f"{text}{''.join(held)}."


def _tied(best: _Played, rest: Sequence[_Played]) -> list[str]:
    """The ways whose mean regret is not told from that of the best (Welch's test, Holm's method, 5 % level)."""
    p = holm(np.array([welch(moments(way.regret), moments(best.regret)).p for way in rest], np.float64))
    return [way.way for way, own in zip(rest, p, strict=True) if not own < 0.05]
