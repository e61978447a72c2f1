"""Times training side by side: each library in a process of its own on one core, round by round in turn.

If the machine's speed drifts, it drifts for all alike. The smallest of a library's rounds is its time.
"""

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pandas as pd
import yaml
from joblib.externals.loky.process_executor import ProcessPoolExecutor
from tqdm import tqdm

from kls.bench import loops
from kls.bench.loops import BATCH_SIZE, Task
from kls.config.project import project_root
from kls.errors import UserError
from kls.records.escape import shortened

MODELS = ("3layer", "3layer_bn", "9layer", "9layer_bn", "7layer_wide_bn", "7layer_wider_bn")
N_PICTURES, INPUTS = 45_000, (3072, 537)  # pixels, and what data.projection=0.99 leaves of them
POPULATED, VMAPPED = ("3layer_bn", "9layer_bn"), 10  # networks measured as populations; of how many, JAX's
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
ONE_THREAD["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
ONE_THREAD["JAX_PLATFORMS"] = "cpu"

Contender = tuple[str, Task]  # a function of kls.bench.loops, and what it trains
_loops: dict[Contender, Any] = {}  # of a worker process


def tasks(only: str | None) -> list[Task]:
    """The networks of conf/model to be measured, with each number of inputs. Raises UserError if ``only`` is none."""
    folder = project_root() / "conf" / "model"
    there = sorted(path.stem for path in folder.glob("[!_]*.yaml"))
    if only is not None and only not in there:
        raise UserError(f"--only {shortened(only) or repr(only)}: there is no such model; there are {', '.join(there)}")
    models = MODELS if only is None else [only]
    files = {model: yaml.safe_load((folder / f"{model}.yaml").read_text(encoding="utf-8")) for model in models}
    found = [Task(name, tuple(own["hidden"]), own.get("bn", {}).get("enabled", False)) for name, own in files.items()]
    return [replace(task, n_inputs=n) for n in INPUTS for task in found]


def contenders(task: Task, populations: Sequence[int], peers: Sequence[str]) -> list[Contender]:
    """Who is measured side by side on one network, in the order of each round."""
    found = [(name, task) for name in ("ours", "floor", *peers)]
    for members in populations if task.model in POPULATED else ():
        names = ["ours", "floor", *(["jax"] if members == VMAPPED and "jax" in peers else [])]
        found += [(name, replace(task, members=members)) for name in names]
    return found


def measure(
    tasks: Sequence[Task], populations: Sequence[int], peers: Sequence[str], rounds: int, steps: int, n: int
) -> pd.DataFrame:
    """A row a contender: library, model, inputs, members, steps, seconds (one a round), epoch_seconds (of one member).

    steps: of a round. n: pictures to choose from.
    """
    rows = []
    with ExitStack() as stack:
        pools = {name: ProcessPoolExecutor(1, env=ONE_THREAD, initializer=_on_one_core) for name in ("ours", *peers)}
        workers = {name: stack.enter_context(pool) for name, pool in pools.items()}
        workers["floor"] = workers["ours"]  # the same BLAS
        for task in tqdm([replace(task, steps=steps * (rounds + 1)) for task in tasks], unit="network"):
            group = contenders(task, populations, peers)
            for worker in pools.values():
                worker.submit(_make, [c for c in group if workers[c[0]] is worker], n, task.n_inputs).result()
            firsts = range(0, steps * (rounds + 1), steps)
            taken = [[workers[c[0]].submit(_train, c, n, first, steps).result() for c in group] for first in firsts]
            for (name, own), seconds in zip(group, zip(*taken[1:], strict=True), strict=True):  # the first compiles
                epoch = min(seconds) / steps * (N_PICTURES // BATCH_SIZE) / own.members
                rows.append((name, own.model, own.n_inputs, own.members, steps, seconds, epoch))
    return pd.DataFrame(rows, columns=["library", "model", "inputs", "members", "steps", "seconds", "epoch_seconds"])


def side_by_side(measured: pd.DataFrame) -> pd.DataFrame:
    """A row a network and size of population: seconds an epoch and member of each library, and ratios to them."""
    keys = ["model", "inputs", "members"]
    wide = measured.pivot(index=keys, columns="library", values="epoch_seconds")
    wide = wide.loc[pd.MultiIndex.from_frame(measured[keys].drop_duplicates()), measured["library"].unique()]
    return wide.assign(**{f"ours/{name}": wide["ours"] / wide[name] for name in wide.columns[1:]}).reset_index()


def _on_one_core() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def _make(group: Sequence[Contender], n: int, n_inputs: int) -> None:
    _loops.clear()
    data = loops.pictures(n, n_inputs) if group else ()
    _loops.update({(name, task): getattr(loops, name)(task, *data)[0] for name, task in group})


def _train(contender: Contender, n: int, first: int, steps: int) -> float:
    """Seconds that so many steps take."""
    rows, rates = loops.batches(n, first, steps), contender[1].rates[first : first + steps]
    start = time.perf_counter()
    _loops[contender](rows, rates)
    return time.perf_counter() - start
