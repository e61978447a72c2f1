"""List the sweeps, and the runs that are part of none, below folders: newest first.

    kls runs
    kls runs outputs/studies outputs/mine --limit 0
    kls runs --status running --status stale

A sweep or run is stale if it says that it is running, but no process holds its lock: it was killed, and resume=FOLDER
goes on with it. The accuracy is that of the best group by validation; of a sweep, in its confirming stage if there is.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from kls.config.entry_point import folder_path, parser, reporting
from kls.errors import UserError
from kls.records.escape import printable

OUTPUTS = Path("outputs")


def run() -> None:
    """The work of the entry point, with exceptions."""
    from kls.analysis.listing import STATUSES, found_below, newest, text

    ask = parser("kls.runs", __doc__ or "")
    ask.add_argument("paths", type=folder_path, nargs="*", default=[OUTPUTS], metavar="PATH", help="default: outputs")
    ask.add_argument("--limit", type=int, default=20, help="how many to list at most (default: 20; 0 is all)")
    ask.add_argument("--status", action="append", choices=STATUSES, help="only those; may be given several times")
    ask.add_argument("--json", action="store_true", help="print a list of objects, for programs")
    given = ask.parse_args(sys.argv[1:])
    if given.limit < 0:
        raise UserError(f"--limit {given.limit}: must be 0 or more")
    found = found_below(given.paths)
    entries, n = newest(found, given.limit, given.status or ())
    if given.json:
        print(json.dumps([entry.content() for entry in entries], indent=2))
    else:
        print(printable(text(entries, n)))


def main() -> None:
    """Entry point of ``kls runs``."""
    reporting(run)


if __name__ == "__main__":
    main()
