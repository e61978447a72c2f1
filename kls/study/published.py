"""Published figures beside ours: one verdict each, their table and picture, and the counts of verdicts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kls.analysis.groups import Sample
from kls.analysis.pivot import select
from kls.analysis.runs import Runs
from kls.analysis.statistics import LEVEL, Interval, Moments, moments, new_mean, split_variance, welch
from kls.analysis.tables import rows_table
from kls.analysis.wording import counted, is_accuracy, mean_sd, range_text, score_head, score_name, signed
from kls.config.study_file import Figure
from kls.errors import UserError
from kls.plots.published import PublishedRow, plot_published
from kls.report.document import Block, Heading, List, Paragraph, Picture, TableBlock
from kls.report.pictures import FORMATS
from kls.study.findings.common import learned, modes_text
from kls.study.results import StepResult

PUBLISHED_ON = "CIFAR-10"
INSIDE, ABOVE, BELOW = "inside", "above", "below"
CHANCE, SOME_LEARN, ONE_RUN, NOT_RUN = "both at chance", "only some seeds learn", "one run", "not run"
OTHER_DATA = "other data"

_CLOSE, _ROUNDING = 0.01, 1e-9
_UNKNOWN = Interval(math.nan, math.nan, math.nan)
_DEFINITION = (
    "Inside: the published figure is in the 95 % interval in which our runs expect it, mean ± t sqrt(sd² (1/n + 1/m) + "
    "v) for the mean of m published runs, 1 unless said; v is the variance by another validation split for validation "
    "accuracies, else 0; with a published standard deviation it is Welch's. Above, below: it is not. No verdict if "
    "only some of our seeds learn. ± is one standard deviation of runs."
)


class Compared(NamedTuple):
    """A published figure and our runs, None if there are none; text: ours as shown. note: how they were chosen.

    expected: where our runs expect the figure, record units; known if the verdict is inside, above or below.
    """

    figure: Figure
    ours: Sample | None
    verdict: str
    note: str
    text: str = "-"
    expected: Interval = _UNKNOWN

    @property
    def difference(self) -> float:
        """Ours minus published in record units; NaN if they cannot be compared."""
        return self.ours.mean - self.figure.value if self.ours and self.verdict != OTHER_DATA else math.nan


def compare(figure: Figure, result: StepResult) -> Compared:
    """A published figure beside the runs of its step."""
    try:
        if result.runs is None:
            raise UserError("not run yet")
        ours = select(result.runs, figure.where, figure.score, figure.rank, figure.near)
    except UserError as error:
        return Compared(figure, None, NOT_RUN, str(error))
    text = modes_text(result.runs, ours) or f"{mean_sd(ours.score, ours.mean, ours.sd)} (n={ours.n})"
    verdict, expected = _judged(figure, result.runs, ours)
    return Compared(figure, ours, verdict, ours.label, text, expected)


def _judged(figure: Figure, runs: Runs, ours: Sample) -> tuple[str, Interval]:
    """The verdict, and where our runs expect the figure, if they can say."""
    values, value, variance = ours.values.to_numpy(), figure.value, 0.0
    if ours.data != PUBLISHED_ON:
        return OTHER_DATA, _UNKNOWN
    if is_accuracy(figure.score) and not learned(runs, figure.score, np.r_[values, value]).any():
        return CHANCE, _UNKNOWN
    if modes_text(runs, ours) or ours.n < 2:
        return ONE_RUN if ours.n < 2 else SOME_LEARN, _UNKNOWN
    if figure.score == "val_accuracy":
        pictures = int(runs.frame["n_val"].dropna().max())
        variance = split_variance(ours.mean, pictures, pictures)
    expected = new_mean(values, figure.n, variance)
    if figure.value_sd is not None and figure.n > 1:
        gap = welch(moments(values), Moments(value, figure.value_sd, figure.n), variance).interval
        expected = Interval(ours.mean, value + gap.low, value + gap.high)
    inside = expected.low - _ROUNDING <= value <= expected.high + _ROUNDING
    return INSIDE if inside else ABOVE if value > ours.mean else BELOW, expected


def counts_text(compared: Sequence[Compared]) -> str:
    """How many figures have which verdict; training figures are apart, and what stands there twice counts once."""
    once = [c for c in compared if not c.figure.again]
    main = [c for c in once if not c.figure.score.startswith("train")]
    judged, counts = sum(c.expected.known for c in main), Counter(c.verdict for c in main).most_common()
    parts = [f"{counted(len(main), 'published figure')}: {', '.join(f'{words} {n}' for words, n in counts)}."]
    if judged:
        parts.append(f"Of the {judged} that can be judged {LEVEL * judged:.1f} would be inside if all were equal.")
    close = [abs(c.difference) <= _CLOSE for c in main if is_accuracy(c.figure.score) and not math.isnan(c.difference)]
    parts += [f"Accuracies within 1 point of our mean: {sum(close)} of {len(close)}."] if close else []
    training = [c.verdict == INSIDE for c in once if c not in main and c.expected.known]
    parts += [f"Training figures, apart: {sum(training)} of {len(training)} inside."] if training else []
    twice = len(compared) - len(once)
    return " ".join([*parts, *([f"{counted(twice, 'figure')} compared twice, counted once."] if twice else [])])


def published_blocks(compared: Sequence[Compared], folder: Path) -> list[Block]:
    """A heading, the table, what its words mean, and the picture."""
    rows = []
    for c in compared:
        figure, expected = c.figure, range_text(c.figure.score, c.expected.low, c.expected.high)
        difference = {"difference": signed(figure.score, c.difference), "expected, 95 %": expected}
        figures = {"published": figure_text(figure), "ours": c.text, **difference, "published lies": c.verdict}
        rows.append({"figure": figure.what, "score": score_head(figure.score), **figures})
    notes = [
        f"{c.figure.what}: {note}." for c in compared if (note := "; ".join(filter(None, (c.figure.note, c.note))))
    ]
    blocks: list[Block] = [
        Heading("Published and measured", 2, "published"),
        TableBlock(rows_table(rows, ["score", "published lies"])),
    ]
    picture = published_picture([(f"{c.figure.what}, {score_name(c.figure.score)}", c) for c in compared], folder)
    return [*blocks, List(notes), Paragraph(_DEFINITION, "note"), *picture] if compared else []


def figure_text(figure: Figure) -> str:
    """For example "53.05", or "54.11 ± 0.49 (n=5)"."""
    text = mean_sd(figure.score, figure.value, math.nan if figure.value_sd is None else figure.value_sd)
    return text + (f" (n={figure.n})" if figure.n > 1 else "")


def published_picture(named: Sequence[tuple[str, Compared]], folder: Path) -> list[Picture]:
    """Ours minus published of the accuracies that can be compared, a row a figure with its name; none without any."""
    rows, judged = list[PublishedRow](), list[bool]()
    for name, c in named:
        if c.ours is not None and not math.isnan(c.difference) and is_accuracy(c.figure.score):
            own, value = c.ours.values.to_numpy(), c.figure.value
            low, high = 100.0 * (c.expected.low - value), 100.0 * (c.expected.high - value)
            rows.append(PublishedRow(name, 100.0 * (own - value), low, high, c.figure.sd, c.verdict))
            judged += [c.verdict == INSIDE] if c.expected.known else []
    if not rows:
        return []
    plot_published(rows, folder / "report-published.png", "Published and measured accuracies", FORMATS)
    far = max(rows, key=lambda row: abs(row.differences.mean()))
    held, by = f"{sum(judged)} of {len(judged)} intervals hold the published figure", f"{far.differences.mean():+.2f}"
    caption = f"Ours minus published, in points: {held}; our mean is farthest from {far.label}, by {by} points."
    return [Picture("report-published.png", caption, "Our runs minus published accuracies, a row a figure", folder)]
