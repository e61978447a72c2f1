"""What a sweep costs a trial beside its training, for ever more trials of next to no training.

Each is `python -m kls.train --multirun lam=...` of a tiny network on a few synthetic pictures, two steps a
trial, all in one process. Overhead is the wall time less the populations' training time, over the trials.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kls.benchmark.sweep import wall_seconds
from kls.records import names

TRIALS = (10, 100, 1000)
TINY = (
    "model.hidden=[10]", "data=synthetic", "data.n_train=200", "data.n_val=100", "data.n_test=100",
    "evaluation.n_train=100", "optimizer.schedule.cycles=null", "optimizer.schedule.steps=2",
    "plots=false", "progress=false",
)  # fmt: skip


def grid_command(trials: int, folder: Path) -> list[str]:
    """A grid of so many values of lam, into ``folder``."""
    lams = ",".join(f"{number}e-6" for number in range(1, trials + 1))
    alone = [f"hydra.sweep.dir={folder}", "hydra.launcher.n_jobs=1"]
    return [sys.executable, "-m", "kls.train", "--multirun", f"lam={lams}", *TINY, *alone]


def training_seconds(folder: Path) -> float:
    """Of all populations below ``folder``; each member's metrics tell its population's time and size."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in folder.rglob(names.METRICS)]
    return float(sum(metrics["training_seconds"] / metrics["population"] for metrics in found))


def overhead_row(trials: int, wall: float, training: float) -> dict[str, Any]:
    """Seconds of a sweep, and its overhead a trial in milliseconds."""
    overhead = 1000.0 * (wall - training) / trials
    return {"trials": trials, "wall s": wall, "training s": training, "overhead ms a trial": overhead}


def time_growth(
    folder: Path, say: Callable[[str], None], numbers: Sequence[int] = TRIALS
) -> list[dict[str, Any]]:
    """One row a number of trials; see overhead_row."""
    wall_seconds([[sys.executable, "-m", "kls.train", *TINY, f"hydra.run.dir={folder / 'warm-up'}"]])
    rows = []
    for trials in numbers:
        say(f"a sweep of {trials} tiny trials")
        target = folder / f"{trials}-trials"
        wall = wall_seconds([grid_command(trials, target)])
        rows.append(overhead_row(trials, wall, training_seconds(target)))
    return rows
