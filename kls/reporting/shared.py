"""Quantities that several studies published, side by side, and whether they agree with each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kls.aggregate.tables import Column, Table
from kls.reporting.comparison import CHANCE, INSIDE, Compared
from kls.reporting.intervals import spread_ratio
from kls.reporting.wording import is_accuracy, listed, mean_of, mean_said, name_of, number
from kls.studies.definition import Figure, Study

_DOUBT = 0.05
_TEST = "test_accuracy"


@dataclass(frozen=True)
class Quantity:
    """Figures of several studies, by key, that are compared with the same runs."""

    what: str
    compared: Mapping[str, Sequence[Compared]]

    @property
    def all(self) -> list[Compared]:
        return [c for own in self.compared.values() for c in own]

    @property
    def inside(self) -> tuple[int, int]:
        """How many figures lie inside our spread or at chance as ours, of how many that can be judged."""
        verdicts = [c.verdict for c in self.all if c.ours is not None and c.ours.n > 1]
        return sum(verdict in (INSIDE, CHANCE) for verdict in verdicts), len(verdicts)

    @property
    def agreement(self) -> tuple[float, float, float] | None:
        """sd of the published figures, one a study, that over our sd, and the p value; None where it says nothing."""
        first = [own[0] for own in self.compared.values()]
        ours = first[0].ours
        if ours is None or ours.n < 2 or ours.sd == 0.0 or len({c.figure.score for c in first}) > 1:
            return None
        published = np.array([c.figure.published for c in first])
        ratio, p = spread_ratio(published, ours.values)
        return float(published.std(ddof=1)), ratio, p


def shared_quantities(compared: Sequence[tuple[Study, Sequence[Compared]]]) -> list[Quantity]:
    """Those that at least two studies compare with the same runs of the same step's folder."""
    found: dict[object, dict[str, list[Compared]]] = {}
    for study, own in compared:
        for c in own:
            if is_accuracy(c.figure.score):
                found.setdefault(_runs_of(study, c.figure), {}).setdefault(study.key, []).append(c)
    return [Quantity(_words(by_key), by_key) for by_key in found.values() if len(by_key) > 1]


def _runs_of(study: Study, figure: Figure) -> object:
    where = frozenset((key, str(value)) for key, value in figure.where.items())
    return study.step(figure.step).folder, where, figure.rank, frozenset(figure.near.items())


def _words(by_key: Mapping[str, Sequence[Compared]]) -> str:
    """The shortest of what the studies call it."""
    return min((c.figure.what for own in by_key.values() for c in own), key=len)


def shared_table(quantities: Sequence[Quantity], studies: Sequence[str]) -> Table:
    """A row a quantity, a column a study."""
    columns = [Column("accuracy, %", [quantity.what for quantity in quantities])]
    for key in studies:
        cells = [_cell(quantity.compared.get(key, ())) for quantity in quantities]
        columns.append(Column(key, cells, number=True))
    columns.append(Column("ours", [_ours(quantity) for quantity in quantities], number=True))
    columns.append(Column("inside ours", ["{} of {}".format(*quantity.inside) for quantity in quantities], number=True))
    return Table(columns, [])


def _cell(own: Sequence[Compared]) -> str:
    """A study's figures of the score of its first one."""
    return "; ".join(_published(c) for c in own if c.figure.score == own[0].figure.score) or "-"


def _published(compared: Compared) -> str:
    figure = compared.figure
    sd = f" ± {number(figure.score, figure.sd)}" if figure.sd is not None else ""
    return number(figure.score, figure.published) + sd + _split(figure.score)


def _split(score: str) -> str:
    return "" if score == _TEST else f" ({name_of(score).removesuffix(' accuracy')})"


def _ours(quantity: Quantity) -> str:
    first = [own[0] for own in quantity.compared.values()]
    own = {c.figure.score: c.ours for c in first if c.ours is not None}
    return "; ".join(mean_of(score, ours) + _split(score) for score, ours in own.items()) or "-"


def agreement_said(quantities: Sequence[Quantity]) -> list[str]:
    """Which published figures differ by more than seeds explain, a sentence a quantity."""
    lines = []
    for quantity in quantities:
        found, own = quantity.agreement, quantity.all[0].ours
        if found is None or own is None:
            continue
        sd, ratio, p = found
        values = listed([number(_TEST, published) for published in sorted(_one_each(quantity))])
        verdict = f"differ by {'more' if p < _DOUBT else 'no more'} than seeds explain"
        chance = f"p = {p:.2g}" if p >= 1e-3 else "p < 0.001"
        seeds = f"{mean_said(quantity.all[0].figure.score, own.values)}, n = {own.n}; F test, {chance}"
        ratios = f"their standard deviation, {sd:.2f} points, is {ratio:.2g} times that of our seeds"
        lines.append(f"{quantity.what}: {values} % {verdict}: {ratios} ({seeds}).")
    return lines


def _one_each(quantity: Quantity) -> list[float]:
    return [own[0].figure.published for own in quantity.compared.values()]
