"""Differences of the best groups of several sides, or of groups of equal settings: what `kls.compare` computes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kls.analysis import statistics
from kls.analysis.columns import sort_key
from kls.analysis.groups import TEST, Groups, group_runs, modes_text
from kls.analysis.pair import Pair
from kls.analysis.runs import BUDGET, DATA, PICTURES, RESULTS, SECTION, Runs, read_runs
from kls.analysis.where import matching
from kls.analysis.wording import (
    number,
    p_text,
    sample_text,
    score_name,
    setting_label,
    setting_text,
    signed,
)
from kls.errors import UserError
from kls.records import names
from kls.records.escape import shortened

CONDITION = "::"  # between a folder and a condition
MOST_SIDES = 26

_SAME = (DATA, PICTURES, "n_train", "n_val", "n_test")  # of all that is compared; and the budget


@dataclass(frozen=True)
class Side:
    """Runs to be compared with others: ``letter`` stands for them in tables, ``name`` is as they were given."""

    letter: str
    name: str
    runs: Runs


class Row(NamedTuple):
    """Side ``other`` in place of the first one, at the settings ``at`` that both tried, "" if there is one each."""

    other: Side
    at: str
    pair: Pair
    p: float


@dataclass(frozen=True)
class Comparison:
    """Differences from the first side. chosen: for each side which of its runs these are. notes: sentences."""

    sides: list[Side]
    score: str
    chosen: list[str]
    rows: list[Row]
    notes: list[str]

    @property
    def tests(self) -> int:
        return sum(not math.isnan(row.p) for row in self.rows)

    def sentences(self) -> list[str]:
        """One for each difference."""
        where, first = f"the {score_name(self.score)}", self.sides[0].letter
        texts = []
        for row in self.rows:
            what = f"{row.other.letter} in place of {first}{row.at and f' at {row.at}'}"
            texts.append(row.pair.sentence(what, where, row.p, self.tests))
        return texts

    def cells(self) -> list[dict[str, str]]:
        """A row of the table for each difference."""
        cells = []
        for row in self.rows:
            a, b = (modes or sample_text(s) for s, modes in zip(row.pair[:2], row.pair.modes, strict=True))
            line = {"settings": row.at} if row.at else {}
            line |= {self.sides[0].letter: b, "against": row.other.letter, "its": a}
            cells.append(line | _numbers(self.score, row.pair.difference, row.p))
        return cells


def _numbers(score: str, found: statistics.Difference | None, p: float) -> dict[str, str]:
    if found is None or not found.interval.known:
        change = "-" if found is None else signed(score, found.interval.centre)
        return {"difference": change, "95 % interval": "-", "p": "-", "seen with 80 %": "-"}
    ends = f"{signed(score, found.interval.low)} to {signed(score, found.interval.high)}"
    change, seen = signed(score, found.interval.centre), number(score, found.detectable)
    return {"difference": change, "95 % interval": ends, "p": p_text(p).removeprefix("p = "), "seen with 80 %": seen}


def read_sides(texts: Sequence[str], folder_of: Callable[[str], Path]) -> list[Side]:
    """The sides that are given as FOLDER or FOLDER::CONDITION (see `where.matching`).

    folder_of: checks the text of a folder. Raises UserError if there are no such runs.
    """
    if not 2 <= len(texts) <= MOST_SIDES:
        raise UserError(f"give 2 to {MOST_SIDES} sides to be compared, each a folder, or 'FOLDER::CONDITION'")
    read, sides = dict[Path, Runs](), list[Side]()
    for letter, text in zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", texts, strict=False):
        name, _, condition = (text, "", "") if Path(text).is_dir() else text.partition(CONDITION)
        folder = folder_of(name)
        runs = read[folder] = read.get(folder) or read_runs([folder])
        if condition:
            mask = matching(runs.frame, condition, shortened(name))
            if not mask.any():
                raise UserError(f"{shortened(text)}: none of the {len(runs.frame):,} runs is so")
            runs = runs.chosen(mask)
        sides.append(Side(letter, text, runs))
    return sides


def compare(sides: Sequence[Side], score: str | None = None, best: bool = False) -> Comparison:
    """Each side against the first: groups of equal settings if all sides tried the same, else the best group of each.

    Best is by validation accuracy. Only runs of the longest training that all sides have are compared. score: by
    default the test accuracy where all that is compared has one, else the validation accuracy. best: of each side the
    best group, whatever was tried. Raises UserError, in one line, if a side has no result, or data or training differ.
    """
    alike, notes = _alike(sides)
    groups = [_grouped(side, score) for side in alike]
    places = None if best else _matched(groups)
    matched = places is not None
    places = places or [("", [0] * len(sides))]
    if score is None:
        there = [(own, i) for _, of in places for own, i in zip(groups, of, strict=True)]
        tested = all(TEST in own.scores and own.samples(i, TEST).n for own, i in there)
        score = TEST if tested else names.VAL_ACCURACY
    else:
        score = groups[0].score
    rows = []
    for at, (first, *others) in places:
        for side, own, i in zip(alike[1:], groups[1:], others, strict=True):
            rows.append((side, at, _pair(alike[0], groups[0], first, side, own, i, score)))
    found = [pair.difference for _, _, pair in rows]
    p = statistics.holm(np.array([math.nan if d is None else d.p for d in found], np.float64))
    if not matched and score == names.VAL_ACCURACY and any(len(own.table) > 1 for own in groups):
        notes.append(
            "The best of several settings was chosen by the scores that are compared here, so its mean is a little too "
            "high; --metric test_accuracy is free of that."
        )
    chosen = [_chosen(side, own, None if matched else 0) for side, own in zip(alike, groups, strict=True)]
    corrected = [Row(*row, own) for row, own in zip(rows, p.tolist(), strict=True)]
    return Comparison(alike, score, chosen, corrected, notes)


def _alike(sides: Sequence[Side]) -> tuple[list[Side], list[str]]:
    """The sides with their runs of the longest training that all have. Raises UserError if data or training differ."""
    masks = [s.runs.frame[names.STATUS].isin(RESULTS) & s.runs.frame[PICTURES].notna() for s in sides]
    for side, mask in zip(sides, masks, strict=True):
        if not mask.any():
            raise UserError(f"{shortened(side.name)}: has no run with a result")
    frames = [side.runs.frame[mask] for side, mask in zip(sides, masks, strict=True)]
    for key in _SAME:
        values = [list(dict.fromkeys(map(setting_text, frame[key]))) for frame in frames]
        for side, own in zip(sides, values, strict=True):
            if len(own) > 1:
                raise UserError(
                    f"{shortened(side.name)}: its runs differ in {key}: {', '.join(own[:6])}; choose by a condition: "
                    f"'{shortened(side.name.partition(CONDITION)[0])}{CONDITION}{key} == {_quoted(own[0])}'"
                )
            _refuse_other(sides[0], side, key, values[0], own)
    budgets = [list(dict.fromkeys(frame[BUDGET])) for frame in frames]
    common = [budget for budget in budgets[0] if all(budget in there for there in budgets)]
    if not common:  # three sides may differ by pairs
        first, *others = [list(map(setting_text, there)) for there in budgets]
        for side, there in zip(sides[1:], others, strict=True):
            _refuse_other(sides[0], side, "epochs", first, there)
        raise UserError("there is no length of training, in epochs, that all sides have")
    longest = max(common)
    kept = []
    for side, mask in zip(sides, masks, strict=True):
        runs = side.runs.chosen(mask & (side.runs.frame[BUDGET] == longest))
        kept.append(Side(side.letter, side.name, runs))
    several = any(len(there) > 1 for there in budgets)
    return kept, [f"Runs of {setting_text(longest)} epochs, the longest training that all sides have."] * several


def _quoted(text: str) -> str:
    """A value as it stands in a condition."""
    return text if text.replace(".", "", 1).isdecimal() else f'"{text}"'


def _refuse_other(first: Side, side: Side, key: str, a: list[str], b: list[str]) -> None:
    if a != b:
        raise UserError(
            f"{shortened(first.name)} and {shortened(side.name)} differ in {key}: {', '.join(a)} and {', '.join(b)}; "
            "only runs on the same data and of equal training are compared"
        )


def _grouped(side: Side, score: str | None) -> Groups:
    try:
        column = side.runs.column(score) if score else names.VAL_ACCURACY
        if column not in side.runs.scores and column != names.VAL_ACCURACY:
            raise UserError(f"{column} is no score; there are {', '.join(side.runs.scores)}")
        return group_runs(side.runs, column)
    except UserError as error:
        raise UserError(f"{shortened(side.name)}: {error}") from None


def _matched(groups: Sequence[Groups]) -> list[tuple[str, list[int]]] | None:
    """For each settings that all sides tried a text and the group of each; None if they tried others, or only one."""
    if min(len(own.table) for own in groups) < 2:
        return None
    keys = list(dict.fromkeys(key for own in groups for key in own.keys if key not in SECTION))
    found = list[dict[tuple[Any, ...], int]]()
    for own in groups:
        rows = own.runs.frame.reindex(columns=keys).loc[own.first].to_dict("records")
        found.append({tuple(sort_key(row[key]) for key in keys): i for i, row in enumerate(rows)})
    if any(len(places) < len(own.table) for places, own in zip(found, groups, strict=True)):
        return None
    if any(places.keys() != found[0].keys() for places in found):
        return None
    heads, first = groups[0].runs.heads(keys), groups[0].runs.frame.reindex(columns=keys).loc[groups[0].first]
    texts = [", ".join(setting_label(heads[key], row[key]) for key in keys) for row in first.to_dict("records")]
    return [(texts[found[0][place]], [places[place] for places in found]) for place in sorted(found[0])]


def _pair(first: Side, ours: Groups, i: int, other: Side, theirs: Groups, k: int, score: str) -> Pair:
    """The samples of the other side and of the first. Raises UserError if a run is in both, or one has no score."""
    members = [own.runs.frame["path"][own.member == place] for own, place in ((ours, i), (theirs, k))]
    if {path.resolve() for path in members[0]} & {path.resolve() for path in members[1]}:
        raise UserError(f"{shortened(first.name)} and {shortened(other.name)}: some runs are on both sides")
    b, a = ours.samples(i, score), theirs.samples(k, score)
    for side, sample in ((first, b), (other, a)):
        if not sample.n:
            raise UserError(f"{shortened(side.name)}: no run of its best group has a {score_name(score)}")
    return Pair(a, b, (modes_text(theirs.runs, a), modes_text(ours.runs, b)))


def _chosen(side: Side, groups: Groups, place: int | None) -> str:
    n, what = len(groups.table), ""
    if n > 1:
        best = f"the best of {n} settings by validation: {groups.labels()[place or 0]}"
        what = f", all {n} settings" if place is None else f", {best}"
    return f"{side.letter}: {side.name}{what}"
