"""The table and the picture of published figures beside ours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kls.aggregate.document import Block, Grid, Heading, Items, Line, Picture
from kls.aggregate.tables import Column, Table, make_table
from kls.plots.published import Beside, plot_published
from kls.reporting.comparison import ABOVE, BELOW, DEFINITION, INSIDE, PUBLISHED_ON, Compared
from kls.reporting.wording import ends, is_accuracy, mean_of, name_of, number, signed, spread


def published_blocks(compared: Sequence[Compared], folder: Path) -> list[Block]:
    """A heading, the table, what its words mean, and the picture of the accuracies."""
    if not compared:
        return []
    blocks: list[Block] = [Heading("Published and measured", 2, "published"), Grid(comparison_table(compared))]
    notes = [f"{c.figure.what}: {_note(c)}." for c in compared if _note(c)]
    blocks += [Items(notes)] if notes else []
    blocks.append(Line(DEFINITION, quiet=True))
    others = sorted({c.ours.data for c in compared if c.ours is not None and c.ours.data != PUBLISHED_ON})
    if others:
        blocks.append(Line(f"Published figures are of {PUBLISHED_ON}, ours of {', '.join(others)}: they cannot agree."))
    picture = published_picture([(c.figure.what, c) for c in compared], folder)
    return [*blocks, picture] if picture is not None else blocks


def comparison_table(compared: Sequence[Compared]) -> Table:
    """A row a figure."""
    rows = [(c, c.figure, c.ours) for c in compared]
    digits = [2 if is_accuracy(f.score) else 3 for _, f, _ in rows]
    columns = [
        Column("figure", [f.what for _, f, _ in rows]),
        Column("score", [name_of(f.score) + (" %" if is_accuracy(f.score) else "") for _, f, _ in rows], 1),
        Column("published", [_published(c) for c in compared], number=True),
        Column("ours", [mean_of(f.score, o) if o else "-" for _, f, o in rows], number=True),
        Column("difference", [signed(f.score, c.difference) for c, f, _ in rows], number=True),
        Column(
            "expected, 95 %",
            [ends(c.expected, d) if c.expected.known else "-" for c, d in zip(compared, digits, strict=True)],
            number=True,
        ),
        Column("published lies", [c.verdict for c in compared]),
    ]
    return make_table(columns)


def _published(compared: Compared) -> str:
    figure = compared.figure
    if figure.sd is None:
        return number(figure.score, figure.published) + (f" (n={figure.n})" if figure.n > 1 else "")
    return spread(figure.score, figure.published, figure.sd, figure.n)


def _note(compared: Compared) -> str:
    parts = [compared.figure.note, compared.reason, compared.ours.choice if compared.ours else None]
    return "; ".join(part for part in parts if part)


def published_picture(named: Sequence[tuple[str, Compared]], folder: Path) -> Picture | None:
    """The accuracies among figures with their names, where our runs are there; None where there is nothing to draw."""
    shown = [(name, c) for name, c in named if c.ours is not None and is_accuracy(c.figure.score)]
    if not shown:
        return None
    rows = []
    for name, c in shown:
        assert c.ours is not None
        label = f"{name}, {name_of(c.figure.score).removesuffix(' accuracy')}"
        expected = (c.expected.low, c.expected.high) if c.expected.known else None
        rows.append(
            Beside(label, c.figure.published, c.figure.sd, c.ours.values, expected, c.verdict in (ABOVE, BELOW))
        )
    file_name = "report-published.png"
    plot_published(rows, folder / file_name, "Published and measured accuracies")
    farthest, far = max(shown, key=lambda one: abs(one[1].difference))
    inside, barred = sum(c.verdict == INSIDE for _, c in shown), sum(c.expected.known for _, c in shown)
    caption = (
        f"Accuracies in percent: dots are our runs, bars the 95 % interval for a new one, diamonds what was published. "
        f"{inside} of the {barred} diamonds with a bar lie on it, grey ones stand beside one run; "
        f"the farthest from our mean is {farthest}, by {signed(far.figure.score, -far.difference)} points."
    )
    return Picture(file_name, caption, "Published accuracies beside our runs, a row a figure", folder)
