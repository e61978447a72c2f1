"""Compare groups of runs: differences with their intervals, each side against the first.

    kls compare outputs/a outputs/b
    kls compare "outputs/nets::model == '3layer'" "outputs/nets::model == '3layer_bn'"
    kls compare outputs/a outputs/b outputs/c --metric val_loss

A side is a folder with runs, at any depth, and behind :: a condition in the language of --where of kls.aggregate. If
all sides tried the same settings, groups of equal settings are compared, else the best group of each by validation.
Runs that differ in more than seeds are never averaged; other data or other lengths of training are not compared.
Differences are paired by seed where both have the same seeds, else Welch's; p is by Holm's method for all shown.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from kls.config.entry_point import folder_path, parser, reporting
from kls.errors import UserError
from kls.records.escape import printable


def run() -> None:
    """The work of the entry point, with exceptions."""
    ask = parser("kls.compare", __doc__ or "")
    ask.add_argument("sides", nargs="+", metavar="SIDE", help="FOLDER or 'FOLDER::CONDITION'; the first is the base")
    ask.add_argument("--metric", help="score to compare (default: test_accuracy if all have it, else val_accuracy)")
    ask.add_argument("--best", action="store_true", help="the best group of each, though all tried the same settings")
    given = ask.parse_args(sys.argv[1:])

    from kls.analysis.comparison import compare, read_sides
    from kls.analysis.tables import rows_table
    from kls.report.document import List, Paragraph, TableBlock, render_text
    from kls.report.page import banner

    sides = read_sides(given.sides, _folder)
    found = compare(sides, given.metric, given.best)
    table = rows_table(found.cells(), ("against", "its", "settings", found.sides[0].letter))
    blocks = [List(found.chosen), *banner([side.runs for side in found.sides]), TableBlock(table)]
    blocks += [Paragraph(text) for text in (*found.sentences(), *found.notes)]
    print(printable(render_text(blocks)))


def _folder(text: str) -> Path:
    try:
        return folder_path(text)
    except argparse.ArgumentTypeError as error:
        raise UserError(str(error)) from None


def main() -> None:
    """Entry point of ``python -m kls.compare``."""
    reporting(run)


if __name__ == "__main__":
    main()
