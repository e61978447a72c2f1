"""Finding: how a score, a difference, or the best value of a setting moves with another setting, seed by seed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from kls.analysis import curve, statistics, wording
from kls.analysis.columns import equal_to, is_number, sort_key
from kls.analysis.groups import Sample, group_runs, modes_text
from kls.analysis.pivot import pivot
from kls.analysis.runs import Runs
from kls.analysis.tables import rows_table
from kls.config.study_file import Trend
from kls.errors import UserError
from kls.plots.intervals import Point, Series, plot_intervals
from kls.plots.style import Band
from kls.records import names
from kls.report.document import Block, Paragraph, Picture, TableBlock
from kls.report.pictures import FORMATS
from kls.study.findings.common import Context, data_text


class _Moving(NamedTuple):
    """What moves with the setting: a row a seed, a column a value; for each value the centre of all, and table cells.

    score: "" of best values of a setting, of which powers are looked at. unit: what stands behind a value.
    """

    words: str
    score: str
    unit: str
    seeds: pd.DataFrame
    centres: list[statistics.Interval]
    cells: list[dict[str, str]]
    note: str = ""


def trend(finding: Trend, runs: Runs, context: Context) -> tuple[str, list[Block]]:
    """The sentence, a table and a picture. Raises UserError if there are not two numbers to compare."""
    key, *of = (runs.column(name) for name in (finding.setting, finding.of) if name)
    head, *heads = runs.heads([key, *of]).values()
    kinds = sorted(runs.frame[of[0]].unique(), key=sort_key) if of else []
    if not all(map(is_number, [*runs.frame[key].dropna(), *(kinds if len(kinds) > 2 else [])])):
        raise UserError(f"a trend is one of numbers, with {finding.setting} and of {finding.of or finding.score}")
    parts = {wording.setting_label(heads[0], kind): runs.chosen(equal_to(runs.frame[of[0]], kind)) for kind in kinds}
    parts = parts or {wording.score_head(finding.score): runs}
    moving = _optima(runs, key, of[0], heads[0]) if len(kinds) > 2 else _means(finding.score, parts, key)
    seeds, values = moving.seeds, moving.seeds.columns.to_numpy(np.float64)
    if len(values) < 2:
        raise UserError(f"{finding.setting} has fewer than two values with results")
    log, power, k = _log(values), not moving.score, wording.scale(moving.score)
    x = np.log10(values) if log else values
    line = statistics.trend(x, seeds.map(math.log10) if power else seeds)
    what, words = wording.capital(finding.what), wording.capital(moving.words)
    name, alt = f"{context.stem}trend.png", f"{words} against {head}"
    points = [
        Point(value, k * seeds[value].dropna().to_numpy(), k * c.centre, k * c.low, k * c.high)
        for value, c in zip(values.tolist(), moving.centres, strict=True)
    ]
    half = (line.slope.high - line.slope.centre) * np.abs(x - x.mean())
    ends = (10.0**y if power else k * y for y in (line.line, line.line - half, line.line + half))
    plot_intervals(
        [Series("", points, Band(values, *ends) if line.fits and line.slope.known else None)],
        wording.setting_axis(key, head), words + (f" ({moving.unit.strip()})" if moving.unit else ""),
        context.folder / name, what, FORMATS, log_x=log, log_y=power,
        mean=f"{'optimum of all seeds' if power else 'mean'} and 95 % interval",
        line="line, with the interval of its slope",
    )  # fmt: skip
    texts = [wording.setting_text(value) for value in seeds]
    rows = [{head: text, **cells} for text, cells in zip(texts, moving.cells, strict=True)]
    moves = _moves(moving, head, texts, f"a {'decade' if log else 'unit'} of {head}", line)
    picture = Picture(name, f"{alt}: dots are seeds, bars 95 % intervals.", alt, context.folder)
    sentence = f"{what}: {moving.words} on {data_text(runs)} {moves}{moving.note}."
    return sentence, [Paragraph(f"{what}:"), TableBlock(rows_table(rows)), picture]


def _log(values: np.ndarray | pd.Series[float]) -> bool:
    return bool(min(values) > 0 and max(values) >= 10 * min(values))


def _by_value(runs: Runs, key: str, score: str) -> pd.DataFrame:
    """Scores by seed (rows) and value of a setting (columns). Raises UserError if runs differ in anything else."""
    table = pivot(group_runs(runs, score), [], key)
    cells = zip(table.values, *table.cells, strict=True)
    return pd.DataFrame({value: s.values.set_axis(s.values.index.map(str)) for value, s in cells if s})


def _means(score: str, parts: Mapping[str, Runs], key: str) -> _Moving:
    """Of the scores of the only part, or of those of the second minus those of the first."""
    (some, *_), tables = parts.values(), {label: _by_value(part, key, score) for label, part in parts.items()}
    first, *second = tables.values()
    seeds = (second[0] - first if second else first).dropna(axis="columns", how="all")
    words, unit = wording.score_name(score), wording.unit(score)
    words, unit = (f"difference in {words}", " points" if unit else "") if second else (words, unit)
    centres, cells = [statistics.mean_interval(seeds[value].dropna().to_numpy()) for value in seeds], []
    for value, centre in zip(seeds, centres, strict=True):
        samples = {label: Sample(score, table[value].dropna(), "") for label, table in tables.items()}
        if any(modes_text(some, sample) for sample in samples.values()):
            raise UserError(f"with {key} {value} some seeds learn and others do not")
        change = {words: wording.number(score, centre.centre)} if second else {}
        ends = f"{wording.number(score, centre.low)} to {wording.number(score, centre.high)}" if centre.known else "-"
        sides = {label: wording.sample_text(sample) for label, sample in samples.items()}
        cells.append({**sides, **change, "95 % interval": ends})
    return _Moving(words, score, unit, seeds, centres, cells)


def _optima(runs: Runs, key: str, of: str, name: str) -> _Moving:
    """The place of the highest validation accuracy on a smooth curve, that of all seeds and that of each."""
    seeds: dict[float, pd.Series[float]] = {}
    centres, cells, at_end, log = list[statistics.Interval](), [], list[bool](), _log(runs.frame[of])
    for value in sorted(runs.frame[key].unique()):
        scores = _by_value(runs.chosen(equal_to(runs.frame[key], value)), of, names.VAL_ACCURACY)
        x = scores.columns.to_numpy(np.float64)
        found, seeds[value] = curve.optimum(x, scores, log), curve.seed_optima(x, scores, log)
        centres.append(found.place)
        at_end += seeds[value].isin([x.min(), x.max()]).tolist()
        ends = f"{found.place.low:.3g} to {found.place.high:.3g}" + (f", {found.at_end} tried" if found.at_end else "")
        own = ", ".join(f"{place:.3g}" for place in seeds[value])
        cells.append({f"best {name}": f"{found.place.centre:.3g}", "95 % interval": ends, "of each seed": own})
    censored = f"{sum(at_end)} of {len(at_end)} optima of single seeds"
    note = f"; {censored} are at an end of what was tried, and may lie beyond" if any(at_end) else ""
    return _Moving(f"best {name}", "", "", pd.DataFrame(seeds), centres, cells, note)


def _moves(moving: _Moving, head: str, at: list[str], each: str, line: statistics.Trend) -> str:
    """For example "rises with n_s by +1.20 points a decade of n_s (95 % interval 0.40 to 2.00; 5 seeds): it is ..."."""
    centres = [centre.centre for centre in moving.centres]
    texts = [wording.number(moving.score, c) if moving.score else f"{c:.3g}" for c in centres]
    low, high = (f"{texts[i]}{moving.unit} at {head} {at[i]}" for i in (np.argmin(centres), np.argmax(centres)))
    extremes, k = f"is lowest, {low}, and highest, {high}", wording.scale(moving.score)
    if not line.slope.known:
        return f"{extremes}; one seed tells no trend"
    evidence = wording.counted(line.n_seeds, "seed")
    evidence += "" if math.isnan(line.p_fit) else f"; lack of fit {wording.p_text(line.p_fit)}"
    if not line.fits:
        return f"follows no {'straight line' if moving.score else 'power law'} in {head} ({evidence}): it {extremes}"
    slope, *ends = (k * end for end in (line.slope.centre, line.slope.low, line.slope.high))
    digits = max(2, 1 - math.floor(math.log10(abs(slope)))) if slope else 2
    interval = f"95 % interval {' to '.join(f'{end:.{digits}f}' for end in ends)}; {evidence}"
    rate = f"by {slope:+.{digits}f}{' points' * (k > 1)} {each}"
    rate = rate if moving.score else f"as {head} to the power {slope:+.2f}"
    verb = f"{'rises' if slope > 0 else 'falls'} with {head}"
    if line.slope.holds(0.0):
        verb = f"does not move with {head} in a way that can be told from noise,"
    return f"{verb} {rate} ({interval}): it {extremes}"
