"""What a report shows of gradient checks: a table and a box plot for each network."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from kls.aggregate.document import Block, Details, Grid, Line, Picture
from kls.aggregate.tables import Column, Table
from kls.errors import UserError
from kls.reporting.results import Gradients
from kls.reporting.wording import capital

_COLUMNS = (
    ("largest_error", "largest relative error", ".1e"),
    ("mean_error", "mean", ".1e"),
    ("sum_analytic", "sum of analytic", ".6g"),
    ("sum_numeric", "sum of numeric", ".6g"),
    ("sum_of_errors", "sum of errors", ".1e"),
)


def gradient_blocks(checks: Sequence[Gradients], folder: Path, stem: str) -> list[Block]:
    """An overview of the networks, their box plots, and the table of each."""
    if not checks:
        return []
    largest = max(float(row["largest_error"]) for check in checks for row in check.rows)
    n = sum(len(check.rows) for check in checks)
    blocks: list[Block] = [
        Line(
            "Relative error |ga - gn| / max(eps, |ga| + |gn|) of analytic gradients ga against central differences gn, "
            f"in float64. The largest of all {n} parameters of {len(checks)} networks is {largest:.1e}."
        ),
        Grid(_overview(checks)),
    ]
    pictures = [_picture(check, folder, stem) for check in checks]
    blocks += [picture for picture in pictures if picture is not None]
    return [
        *blocks,
        *(Details(f"Every parameter of {_said(check)}", [Grid(_table(check))]) for check in checks),
    ]


def _worst(check: Gradients) -> dict[str, str]:
    return max(check.rows, key=lambda row: float(row["largest_error"]))


def _overview(checks: Sequence[Gradients]) -> Table:
    kinds = {"weights": "W", "biases": "b", "gamma": "gamma", "beta": "beta"}
    columns = [
        Column("network", [_said(check) for check in checks]),
        Column("parameters", [str(len(check.rows)) for check in checks], number=True),
    ]
    for words, start in kinds.items():
        cells = []
        for check in checks:
            errors = [
                float(row["largest_error"]) for row in check.rows if row["parameter"].rstrip("0123456789") == start
            ]
            cells.append(f"{max(errors):.1e}" if errors else "-")
        columns.append(Column(f"largest of {words}", cells, number=True))
    columns.append(Column("worst parameter", [_worst(check)["parameter"] for check in checks]))
    columns.append(Column("entries on a kink", [str(sum(_kinks(check))) for check in checks], number=True))
    return Table(columns, [])


def _kinks(check: Gradients) -> list[int]:
    return [int(row.get("on_a_kink") or 0) for row in check.rows]


def _table(check: Gradients) -> Table:
    columns = [
        Column("parameter", [row["parameter"] for row in check.rows]),
        Column("shape", [row.get("shape", "-") for row in check.rows], number=True),
    ]
    for key, head, form in _COLUMNS:
        columns.append(Column(head, [_number(row.get(key), form) for row in check.rows], number=True))
    columns.append(Column("on a kink", [str(n) for n in _kinks(check)], number=True))
    return Table(columns, [])


def _number(text: str | None, form: str) -> str:
    try:
        return format(float(text or ""), form)
    except ValueError:
        return "-"


def _picture(check: Gradients, folder: Path, stem: str) -> Picture | None:
    if check.picture is None:
        return None
    name = f"{stem}{check.label}.png"
    try:
        shutil.copyfile(check.picture, folder / name)
    except OSError as error:
        raise UserError(f"{check.picture}: cannot be read ({error.strerror})") from None
    worst = _worst(check)
    caption = f"{capital(_said(check))}: the largest relative error is {float(worst['largest_error']):.1e}, of "
    caption += f"{worst['parameter']}."
    return Picture(name, caption, f"Box plots of relative gradient errors of {_said(check)}, a box a parameter", folder)


def _said(check: Gradients) -> str:
    return check.label.replace("_", " ")
