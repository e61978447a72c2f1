"""Tables for people: cells as texts, constant columns told once; as text, Markdown, HTML or LaTeX."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from tabulate import tabulate

from kls.records.escape import html_escaped, latex_escaped, markdown_escaped, one_line


@dataclass(frozen=True)
class Column:
    """A head and its cells. Of too wide a table the columns with the largest ``rank`` are left out first."""

    head: str
    cells: list[str]
    rank: int = 0
    number: bool = False


@dataclass(frozen=True)
class Table:
    """Columns of equal length, and what is the same in all rows, such as "lam 0.01"."""

    columns: list[Column]
    constant: list[str]

    @property
    def constant_line(self) -> list[str]:
        """One line, or none."""
        return [f"in all rows: {', '.join(self.constant)}"] if self.constant else []

    @property
    def rows(self) -> int:
        return len(self.columns[0].cells)

    def first(self, rows: int) -> Table:
        """The table cut after so many rows."""
        return replace(self, columns=[replace(column, cells=column.cells[:rows]) for column in self.columns])

    def text(self, width: int) -> str:
        """Aligned by spaces; columns that do not fit ``width`` characters are left out, and the last line says so."""
        columns, left_out = list(self.columns), []
        while len(columns) > 1 and _width(_drawn(columns, "simple", one_line)) > width:
            last = max(range(len(columns)), key=lambda i: (columns[i].rank, i))
            left_out.append(columns.pop(last).head)
        note = [f"not shown, too wide: {', '.join(reversed(left_out))}"] if left_out else []
        return "\n".join([_drawn(columns, "simple", one_line), *note])

    def markdown(self) -> str:
        """A table of GitHub-flavoured Markdown."""
        return _drawn(self.columns, "pipe", markdown_escaped)

    def html(self) -> str:
        """A ``table`` in a box that scrolls where the page is narrower.

        Numbers have the class n, each stretch between commas or semicolons in a span.
        """
        kinds = ["n" if column.number else "t" for column in self.columns]
        heads = [_cell("th", kind, column.head) for kind, column in zip(kinds, self.columns, strict=True)]
        rows = [
            f"<tr>{''.join(_cell('td', kind, cell) for kind, cell in zip(kinds, row, strict=True))}</tr>"
            for row in zip(*(column.cells for column in self.columns), strict=True)
        ]
        head = f"<thead><tr>{''.join(heads)}</tr></thead>"
        return "\n".join(['<div class="scroll"><table>', head, "<tbody>", *rows, "</tbody></table></div>"])

    def latex(self, caption: str, label: str) -> str:
        """A ``table`` with the rules of booktabs; all text is escaped."""
        frame = pd.DataFrame({i: column.cells for i, column in enumerate(self.columns)})
        frame.columns = pd.Index([column.head for column in self.columns])
        style = frame.style.hide(axis="index").format(latex_escaped).format_index(latex_escaped, axis="columns")
        alignment = "".join("r" if column.number else "l" for column in self.columns)
        return str(
            style.to_latex(
                column_format=alignment, hrules=True, caption=latex_escaped(caption), label=label,
                position="htbp", position_float="centering",
            )
        )  # fmt: skip


def make_table(columns: Sequence[Column]) -> Table:
    """The table without the columns that have one and the same cell in all of several rows, or no cell at all."""
    several = len(columns[0].cells) > 1
    constant = [c for c in columns if several and c.rank > 0 and not c.number and len(set(c.cells)) == 1]
    empty = [c for c in columns if c.rank > 0 and set(c.cells) <= {"", "-"}]
    shown = [column for column in columns if column not in constant and column not in empty]
    return Table(shown, [f"{c.head} {c.cells[0]}" for c in constant if c not in empty])


def _cell(tag: str, kind: str, text: str) -> str:
    words = html_escaped(text)
    if tag == "td" and kind == "n":
        words = " ".join(f"<span>{html_escaped(part)}</span>" for part in re.split(r"(?<=[,;]) ", text))
    return f'<{tag} class="{kind}">{words}</{tag}>'


def _drawn(columns: Sequence[Column], style: str, escaped: Callable[[str], str]) -> str:
    rows = zip(*([escaped(cell) for cell in column.cells] for column in columns), strict=True)
    sides = ["right" if column.number else "left" for column in columns]
    heads = [escaped(column.head) for column in columns]
    return tabulate(list(rows), heads, tablefmt=style, colalign=sides, disable_numparse=True)


def _width(text: str) -> int:
    return max(map(len, text.splitlines()))


def setting_text(value: Any) -> str:
    """A setting as a cell: numbers with four digits, "-" for null or none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def score_text(score: str, value: float) -> str:
    """A score without its unit: accuracies in percent with two decimals, others with four digits; "-" for NaN."""
    if math.isnan(value):
        return "-"
    return f"{100.0 * value:.2f}" if score_scale(score) == 100.0 else f"{value:.4g}"


def score_scale(score: str) -> float:
    """What a score is multiplied by to be shown: accuracies are shown in percent."""
    return 100.0 if score.endswith("accuracy") else 1.0


def score_name(score: str) -> str:
    """For example "val accuracy %"."""
    return score.replace("_", " ") + (" %" if score.endswith("accuracy") else "")


def score_said(score: str, value: float) -> str:
    """A score's name with its value, for example "val accuracy 53.41 %"."""
    name, percent, _ = score_name(score).partition(" %")
    return f"{name} {score_text(score, value)}{percent}"


def score_label(score: str) -> str:
    """A score as the label of an axis, for example "Validation accuracy (%)"."""
    words = score.replace("val_", "validation_").replace("train_", "training_").replace("_", " ")
    return words[0].upper() + words[1:] + (" (%)" if score.endswith("accuracy") else "")
