"""Times whole sweeps, from the command line to the report, one thread a process.

python -m kls.bench.sweeps RUN LAM... trains by PyTorch for each lam, with the settings of a run's folder.
"""

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen

import numpy as np
import pandas as pd
from joblib import cpu_count

from kls.bench.loops import BATCH_SIZE, batches
from kls.bench.loops import torch as torch_loop
from kls.bench.training import ONE_THREAD, tasks
from kls.data.dataset import default_root
from kls.errors import UserError
from kls.records import names

LIGHT = ("plots=false", "progress=false")
STEPS = ("optimizer.schedule.cycles=null", "optimizer.schedule.steps=2")
TINY = ("model.hidden=[10]", "data.n_train=200", "data.n_val=100", "data.n_test=100", "evaluation.n_train=100")


def by_launcher(folder: Path, quick: bool, with_torch: bool) -> pd.DataFrame:
    """Seconds of 20 values of lam, 10 epochs each (one cycle), on all cores: by each launcher and a plain PyTorch loop,
    on pixels and with data.projection=0.99. All evaluate before training, after each epoch and on the test set."""
    lams = [f"{lam:.4g}" for lam in np.geomspace(1e-5, 1e-1, 4 if quick else 20)]
    source = "cifar10" if any(Path(default_root()).expanduser().glob("cifar-10-*")) else "synthetic"
    fixed = [*LIGHT, f"data={source}", f"optimizer.schedule.n_s={10 if quick else 2250}", "optimizer.schedule.cycles=1"]
    fixed += ["data.n_train=1000", "data.n_val=200", "data.n_test=200"] if quick else []
    cores, rows = min(cpu_count(), len(lams)), []
    for projection in ("null", "0.99"):
        settings, once = [*fixed, f"data.projection={projection}"], folder / f"once-{projection}"
        wall_seconds(["kls.train", *settings, *STEPS, f"hydra.run.dir={once}"])  # puts pictures and axes into caches
        ways, sweep = {}, ["kls.train", "--multirun", f"lam={','.join(lams)}", *settings]
        for name in ("population", "joblib", "basic"):
            ways[name] = [[*sweep, f"hydra/launcher={name}", f"hydra.sweep.dir={folder / f'{name}-{projection}'}"]]
        for n in sorted({1, cores}) if with_torch else ():
            ways[f"torch, {n} at once"] = [["kls.bench.sweeps", str(once), *lams[i::n]] for i in range(n)]
        rows += [(name, projection, len(lams), wall_seconds(*commands)) for name, commands in ways.items()]
    return pd.DataFrame(rows, columns=["sweep", "projection", "trials", "seconds"])


def growth(folder: Path, numbers: Sequence[int]) -> pd.DataFrame:
    """What sweeps of so many trials of two steps cost beside their training, in one process."""
    rows = []
    for n in (1, *numbers):  # the first fills the caches
        own = (f"lam={','.join(f'{i}e-6' for i in range(1, n + 1))}", f"hydra.sweep.dir={folder / str(n)}")
        wall = wall_seconds(["kls.train", "--multirun", *LIGHT, *TINY, *STEPS, *own, "hydra.launcher.n_jobs=1"])
        found = [json.loads(path.read_text(encoding="utf-8")) for path in (folder / str(n)).rglob(names.METRICS)]
        training = sum(metrics["training_seconds"] / metrics["population"] for metrics in found)  # of the populations
        rows.append((n, wall, 1000.0 * (wall - training) / n))
    return pd.DataFrame(rows[1:], columns=["trials", "seconds", "overhead ms a trial"])


def wall_seconds(*commands: Sequence[str]) -> float:
    """Until all ``python -m`` commands, started together, have ended. Raises UserError if one fails."""
    print(*commands[0][:4], "...", file=sys.stderr, flush=True)
    start, env = time.perf_counter(), os.environ | ONE_THREAD
    lines = [[sys.executable, "-m", *command] for command in commands]
    running = [Popen(line, env=env, stdout=DEVNULL, stderr=PIPE, text=True) for line in lines]
    for process in running:
        errors = process.communicate()[1].strip().splitlines()
        if process.returncode:
            raise UserError(f"{commands[0][0]} failed: {errors[-1] if errors else process.returncode}")
    return time.perf_counter() - start


def main(run: str, *lams: str) -> None:
    """Trains a PyTorch network for each lam, and evaluates it as often as a run is."""
    import torch

    from kls.config.build import data_set
    from kls.training.trained_network import load_settings

    settings = load_settings(Path(run))
    data, steps = data_set(settings), settings.optimizer.schedule.cycle or 0
    x, labels = data.train.x.copy(), data.train.y.copy()  # which can be written
    part, val, test = (torch.tensor(inputs) for inputs in (x[:5000], data.val.x, data.test.x))
    epoch = len(x) // BATCH_SIZE
    for lam in lams:
        task = replace(tasks("3layer_bn")[0], n_inputs=x.shape[1], steps=steps, lam=float(lam))
        train, network = torch_loop(task, x, labels)
        for end in range(0, steps + 1, epoch):
            start = max(0, end - epoch)
            train(batches(len(x), start, end - start), task.rates[start:end])
            for inputs in (part, val, test) if end == steps else (part, val):
                with torch.no_grad():
                    answers = network.eval()(inputs).argmax(1).numpy()
        print(f"lam {lam}: test accuracy {(answers == data.test.y).mean():.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
