"""Tables of groups: cells as texts; the note says what is the same in all rows, and what the numbers bear."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kls.analysis import wording
from kls.analysis.columns import differing
from kls.analysis.groups import COUNTED, Groups, modes_text
from kls.analysis.pivot import pivot
from kls.analysis.runs import DATA, SECTION
from kls.analysis.wording import capital, counted, mean_sd, score_head, setting_label, setting_text
from kls.records import names
from kls.records.escape import latex_escaped

_KEY, _COUNT, _OTHER_SCORE, _INTERVAL = 1, 2, 3, 4  # ranks of columns
_MOST_NAMED = 8  # groups that are tied with the best


@dataclass(frozen=True)
class Column:
    """A head and its cells, numbers aligned at their right. A table too wide leaves out columns of large rank first."""

    head: str
    cells: list[str]
    rank: int = 0
    number: bool = False
    bold: list[bool] | None = None


@dataclass(frozen=True)
class Table:
    """Columns of equal length, and what explains them."""

    columns: list[Column]
    note: str = ""


def group_table(groups: Groups, rows: Sequence[int] | None = None) -> Table:
    """Keys, scores with their interval, and counts of groups; what is tied with the best is bold, and a column says so.

    rows: groups in their order, all if None.
    """
    table = groups.table if rows is None else groups.table.loc[list(rows)]
    tied = groups.ties.loc[table.index, "tied"].tolist()
    keys = differing(table, groups.keys) if len(table) > 1 else groups.keys
    heads = groups.runs.heads(groups.keys)
    columns = [Column(heads[key], [setting_text(value) for value in table[key]], _KEY) for key in keys]
    for score in groups.scores:
        n, *parts, low, high = (table[f"{score}_{part}"].tolist() for part in ("n", "mean", "sd", "low", "high"))
        cells = [f"{mean_sd(score, *row)} (n={k})" if k else "-" for k, *row in zip(n, *parts, strict=True)]
        some, first = groups.some_learn(score)[table.index].tolist(), score == groups.score
        for place, i in enumerate(table.index):
            cells[place] = modes_text(groups.runs, groups.samples(i, score)) if some[place] else cells[place]
        columns.append(Column(score_head(score), cells, 0 if first else _OTHER_SCORE, True, tied if first else None))
        if first and max(n, default=0) > 1:
            ends = [wording.range_text(score, *row) for row in zip(low, high, strict=True)]
            ends = ["-" if two else text for two, text in zip(some, ends, strict=True)]
            columns.append(Column("95 % interval", ends, _INTERVAL, number=True))
    if groups.ties["p"].notna().any():
        words = {groups.best: "best"}
        marks = [words.get(i, "tied") if tie else "" for i, tie in zip(table.index, tied, strict=True)]
        columns.append(Column("validation", marks, _COUNT))
    counts = {status: table[f"n_{status}"] for status in COUNTED if table[f"n_{status}"].any()}
    columns += [Column(status, [str(n or "") for n in column], _COUNT, True) for status, column in counts.items()]
    constant = [setting_label(heads[key], table[key].iloc[0]) for key in groups.keys if key not in keys]
    return Table(columns, f"In all rows: {', '.join(constant)}. " * bool(constant) + _note(groups))


def paper_table(groups: Groups) -> Table:
    """Mean ± sd with models as columns and the other settings as rows; the note is the caption.

    Bold is what is tied with the best. Raises UserError if several groups would share a cell.
    """
    score, cells = groups.score, pivot(groups, [key for key in groups.keys if key not in ("model", *SECTION)], "model")
    table = [Column("", cells.rows)] if len(cells.rows) > 1 else []
    for i, head in enumerate(cells.columns):
        column = [row[i] for row in cells.cells]
        texts = [
            modes_text(groups.runs, sample) or mean_sd(score, sample.mean, sample.sd) if sample else "-"
            for sample in column
        ]
        bold = [row[i] >= 0 and bool(groups.ties.at[row[i], "tied"]) for row in cells.places]
        table.append(Column(head, texts, number=True, bold=bold))
    sizes = [sample.n for row in cells.cells for sample in row if sample]
    n = " to ".join(map(str, dict.fromkeys((min(sizes), max(sizes)))))
    on = ", ".join(map(str, groups.table[DATA].unique()))
    caption = f"{capital(score_head(score))} on {on}, mean ± standard deviation (n = {n})."
    return Table(table, f"{caption} {_note(groups)}")


def latex(table: Table, name: str, caption: str = "") -> str:
    """A ``table`` with the rules of booktabs and the label "tab:<name>"; all text is escaped.

    caption: by default the note of the table.
    """
    label = re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")
    lines = [[latex_escaped(column.head) for column in table.columns]]
    for i in range(len(table.columns[0].cells)):
        cells = [(latex_escaped(column.cells[i]), bool(column.bold and column.bold[i])) for column in table.columns]
        lines.append([rf"\textbf{{{cell}}}" if bold else cell for cell, bold in cells])
    head, *rows = [rf"{' & '.join(line)} \\" for line in lines]
    begin = [r"\begin{table}[htbp]", r"\centering", rf"\caption{{{latex_escaped(caption or table.note)}}}"]
    alignment = "".join("r" if column.number else "l" for column in table.columns)
    begin += [rf"\label{{tab:{label}}}", rf"\begin{{tabular}}{{{alignment}}}", r"\toprule", head, r"\midrule"]
    return "\n".join([*begin, *rows, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def _note(groups: Groups) -> str:
    """What the means are made of, what is tied with the best, and what difference could have been seen."""
    diverged, pruned = (int(groups.table[f"n_{status}"].sum()) for status in (names.DIVERGED, names.PRUNED))
    found = {
        f"{capital(groups.seeds_text)}.": True,
        f"{counted(diverged, 'run')} diverged and count{'s' * (diverged == 1)} as chance.": diverged,
        f"{counted(pruned, 'run')} pruned and in no mean.": pruned,
        f"{counted(groups.repeated, 'run')} left out as repetitions of others.": groups.repeated,
    }
    tested = groups.ties.dropna(subset="p")
    if len(tested):
        labels = groups.labels()
        tied = [labels[i] for i in tested.index[tested["tied"]]]
        named = "; ".join(tied) if len(tied) <= _MOST_NAMED else f"{len(tied):,} of {len(tested):,} others"
        chooses = groups.runs.objective
        best = f"{wording.score_name(chooses)}, {labels[groups.best]}"
        size = wording.points(chooses, tested["detectable"].median())
        found[f"Not told apart from the best by {best} (5 %, Holm): {named or 'none'}."] = True
        found[f"A difference of {size} would have shown in 80 % of cases."] = True
    found["Groups of which only some seeds learn are not compared."] = bool(groups.some_learn(names.VAL_ACCURACY).any())
    return " ".join(text for text, is_so in found.items() if is_so)


def rows_table(rows: Sequence[Mapping[str, str]], texts: Sequence[str] = ()) -> Table:
    """A table from its rows by head; all but the first column and those of `texts` hold numbers."""
    heads = list(dict.fromkeys(head for row in rows for head in row))
    cells = {head: [row.get(head, "-") for row in rows] for head in heads}
    return Table([Column(head, cells[head], number=head not in (heads[0], *texts)) for head in heads])
