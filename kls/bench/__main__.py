"""Measure training on this machine, beside its bare matrix products and other libraries.

    python -m kls.bench                             all networks; PyTorch and JAX if they are installed
    python -m kls.bench --quick --only 3layer_bn    whether it works, in seconds
    python -m kls.bench --sweep --growth            whole sweeps too, by each launcher; takes long

Prints tables and writes bench.md, bench.csv, bench.json and bench.png to outputs/bench/<time>/.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from kls.config.entry_point import parser, reporting
from kls.config.new_folder import new_folder
from kls.errors import UserError
from kls.records.escape import printable, shortened

PEERS = {"torch": "PyTorch", "jax": "JAX"}


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The command line; ``peers`` are those that are installed, ``left_out`` the others."""
    ask = parser("kls.bench", __doc__ or "")
    ask.add_argument("--quick", action="store_true", help="a few steps and pictures: whether it works, not how fast")
    ask.add_argument("--only", metavar="MODEL", help="one network of conf/model (default: all that are compared)")
    ask.add_argument("--rounds", type=int, help="rounds of measurements, of which the best counts (default: 7)")
    ask.add_argument("--peers", default=",".join(PEERS), help="libraries to compare with, or none (default: all)")
    ask.add_argument("--sweep", action="store_true", help="time a sweep of 20 trials by each launcher and PyTorch")
    ask.add_argument("--growth", action="store_true", help="time sweeps of 100 and 1,000 tiny trials")
    options = ask.parse_args(argv)
    if options.rounds is not None and not 1 <= options.rounds <= 1000:
        raise UserError(f"--rounds {shortened(str(options.rounds))}: must be 1 to 1,000")
    named = [name for name in options.peers.split(",") if name not in ("", "none")]
    for name in (name for name in named if name not in PEERS):
        raise UserError(f"--peers {shortened(name)}: there is no such library; there are {', '.join(PEERS)}, or none")
    options.peers = [name for name in named if find_spec(name)]
    options.left_out = [name for name in named if not find_spec(name)]
    return options


def run(argv: Sequence[str]) -> None:
    """The work of the entry point, with exceptions."""
    options = arguments(argv)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0

    import numpy as np

    from kls.bench import sweeps, training
    from kls.plots.intervals import Point, Series, plot_intervals
    from kls.records.atomic import write_text
    from kls.records.checked import write_json
    from kls.records.environment import describe

    tasks = training.tasks(options.only)
    for name in options.left_out:
        print(f"{name} is not installed: left out", file=sys.stderr)
    machine, now = describe() | {"load": load}, datetime.now()
    folder = Path(new_folder("outputs", "bench", f"{now:%Y-%m-%d}", f"{now:%Y-%m-%d_%H-%M-%S}"))
    members, rounds, *size = ((4, 10), 2, 3, 1000) if options.quick else ((4, 10, 20, 40), 7, 90, training.N_PICTURES)
    measured = training.measure(tasks, members, options.peers, options.rounds or rounds, *size)
    wide = training.side_by_side(measured)
    tables = {"Seconds an epoch and network, on one core": wide}
    if options.sweep:
        found = sweeps.by_launcher(folder / "sweep", options.quick, "torch" in options.peers)
        tables["Seconds of a sweep, one thread a process"] = found
    if options.growth:
        found = sweeps.growth(folder / "growth", (10,) if options.quick else (100, 1000))
        tables["Overhead of a sweep of tiny trials, one process"] = found

    versions = {name: version(name) for name in ("numpy", *options.peers)}
    facts = [machine["cpu"], machine["blas"], f"{machine['blas_kernels']} kernels", f"load {load:.2f}"]
    facts += [f"{name} {number}" for name, number in versions.items()]
    text = ", ".join(facts) + (": the machine was busy, the times are too long" if load > 0.5 else "")
    for title, table in tables.items():
        cells = table.astype(object).where(table.notna(), None)
        text += f"\n\n## {title}\n\n{cells.to_markdown(index=False, floatfmt='.3g', missingval='')}"
    write_text(folder / "bench.md", f"# Benchmark\n\n{text}\n")
    write_text(folder / "bench.csv", measured.drop(columns="seconds").to_csv(index=False))
    content = {title: table.to_dict("records") for title, table in (tables | {"measured": measured}).items()}
    write_json(folder / "bench.json", {"machine": machine, "versions": versions, **content})
    rows = [f"{row.model}, {row.inputs:,} inputs, {row.members} together" for row in wide.itertuples()]
    labels = {"ours": "this project", **PEERS, "floor": "floor: matrix products alone"}
    times = {labels[name]: wide[name].dropna() for name in ("ours", *options.peers, "floor") if name in wide}
    series = [Series(name, [Point(row, np.empty(0), s) for row, s in own.items()]) for name, own in times.items()]
    plot_intervals(
        series, "", next(iter(tables)), folder / "bench.png", f"Training on {machine['cpu']}", log_y=True,
        rows=[(row.replace(", 1 together", ""), "") for row in rows],
    )  # fmt: skip
    print(printable(text), f"written: {folder}", sep="\n\n")


def main() -> None:
    """Entry point of ``python -m kls.bench``."""
    reporting(lambda: run(sys.argv[1:]))


if __name__ == "__main__":
    main()
