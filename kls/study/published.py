"""Published figures beside ours: one verdict each, their table and picture, and the counts of verdicts."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kls.analysis.groups import Sample, modes_text
from kls.analysis.pivot import select
from kls.analysis.runs import Runs
from kls.analysis.statistics import LEVEL, Interval, Moments, moments, new_mean, split_variance, welch
from kls.analysis.tables import rows_table
from kls.analysis.wording import counted, is_accuracy, mean_sd, range_text, score_head, score_name, signed
from kls.config.study_file import Figure
from kls.errors import UserError
from kls.plots.intervals import Point, Series, plot_intervals
from kls.report.document import Block, Heading, List, Paragraph, Picture, TableBlock
from kls.report.pictures import FORMATS
from kls.study.results import StepResult

PUBLISHED_ON = "CIFAR-10"
INSIDE, ABOVE, BELOW = "inside", "above", "below"
CHANCE, SOME_LEARN, ONE_RUN, NOT_RUN = "both at chance", "only some seeds learn", "one run", "not run"
OTHER_DATA = "other data"

_CLOSE, _ROUNDING = 0.01, 1e-9
_FARTHEST = 3.0  # in a picture, times the median of what its rows reach
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
    if result.runs is None:
        return Compared(figure, None, NOT_RUN, "not run yet")
    try:
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
    if not runs.learned(figure.score, np.r_[values, value]).any():
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
    close = [abs(c.difference) <= _CLOSE for c in main if is_accuracy(c.figure.score) and not math.isnan(c.difference)]
    training = [c.verdict == INSIDE for c in once if c not in main and c.expected.known]
    twice = len(compared) - len(once)
    parts = {
        f"{counted(len(main), 'published figure')}: {', '.join(f'{words} {n}' for words, n in counts)}.": True,
        f"Of the {judged} that can be judged {LEVEL * judged:.1f} would be inside if all were equal.": judged,
        f"Accuracies within 1 point of our mean: {sum(close)} of {len(close)}.": close,
        f"Training figures, apart: {sum(training)} of {len(training)} inside.": training,
        f"{counted(twice, 'figure')} compared twice, counted once.": twice,
    }
    return " ".join(text for text, is_so in parts.items() if is_so)


def published_blocks(compared: Sequence[Compared], folder: Path) -> list[Block]:
    """A heading, the table, what its words mean, and the picture."""
    rows, notes = [], list[str]()
    for c in compared:
        figure, score = c.figure, c.figure.score
        rows.append({
            "figure": figure.what, "score": score_head(score), "published": figure_text(figure), "ours": c.text,
            "difference": signed(score, c.difference),
            "expected, 95 %": range_text(score, c.expected.low, c.expected.high), "published lies": c.verdict,
        })  # fmt: skip
        note = "; ".join(filter(None, (figure.note, c.note)))
        notes += [f"{figure.what}: {note}."] if note else []
    heading, table = Heading("Published and measured", 2, "published"), rows_table(rows, ["score", "published lies"])
    picture = published_picture([(full_name(c.figure), c) for c in compared], folder)
    return [heading, TableBlock(table), List(notes), Paragraph(_DEFINITION, "note"), *picture]


def figure_text(figure: Figure) -> str:
    """For example "53.05", or "54.11 ± 0.49 (n=5)"."""
    text = mean_sd(figure.score, figure.value, math.nan if figure.value_sd is None else figure.value_sd)
    return text + (f" (n={figure.n})" if figure.n > 1 else "")


def full_name(figure: Figure) -> str:
    """What it is, and its score, such as "3 layers, test accuracy", of "3 layers" as of "3 layers, test"."""
    score = score_name(figure.score)
    return f"{figure.what.removesuffix(f', {score.split()[0]}')}, {score}"


def published_picture(named: Sequence[tuple[str, Compared]], folder: Path) -> list[Picture]:
    """Ours minus published, a row a figure with its name, of the accuracies that can be compared; none without any.

    The colour says whether our interval holds the published figure, which is the line at 0. What lies far off the
    other rows is an arrow at the edge.
    """
    shown = [(name, c) for name, c in named if not math.isnan(c.difference) and is_accuracy(c.figure.score)]
    if not shown:
        return []
    inside, outside, unknown, published = [list[Point]() for _ in range(4)]
    rows, reach = [], []
    for place, (name, c) in enumerate(shown):
        assert c.ours is not None
        ours, sd = 100.0 * (c.ours.values.to_numpy() - c.figure.value), c.figure.sd
        ends = [100.0 * (end - c.figure.value) for end in (c.expected.low, c.expected.high)]
        kind = unknown if not c.expected.known else inside if c.verdict == INSIDE else outside
        kind.append(Point(place, ours, 100.0 * c.difference, *ends))
        published += [Point(place, np.empty(0), 0.0, -sd, sd)] if sd is not None else []
        rows.append((f"{name} (n={c.ours.n})", f"{100.0 * c.difference:+.2f}  {c.verdict}"))
        reach.append(np.nanmax(np.abs([*ours, *ends])))
    labels = ("published inside our interval", "published outside", "no interval", "published ± 1 sd")
    series = [Series(*one) for one in zip(labels, (inside, outside, unknown, published), strict=True)]
    plot_intervals(
        series, "", "Ours minus published (percentage points)", folder / "report-published.png",
        "Published and measured accuracies", FORMATS, dot="one of our seeds", rows=rows,
        mean="our mean and 95 % prediction interval of a run", farthest=_FARTHEST * float(np.median(reach)) or np.inf,
    )  # fmt: skip
    far, c = max(shown, key=lambda row: abs(row[1].difference))
    held = f"{len(inside)} of {len(inside) + len(outside)} intervals hold the published figure"
    farthest = f"our mean is farthest from {far}, by {100.0 * c.difference:+.2f} points"
    caption, alt = f"Ours minus published, in points: {held}; {farthest}.", "Our runs minus published accuracies"
    return [Picture("report-published.png", caption, f"{alt}, a row a figure", folder)]
