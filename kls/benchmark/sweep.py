"""Times a whole sweep, from the command line to its report, by each launcher and by a plain PyTorch loop.

20 values of lam, 10 epochs each (one cycle), model 3layer_bn, with pixels and with data.projection=0.99.
The sweep may use all cores: the population and joblib launchers start a process a core. PyTorch's plain loop goes
through the values in one process, and again in a process a core, each of one thread with its share of the values.
All evaluate on 5,000 training and all validation pictures before training, after each epoch, and on the test set
once; none draws pictures.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from joblib import cpu_count

from kls.benchmark.interleave import ONE_THREAD
from kls.data.cifar10 import load_cifar10
from kls.errors import UserError

LAUNCHERS = ("population", "joblib", "basic")
PROJECTION = 0.99
MODEL = "3layer_bn"


@dataclass(frozen=True)
class Plan:
    """What is swept. n_train, n_val, n_test: pictures; None is all."""

    source: str
    lams: tuple[float, ...]
    epochs: int
    n_s: int
    n_train: int | None
    n_val: int
    n_test: int | None


def plan(root: Path, quick: bool) -> Plan:
    """CIFAR-10 where it is in ``root``, else the synthetic pictures; quick: a few pictures and values."""
    try:
        load_cifar10(root, download=False)
        source = "cifar10"
    except UserError:
        source = "synthetic"
    if quick:
        return Plan(source, _lams(4), 2, 10, 1000, 200, 200)
    return Plan(source, _lams(20), 10, 2250, None, 5000, None)


def _lams(n: int) -> tuple[float, ...]:
    return tuple(float(f"{lam:.4g}") for lam in np.geomspace(1e-5, 1e-1, n))


def overrides(p: Plan, projection: float | None) -> list[str]:
    """What all of this project's commands are given."""
    sizes = {"n_train": p.n_train, "n_val": p.n_val, "n_test": p.n_test, "projection": projection}
    return [
        f"model={MODEL}", f"data={p.source}", *(f"data.{key}={_null(value)}" for key, value in sizes.items()),
        f"optimizer.schedule.n_s={p.n_s}", "optimizer.schedule.cycles=1", "plots=false", "progress=false",
    ]  # fmt: skip


def _null(value: object) -> str:
    return "null" if value is None else str(value)


def sweep_command(p: Plan, launcher: str, projection: float | None, folder: Path) -> list[str]:
    """The sweep by one of Hydra's launchers, into ``folder``."""
    return [
        sys.executable, "-m", "kls.train", "--multirun", f"hydra/launcher={launcher}",
        f"lam={','.join(map(str, p.lams))}", *overrides(p, projection), f"hydra.sweep.dir={folder}",
    ]  # fmt: skip


def warm_up_command(p: Plan, projection: float | None, folder: Path) -> list[str]:
    """One step, so that what is cached on disk (pictures, axes of the projection) is there for everyone."""
    length = ["optimizer.schedule.cycles=null", "optimizer.schedule.steps=1", f"hydra.run.dir={folder}"]
    return [sys.executable, "-m", "kls.train", *overrides(p, projection), *length]


def torch_commands(
    p: Plan, projection: float | None, root: Path, hidden: Sequence[int], processes: int
) -> list[list[str]]:
    """The same by PyTorch: a loop over the values, or several processes, each with every so-manieth value."""
    wish = asdict(p) | {"root": str(root), "projection": projection, "hidden": list(hidden)}
    return [
        [sys.executable, "-m", "kls.benchmark.torch_sweep", json.dumps(wish | {"lams": p.lams[i::processes]})]
        for i in range(processes)
    ]


def wall_seconds(commands: Sequence[Sequence[str]], cwd: Path | None = None) -> float:
    """Until all of the commands, started together, have ended. Raises UserError where one fails."""
    start = time.perf_counter()
    running = [
        subprocess.Popen(
            command, cwd=cwd, env=os.environ | ONE_THREAD, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        for command in commands
    ]
    told = [process.communicate()[1] for process in running]
    for command, process, stderr in zip(commands, running, told, strict=True):
        if process.returncode:
            last = (stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise UserError(f"{' '.join(command[1:4])} ... failed: {last}")
    return time.perf_counter() - start


def time_sweeps(
    p: Plan, root: Path, hidden: Sequence[int], with_torch: bool, folder: Path, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """One row a way and a projection: sweep, inputs, processes, trials, seconds, seconds a trial."""
    rows = []
    for projection in (None, PROJECTION):
        inputs = "pixels" if projection is None else f"projected, {projection}"
        short = "pixels" if projection is None else "projected"
        wall_seconds([warm_up_command(p, projection, folder / f"warm-up-{short}")])
        cores = min(cpu_count(), len(p.lams))
        ways = [
            (name, 1 if name == "basic" else cores, [sweep_command(p, name, projection, folder / f"{name}-{short}")])
            for name in LAUNCHERS
        ]
        if with_torch:
            ways += [("torch", n, torch_commands(p, projection, root, hidden, n)) for n in sorted({1, cores})]
        for name, processes, commands in ways:
            say(f"sweep by {name}, {inputs}, {processes} processes")
            seconds = wall_seconds(commands)
            told = {"sweep": name, "inputs": inputs, "processes": processes, "trials": len(p.lams)}
            rows.append(told | {"seconds": seconds, "seconds a trial": seconds / len(p.lams)})
    return rows
