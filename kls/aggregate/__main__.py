"""Tables and pictures of many runs, averaged over seeds.

    python -m kls.aggregate outputs/my_study
    python -m kls.aggregate outputs/a outputs/b --out outputs/a_and_b --by model,lam
    python -m kls.aggregate outputs --where "model.bn.enabled == true and lam < 0.01" --sort -test_accuracy

Writes runs.csv, summary.csv, summary.md, summary.tex and pictures, and prints the tables.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from kls.config.entry_point import folder_path, reporting
from kls.records.escape import one_line, printable


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    ask = argparse.ArgumentParser(
        prog="python -m kls.aggregate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ask.add_argument("paths", type=folder_path, nargs="+", metavar="PATH", help="folder with runs, at any depth")
    ask.add_argument("--by", default="", help="columns to group by, such as model,lam (default: all but seeds)")
    ask.add_argument("--metric", help="score to compare by (default: the sweep's, else val_accuracy)")
    ask.add_argument("--where", help="only runs of which this is true, such as 'lam < 0.01 and status == \"finished\"'")
    ask.add_argument("--sort", metavar="COLUMN", help="order of the tables; -COLUMN is descending")
    ask.add_argument("--top", type=int, default=5, help="how many of the best groups to show (default: 5)")
    ask.add_argument("--curves", type=int, default=5, help="how many learning curves to draw (default: 5; 0 is none)")
    ask.add_argument("--out", type=folder_path, help="folder to write to (default: PATH, where there is only one)")
    return ask.parse_args(_joined(argv))


def _joined(argv: Sequence[str]) -> list[str]:
    """Turn "--sort -lam", which argparse would take for two options, into "--sort=-lam"."""
    joined: list[str] = []
    for argument in argv:
        if joined and joined[-1] == "--sort":
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def run(argv: Sequence[str]) -> None:
    """The work of the entry point, with exceptions."""
    wish = arguments(argv)

    from kls.aggregate.aggregation import Wishes, aggregate

    by = [name.strip() for name in wish.by.split(",") if name.strip()]
    wishes = Wishes(by, wish.metric, wish.where, wish.sort, wish.top, wish.curves)
    out = wish.out or (wish.paths[0] if len(wish.paths) == 1 else None)
    print(printable(aggregate(wish.paths, out, wishes, lambda line: print(one_line(line), file=sys.stderr))))


def main() -> None:
    """Entry point of ``python -m kls.aggregate``."""
    reporting(lambda: run(sys.argv[1:]))


if __name__ == "__main__":
    main()
