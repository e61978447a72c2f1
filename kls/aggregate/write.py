"""Writes the tables and the text of an aggregation, each file whole, and clears away pictures of an earlier one."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from kls.errors import UserError
from kls.records import names
from kls.records.atomic import write_text
from kls.records.escape import csv_cell
from kls.records.own_files import LATEX_MARK, MARKDOWN_MARK, check_may_write, is_own

LATEX = "summary.tex"
TABLES = (names.RUNS_TABLE, names.GROUPS_TABLE, names.SUMMARY, LATEX)

_PICTURES = re.compile(r"(search|heatmap|curves|seeds)(-\d+)?\.png")


@contextmanager
def into(out: Path | None) -> Iterator[None]:
    """Make the folder, if one is given, and let the block write to it.

    Raises UserError where that cannot be, where the folder is a run's, whose own pictures stand there, or where it
    holds a file of the name of a table or picture that was not written by an earlier aggregation.
    """
    try:
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            if (out / names.CONFIG).exists() or (out / names.METRICS).exists():
                raise UserError(f"{out}: is the folder of a run, which tables do not go into; give --out FOLDER")
            check_may_write(path for path in out.iterdir() if path.name in TABLES or _PICTURES.fullmatch(path.name))
        yield
    except OSError as error:
        raise UserError(f"{out}: cannot be written to ({error.strerror})") from None


def write_tables(out: Path, runs: pd.DataFrame, groups: pd.DataFrame, markdown: str, latex: str) -> None:
    """Write runs.csv and summary.csv with all digits, summary.md and summary.tex."""
    write_text(out / names.RUNS_TABLE, _csv(runs))
    write_text(out / names.GROUPS_TABLE, _csv(groups))
    write_text(out / names.SUMMARY, f"{MARKDOWN_MARK}\n\n{markdown}")
    write_text(out / LATEX, f"{LATEX_MARK}\n{latex}")


def remove_pictures(out: Path, kept: Collection[str]) -> None:
    """Delete pictures that an earlier aggregation left and this one has not made."""
    for path in out.iterdir():
        if _PICTURES.fullmatch(path.name) and path.name not in kept and is_own(path):
            path.unlink()


def _csv(frame: pd.DataFrame) -> str:
    texts = frame.astype(object).map(csv_cell).rename(columns=csv_cell)
    return str(texts.to_csv(index=False, lineterminator="\n"))
