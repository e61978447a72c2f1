"""A page on any folders of runs and sweeps, to keep, print or send.

    python -m kls.report outputs/my_study
    python -m kls.report outputs/a outputs/b --out reports/a_and_b --title "Two searches"

Writes report.html, which needs no other file and no network, and the same as report.md with its pictures.
"""

from __future__ import annotations

from kls.config.entry_point import folder_path, parser, reporting
from kls.errors import UserError
from kls.records.escape import one_line


def run() -> None:
    """The work of the entry point, with exceptions."""
    ask = parser("kls.report", __doc__ or "")
    ask.add_argument("paths", type=folder_path, nargs="+", metavar="PATH", help="folder with runs, at any depth")
    ask.add_argument("--out", type=folder_path, help="folder to write to (default: PATH, if there is only one)")
    ask.add_argument("--title", help="title of the page (default: the names of the sweeps or folders)")
    given = ask.parse_args()
    if given.out is None and len(given.paths) > 1:
        raise UserError("--out: give a folder to write to, for there are several to read")

    from kls.report.page import write_runs_page

    print(one_line(f"written: {write_runs_page(given.paths, given.out or given.paths[0], given.title)}"))


def main() -> None:
    """Entry point of ``python -m kls.report``."""
    reporting(run)


if __name__ == "__main__":
    main()
