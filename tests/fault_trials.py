"""Does faults to real sweeps, resumes them, and prints what was lost and whether any table differs.

    python tests/fault_trials.py --kills 100 --seed 0

The last thing printed is a table in Markdown. The exit status is 1 where a table differed or a trial failed.
"""

from __future__ import annotations

import argparse
import inspect
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import conftest  # first: it chooses the number of BLAS threads, and the kernels
from disturbed_sweeps import LAUNCHERS, Sweep, differences, undisturbed
from faults import FAULTS, KILLS, Fault, full_tmpfs, kill
from tabulate import tabulate

KILLS_OF_A_SWEEP = 5
OTHERS = 10  # trials of each other fault


@dataclass
class Row:
    """What has come of all trials of one fault."""

    times: int = 0
    again: int = 0  # finished runs that were trained again
    differ: int = 0  # sweeps whose tables differ from the undisturbed one's
    failed: list[str] = field(default_factory=list)
    recoveries: list[float] = field(default_factory=list)


@contextmanager
def pictures() -> Iterator[Path]:
    """The data set of the tests, outside of pytest."""

    class Folders:
        def mktemp(self, name: str) -> Path:
            return Path(tempfile.mkdtemp(prefix=name))

    made = inspect.unwrap(conftest.cifar_root)(Folders())  # type: ignore[arg-type]
    yield next(made)
    next(made, None)


class Trials:
    """Trials of faults below one folder, each on a sweep of its own; the undisturbed ones are made once."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder, self.rng, self.rows = folder, rng, dict[str, Row]()
        self._expected: dict[tuple[str, bool, tuple[str, ...]], Sweep] = {}

    def expected(self, launcher: str, nan: bool, settings: tuple[str, ...]) -> Sweep:
        key = launcher, nan, settings
        if key not in self._expected:
            self._expected[key] = undisturbed(Path(tempfile.mkdtemp(dir=self.folder)), *key)
        return self._expected[key]

    def run(
        self, name: str, faults: Sequence[Fault], launcher: str = "population", nan: bool = False, *settings: str
    ) -> Row:
        """One sweep with faults, one after the other, resumed to its end and compared."""
        row = self.rows.setdefault(name, Row())
        expected = self.expected(launcher, nan, settings)
        sweep = Sweep(Path(tempfile.mkdtemp(dir=self.folder)), launcher, nan, settings)
        try:
            for fault in faults:
                fault(sweep, self.rng)
                row.times += 1
            sweep.finish()
            found = differences(sweep.folder, expected.folder)
            row.differ += bool(found)
            row.failed += found[:5]
        except AssertionError as error:
            row.failed.append(str(error)[:1000])
        row.again += sweep.again
        row.recoveries += sweep.recoveries
        print(f"{name}, {launcher}: {row.times} times, {'; '.join(row.failed[-5:]) or 'as undisturbed'}", flush=True)
        if not row.failed:
            shutil.rmtree(sweep.cwd)
        return row

    def table(self) -> str:
        """Markdown: a line a fault."""
        lines = [
            (name, row.times, row.again or "none", row.differ or "none", f"{max(row.recoveries, default=0.0):.1f} s")
            for name, row in self.rows.items()
        ]
        heads = ["fault", "times", "finished runs trained again", "tables that differ", "longest recovery"]
        return tabulate(lines, heads, tablefmt="github", disable_numparse=True)


def main() -> None:
    """The script."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--kills", type=int, default=100, help="random kills over all launchers (default: 100)")
    ask.add_argument("--others", type=int, default=OTHERS, help="trials of each other fault (default: 10)")
    ask.add_argument("--seed", type=int, default=0)
    ask.add_argument("--keep", type=Path, help="folder for the sweeps (default: a new one, removed at the end)")
    wish = ask.parse_args()
    began, folder = time.monotonic(), wish.keep or Path(tempfile.mkdtemp(prefix="faults"))
    folder.mkdir(parents=True, exist_ok=True)
    with pictures():
        trials = Trials(folder, random.Random(wish.seed))
        launchers = list(LAUNCHERS)
        for number in range(-(-wish.kills // KILLS_OF_A_SWEEP)):
            launcher = launchers[number % len(launchers)]
            victims = [v for v in KILLS if launcher != "basic" or "worker" not in v]
            name = trials.rng.choice(victims)
            trials.run(f"{name} ({launcher})", [FAULTS[name]] * KILLS_OF_A_SWEEP, launcher)
        for name, fault in FAULTS.items():
            if name in KILLS or (fault is full_tmpfs and os.geteuid() != 0):
                continue
            settings = ("hydra.launcher.worker_timeout=5",) if name == "hanging worker" else ()
            for _ in range(wish.others):
                trials.run(name, [fault], "population", False, *settings)
        for _ in range(wish.others):
            trials.run("inf in one member, and kill -9", [lambda s, rng: kill("group", s, rng)], "population", True)
    print(f"\n{trials.table()}\n\n{time.monotonic() - began:.0f} s")
    failed = [line for row in trials.rows.values() for line in row.failed]
    if not failed and wish.keep is None:
        shutil.rmtree(folder)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
