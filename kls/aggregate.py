"""Tables and pictures of many runs, averaged over seeds.

    python -m kls.aggregate outputs/my_study
    python -m kls.aggregate outputs/a outputs/b --out outputs/a_and_b --by model,lam
    python -m kls.aggregate outputs --where "model.bn.enabled == true and lam < 0.01" --sort -test_accuracy

Writes runs.csv, summary.csv, summary.md, summary.tex and pictures, and prints the tables.
"""

from __future__ import annotations

import sys

from kls.config.entry_point import folder_path, parser, reporting
from kls.records.escape import printable


def run() -> None:
    """The work of the entry point, with exceptions."""
    ask = parser("kls.aggregate", __doc__ or "")
    add = ask.add_argument
    add("paths", type=folder_path, nargs="+", metavar="PATH", help="folder with runs, at any depth")
    add("--by", default="", help="columns to group by, such as model,lam (default: all settings but seeds)")
    add("--metric", help="score to show first (default: what the sweep searched by, else val_accuracy)")
    add("--where", help="only runs of which this is true, such as 'lam < 0.01 and val_accuracy > 40'")
    add("--sort", metavar="COLUMN", help="order of the tables; -COLUMN is descending")
    add("--top", type=int, default=5, help="how many of the best groups to show (default: 5)")
    add("--curves", type=int, default=8, help="how many learning curves to draw in a picture (default: 8; 0 is none)")
    add("--out", type=folder_path, help="folder to write to (default: PATH, if there is only one)")
    words = sys.argv[1:]
    if "--sort" in words[:-1]:  # argparse would take "--sort -lam" for two options
        i = words.index("--sort")
        words[i : i + 2] = [f"--sort={words[i + 1]}"]
    given = ask.parse_args(words)

    from kls.report.page import Options
    from kls.report.summary import aggregate

    by = [name.strip() for name in given.by.split(",") if name.strip()]
    options = Options(by, given.metric, given.where, given.sort, given.top, given.curves)
    out = given.out or (given.paths[0] if len(given.paths) == 1 else None)
    print(printable(aggregate(given.paths, out, options)))


def main() -> None:
    """Entry point of ``python -m kls.aggregate``."""
    reporting(run)


if __name__ == "__main__":
    main()
