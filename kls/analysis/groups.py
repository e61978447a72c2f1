"""Groups of runs that differ in seeds alone: their means and intervals, best first, and samples of their scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from kls.analysis.columns import codes, determined, differing, in_order, is_number
from kls.analysis.runs import BUDGET, DATA, PICTURES, RESULTS, SECTION, Runs
from kls.analysis.statistics import LEVEL, Interval, difference, holm, mean_interval
from kls.analysis.wording import is_accuracy, listed, number, score_name, setting_label, setting_text, unit
from kls.config.flat_settings import SEEDS
from kls.errors import UserError
from kls.records import names
from kls.records.run_metrics import STATUSES

TEST = names.metric("test", "accuracy")
COUNTED = tuple(status for status in STATUSES if status != names.FINISHED)

_SHOWN = {DATA: "{1}", PICTURES: "pictures {1}", BUDGET: "{1} epochs"}  # in the name of a section


@dataclass(frozen=True)
class Sample:
    """Scores of runs that differ in seeds alone, on one data set.

    values: (n,) in record units; the index has a tuple of seeds for each run (see `flat_settings.SEEDS`).
    label: how these runs were chosen among others, "" if there were no others.
    """

    score: str
    values: pd.Series[float]
    data: str
    label: str = ""

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def mean(self) -> float:
        return float(self.values.mean())

    @property
    def sd(self) -> float:
        """Standard deviation with n - 1 in the denominator; NaN of a single run."""
        return float(self.values.std(ddof=1))

    @property
    def interval(self) -> Interval:
        """95 % interval of the mean, Student's t."""
        return mean_interval(self.values.to_numpy())


@dataclass(frozen=True)
class Groups:
    """Groups of runs, best first: by the worse end of the 95 % interval of the mean of their `Runs.objective`.

    Groups of one run follow by their score, then those without a result.

    Attributes:
        table: one row a group: `SECTION`, settings that differ, runs, ``n_<status>`` of each of `COUNTED`, and for each
            of `scores` ``<score>_n`` (runs averaged), ``_mean``, ``_sd`` (n - 1 in the denominator), ``_low`` and
            ``_high`` (95 % interval of the mean, Student's t); NaN if n is too small.
        keys: columns that tell the groups apart; a model stands for its settings. score: the first of `scores`.
        member: for each run its group, -1 for none; first: for each group one of its runs, as a row of their table.
        values: (runs, scores) of the runs that are averaged, else NaN. seeds: for each of these a tuple.
        averaged_over: columns that differ within a group; more than seeds only if `by` was given.
        repeated: runs left out of the means since another one has the same settings, seeds and data.
    """

    runs: Runs
    table: pd.DataFrame
    keys: list[str]
    score: str
    scores: list[str]
    member: pd.Series[int]
    first: list[int]
    values: pd.DataFrame
    seeds: pd.Series[Any]
    averaged_over: list[str]
    repeated: int

    @property
    def seeds_text(self) -> str:
        """For example "means over seed"."""
        heads = self.runs.heads(self.averaged_over)
        return f"means over {listed(list(heads.values()))}" if heads else "one run each"

    @cached_property
    def ties(self) -> pd.DataFrame:
        """For each group its mean of the `Runs.objective` minus that of the best, and whether the two are tied.

        Columns: difference, detectable (see `statistics.Difference`), p, tied. p is corrected by Holm's method for all
        pairs of groups, not for those with the best alone, since the same scores chose it. A group of one run, or of
        which only some seeds learn, has NaN and is not tied; the best has NaN, and is. Raises UserError if the groups
        are of several sections.
        """
        refuse_several(self, list(self.table.index), "groups that are compared", SECTION)
        ties = pd.DataFrame(np.nan, self.table.index, ["difference", "detectable", "p"])
        chooses = self.runs.objective
        compared = ties.index[(self.table[f"{chooses}_n"] > 1) & ~self.some_learn(names.VAL_ACCURACY)]
        if len(compared) > 1:
            best, *others = (self.samples(i, chooses).values for i in compared)
            found = np.array([(d.interval.centre, d.detectable, d.p) for d in (difference(o, best) for o in others)])
            pairs = len(compared) * (len(compared) - 1) // 2
            found[:, 2] = holm(found[:, 2], pairs - len(found))
            ties.loc[compared[1:]] = found
        ties["tied"] = ties["p"].gt(1.0 - LEVEL) | (ties.index.isin(compared[:1]) & (len(compared) > 1))
        return ties

    @cached_property
    def _rows(self) -> dict[Any, Any]:
        """For each group the places of its runs, in their order."""
        return self.member.groupby(self.member).indices

    @property
    def best(self) -> int:
        """The group that others are compared with, -1 if none can be."""
        return next(iter(self.ties.index[self.ties["tied"] & self.ties["p"].isna()]), -1)

    def some_learn(self, score: str) -> pd.Series[bool]:
        """In which groups some seeds learn and others stay at chance, so that no mean describes them."""
        values = self.values[score].dropna()
        learned = pd.Series(self.runs.learned(score, values.to_numpy()), values.index).groupby(self.member)
        return (learned.any() & ~learned.all()).reindex(self.table.index, fill_value=False)

    def samples(self, i: int, score: str | None = None) -> Sample:
        """The scores of group i; ``score`` is one of `scores`, by default the first."""
        score = score or self.score
        values = self.values[score].iloc[self._rows.get(i, [])].dropna()
        seeds = pd.Index(self.seeds.to_numpy()[values.index], tupleize_cols=False)
        return Sample(score, values.set_axis(seeds), str(self.table.at[i, DATA]))

    def labels(self) -> list[str]:
        """For each group what tells it from the others, such as "3layer_bn, lam 0.01"."""
        keys = differing(self.table, self.keys)
        heads = self.runs.heads(keys)
        rows = self.table[["runs", *keys]].to_dict("records")
        return [", ".join(setting_label(heads[key], row[key]) for key in keys) or "all runs" for row in rows]

    def order(self, sort: str | None = None) -> list[int]:
        """The groups in the order of a column or of its mean, "-lam" for descending; by the keys if None.

        Raises UserError if there is no such column.
        """
        if sort is not None:
            column = self.runs.column(sort.removeprefix("-"))
            for name in {column, f"{column}_mean"} & {*self.table.columns}:
                return in_order(self.table, [name], sort.startswith("-")).tolist()
        stages = dict.fromkeys(stage.name for sweep in self.runs.sweeps.values() for stage in sweep.stages)
        ranks, table = {name: i for i, name in enumerate(stages)}, self.table
        if "stage" in table:
            table = table.assign(stage=[ranks.get(name, name) for name in table["stage"]])
        return in_order(table, self.keys).tolist()


def learn_text(runs: Runs, sample: Sample) -> tuple[int, str]:
    """How many seeds learn, and the range of their scores, such as "29.00 to 47.00 %"; "" if none does."""
    own = sample.values[runs.learned(sample.score, sample.values.to_numpy())]
    ends = dict.fromkeys(number(sample.score, end) for end in (own.min(), own.max()))
    return len(own), " to ".join(ends) + unit(sample.score) if len(own) else ""


def modes_text(runs: Runs, sample: Sample) -> str:
    """For example "4 of 5 seeds learn: 29.00 to 47.00 %"; "" if all or none learn, so that a mean describes them."""
    learn, ends = learn_text(runs, sample)
    return f"{learn} of {sample.n} seeds learn: {ends}" if 0 < learn < sample.n else ""


def group_runs(runs: Runs, score: str | None = None, by: Sequence[str] = ()) -> Groups:
    """Group runs by stage and all settings that differ but the seeds; or by the columns `by`.

    Runs on different data, of different sweeps or budgets are never in one group. Finished and diverged runs are
    averaged, others counted; a run that failed before it had read its data counts in the only group that it can belong
    to, if there is one. score: by default the `Runs.objective`. Raises UserError if a name in `by` is no column, or no
    run has the score.
    """
    frame, varying, chooses = runs.frame, runs.differing(), runs.objective
    score = score or chooses
    if score not in frame:
        raise UserError(f"no run has a {score_name(score)}")
    keys = ["stage", "model", *(key for key in varying if key not in SEEDS)]
    if by:
        keys = [*map(runs.column, by), *(key for key in varying if key.startswith("data.test_augmentation."))]
    parts = list(dict.fromkeys([*SECTION, *keys]))
    coded = runs.coded.join(codes(frame, [key for key in parts if key not in runs.coded]))
    group = numbered(runs, coded[parts])
    repeated = coded[varying].assign(group=group)[frame[names.STATUS].isin(RESULTS) & (group >= 0)].duplicated()
    averaged = repeated.index[~repeated]
    values = frame.reindex(columns=list(dict.fromkeys([score, chooses, names.VAL_ACCURACY, *runs.scores])))
    values = values.loc[averaged].apply(pd.to_numeric, errors="coerce").astype(np.float64).reindex(frame.index)
    tested = [TEST] if TEST in values and values[TEST].count() else []
    scores = list(dict.fromkeys([score, chooses, names.VAL_ACCURACY, *tested]))

    first = group[frame[PICTURES].notna()].drop_duplicates()
    counts = {f"n_{status}": (frame[names.STATUS] == status).groupby(group).sum() for status in COUNTED}
    numbers = [pd.DataFrame({"runs": group.value_counts(), **counts}), *(_means(values[s], group) for s in scores)]
    table = frame.loc[first.index, parts].set_axis(first.to_numpy()).join(pd.concat(numbers, axis="columns"))
    section = table.groupby(list(SECTION), dropna=False, sort=False).ngroup()
    sign, end = (-1.0, "low") if is_accuracy(chooses) else (1.0, "high")
    n, mean, worse = (table[f"{chooses}_{part}"] for part in ("n", "mean", end))
    order = np.lexsort((sign * worse.where(n > 1, mean), -np.minimum(n, 2), section))
    member = group.map(dict(zip(table.index[order], range(len(order)), strict=True))).fillna(-1).astype(int)
    table, first = table.iloc[order].reset_index(drop=True), first.iloc[order]

    over, coded = list[str](), coded.loc[averaged]
    for key in sorted(varying, key=lambda key: key not in SEEDS):
        if key not in parts and not determined(coded, key, [*parts, *over]):
            over.append(key)
    drawn = frame.loc[averaged, list(dict.fromkeys([*(key for key in SEEDS if key in frame), *over]))]
    seeds = pd.Series(list(drawn.itertuples(index=False, name=None)), drawn.index, dtype=object).reindex(frame.index)
    keys, again = [*differing(table, SECTION), *(keys if by else _telling(table, keys))], int(repeated.sum())
    return Groups(runs, table, keys, score, scores, member, first.index.tolist(), values, seeds, over, again)


def numbered(runs: Runs, coded: pd.DataFrame) -> pd.Series[int]:
    """For each run the number of its part of the table, which is all runs with its values in the columns coded.

    A run that failed before it had read its data belongs to the only part that has its values, else to none, -1.
    """
    frame, parts, lost = runs.frame, list(coded), runs.frame[PICTURES].isna()
    found, placed = coded[~lost].drop_duplicates(), coded.where(~lost)
    for _, alike in coded[lost].groupby(parts):
        known = frame.loc[alike.index[0], parts].dropna().index
        match = found[(found[known] == alike[known].iloc[0]).all(axis="columns")]
        if len(match) == 1:
            placed.loc[alike.index] = match.to_numpy(np.float64)
    return placed.dropna().groupby(parts, sort=False).ngroup().reindex(frame.index, fill_value=-1)


def _means(values: pd.Series[float], group: pd.Series[int]) -> pd.DataFrame:
    """n, mean, sd and the ends of the 95 % interval of a score, for each group."""
    found = values.groupby(group).agg(n="count", mean="mean", sd="std")
    half = stats.t.ppf((1.0 + LEVEL) / 2.0, found["n"] - 1) * found["sd"] / np.sqrt(found["n"])
    return found.assign(low=found["mean"] - half, high=found["mean"] + half).add_prefix(f"{values.name}_")


def _telling(table: pd.DataFrame, keys: Sequence[str]) -> list[str]:
    """The keys that differ, without those that the model, or a text of the same part of conf/, settles.

    A number settles nothing: in a random search each one would settle all others.
    """
    kept, texts = list[str](), [key for key in keys if not table[key].map(is_number).any()]
    for key in differing(table, dict.fromkeys([*texts, *keys])):
        before = [other for other in kept if other in texts and other.split(".")[0] == key.split(".")[0]]
        if not before or not determined(table, key, before):
            kept.append(key)
    return [key for key in keys if key in kept]


class Section(NamedTuple):
    """Runs that may be ranked together; the name has their data, their budget, and in what other sections differ."""

    name: str
    runs: Runs


def sections(runs: Runs) -> list[Section]:
    """For each data set, sweep and budget its runs: the largest data set first, of a sweep the longest training.

    A run that failed before it had read its data is in the only section that it can belong to, if there is one.
    """
    frame, number = runs.frame, numbered(runs, runs.coded[list(SECTION)])
    first = frame.loc[number[frame[PICTURES].notna()].drop_duplicates().index]
    sizes, sweeps = frame[PICTURES].value_counts(), list(frame["sweep"].unique())
    shown = [key for key in SECTION if key in {DATA, BUDGET, *differing(first, SECTION)}]
    found = []
    for i, row in zip(first.index, first[list(SECTION)].to_dict("records"), strict=True):
        there = {key: setting_text(row[key]) for key in shown if row[key] is not None}
        name = ", ".join(_SHOWN.get(key, "{} {}").format(key, text) for key, text in there.items())
        place = -sizes[row[PICTURES]], sweeps.index(row["sweep"]), -(row[BUDGET] or 0.0)
        found.append((place, Section(name, runs.chosen(number == number[i]))))
    return [section for _, section in sorted(found, key=lambda pair: pair[0])]


def refuse_several(groups: Groups, rows: Sequence[int], what: str, keys: Sequence[str]) -> None:
    """Raises UserError, with what differs, if these groups have different values of the keys."""
    table, shown = groups.table.loc[list(rows)], list[str]()
    for key, head in groups.runs.heads(differing(table, dict.fromkeys(keys))).items():
        values = [setting_text(value) for value in table.loc[in_order(table, [key]), key].unique()]
        shown.append(f"{head}: {', '.join(values[:6])}{', ...' * (len(values) > 6)}")
    if shown:
        raise UserError(f"{what} differ in {'; '.join(shown)}; name {'it' if len(shown) == 1 else 'them'}")
