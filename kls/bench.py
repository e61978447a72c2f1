"""Measure training on this machine, beside its bare matrix products and other libraries.

    python -m kls.bench                                    all networks; PyTorch, JAX, scikit-learn where installed
    python -m kls.bench --quick --only 3layer_bn           whether it works, in seconds
    python -m kls.bench --sweep --growth                   whole sweeps too, by each launcher; takes long

Prints a table and writes bench.json, bench.csv, bench.md and bench.png to outputs/bench/<time>/.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from kls.benchmark.cases import INPUTS, MODELS, PEERS, POPULATIONS, TORCH, VMAPPED, read_work
from kls.config.entry_point import reporting
from kls.config.new_folder import new_folder
from kls.config.project import project_root
from kls.errors import UserError
from kls.records.escape import printable, shortened

MOST_ROUNDS = 1000


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    ask = argparse.ArgumentParser(
        prog="python -m kls.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ask.add_argument("--quick", action="store_true", help="a few steps and pictures: whether it works, not how fast")
    ask.add_argument("--only", metavar="MODEL", help="one network of conf/model (default: all that are compared)")
    ask.add_argument("--rounds", type=int, help="rounds of measurements, of which the best counts (default: 7)")
    ask.add_argument(
        "--peers", default=",".join(PEERS), help="libraries to compare with, or none (default: torch,jax,sklearn)"
    )
    ask.add_argument("--sweep", action="store_true", help="time a sweep of 20 trials by each launcher and PyTorch")
    ask.add_argument("--growth", action="store_true", help="time sweeps of 10, 100 and 1,000 tiny trials")
    return ask.parse_args(argv)


def run(argv: Sequence[str]) -> None:
    """The work of the entry point, with exceptions."""
    wish = arguments(argv)
    peers = _peers(wish.peers)
    if wish.rounds is not None and not 1 <= wish.rounds <= MOST_ROUNDS:
        raise UserError(f"--rounds {shortened(str(wish.rounds))}: must be 1 to {MOST_ROUNDS:,}")
    conf = project_root() / "conf"
    works = [read_work(conf, model) for model in (MODELS if wish.only is None else [wish.only])]
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None

    from kls.benchmark.growth import time_growth
    from kls.benchmark.measure import Effort, measure
    from kls.benchmark.report import Report
    from kls.benchmark.sweep import MODEL, plan, time_sweeps
    from kls.benchmark.task import N_PICTURES
    from kls.data.dataset import default_root
    from kls.records.environment import describe

    if wish.quick:
        effort = Effort(3, wish.rounds or 2, 1000, INPUTS, (4, VMAPPED))
    else:
        effort = Effort(90, wish.rounds or 7, N_PICTURES, INPUTS, POPULATIONS)
    now = datetime.now()
    folder = Path(new_folder("outputs", "bench", f"{now:%Y-%m-%d}", f"{now:%Y-%m-%d_%H-%M-%S}"))
    measurements, versions = measure(works, peers, effort, _say)
    sweep_plan, sweeps, overheads = None, [], []
    if wish.sweep:
        root = Path(default_root()).expanduser()
        sweep_plan = plan(root, wish.quick)
        hidden = read_work(conf, MODEL).hidden
        sweeps = time_sweeps(sweep_plan, root, hidden, TORCH in versions, folder / "sweep", _say)
    if wish.growth:
        overheads = time_growth(folder / "growth", _say, (10,) if wish.quick else (10, 100, 1000))
    told = None if sweep_plan is None else asdict(sweep_plan)
    report = Report(describe(), versions, load, effort, measurements, sweeps, told, overheads)
    report.write(folder)
    print(printable(report.text()))
    print(f"\nwritten: {folder}")


def _peers(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip() not in ("", "none")]
    for name in names:
        if name not in PEERS:
            there_are = ", ".join(PEERS)
            raise UserError(f"--peers {shortened(name)}: there is no such library; there are {there_are}, or none")
    return list(dict.fromkeys(names))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Entry point of ``python -m kls.bench``."""
    reporting(lambda: run(sys.argv[1:]))


if __name__ == "__main__":
    main()
