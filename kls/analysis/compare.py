"""Which groups are not told apart from the best."""

from __future__ import annotations

import numpy as np
import pandas as pd

from kls.analysis.groups import Groups, refuse_several
from kls.analysis.runs import SECTION
from kls.analysis.statistics import LEVEL, difference, holm
from kls.records import names


def with_ties(groups: Groups) -> pd.DataFrame:
    """For each group its mean validation accuracy minus that of the best, as a share, and whether the two are tied.

    Columns: difference, its 95 % interval low and high, p, detectable (the smallest difference that so many seeds show
    in 80 % of cases), tied. p is corrected by Holm's method for all pairs of groups, not for those with the best alone,
    since the same scores chose it. A group of one run has NaN and is not tied; the best is, with itself.

    Raises UserError if the groups are of several sections.
    """
    refuse_several(groups, list(groups.table.index), "groups that are compared", SECTION)
    ties = pd.DataFrame(np.nan, groups.table.index, ["difference", "low", "high", "detectable", "p"])
    compared = ties.index[groups.table[f"{names.VAL_ACCURACY}_n"] > 1]
    if len(compared) > 1:
        best, *others = (groups.samples(i, names.VAL_ACCURACY).values for i in compared)
        found = [difference(other, best) for other in others]
        p = np.ones(len(compared) * (len(compared) - 1) // 2)
        p[: len(found)] = [change.p for change in found]
        rows = [(d.interval.centre, d.interval.low, d.interval.high, d.detectable) for d in found]
        ties.loc[compared[1:]] = np.column_stack([rows, holm(p)[: len(found)]])
    ties["tied"] = ties["p"].gt(1.0 - LEVEL) | (ties.index.isin(compared[:1]) & (len(compared) > 1))
    return ties
