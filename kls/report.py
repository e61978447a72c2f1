"""A report of any folders of runs and sweeps: one page to keep, print or send.

    python -m kls.report outputs/my_study
    python -m kls.report outputs/a outputs/b --out reports/a_and_b --title "Two searches"

Writes report.html, which needs no other file and no network, and the same as report.md with its pictures.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from kls.config.entry_point import folder_path, reporting
from kls.errors import UserError
from kls.records.escape import one_line


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    ask = argparse.ArgumentParser(
        prog="python -m kls.report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ask.add_argument("paths", type=folder_path, nargs="+", metavar="PATH", help="folder with runs, at any depth")
    ask.add_argument("--out", type=folder_path, help="folder to write to (default: PATH, where there is only one)")
    ask.add_argument("--title", help="title of the report (default: the folders' names)")
    return ask.parse_args(argv)


def run(argv: Sequence[str]) -> None:
    """The work of the entry point, with exceptions."""
    wish = arguments(argv)
    if wish.out is None and len(wish.paths) > 1:
        raise UserError("--out: give a folder to write to, for there are several to read")

    from kls.reporting.runs_report import write_runs_report

    print(one_line(f"written: {write_runs_report(wish.paths, wish.out or wish.paths[0], wish.title)}"))


def main() -> None:
    """Entry point of ``python -m kls.report``."""
    reporting(lambda: run(sys.argv[1:]))


if __name__ == "__main__":
    main()
