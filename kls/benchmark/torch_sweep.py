"""Trains a PyTorch network for each of some values of lam, one after the other; a process of the timed sweep.

    python -m kls.benchmark.torch_sweep '{"source": "cifar10", "root": ..., "lams": [...], ...}'

Prints one line a value: lam, validation accuracy, test accuracy.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

from kls.benchmark.cases import Work
from kls.benchmark.sweep import MODEL
from kls.benchmark.task import BATCH_SIZE, Task
from kls.benchmark.torch_loop import TorchLoop
from kls.data.dataset import DataSet, Split, load_dataset
from kls.data.projection import project

N_EVALUATED = 5000  # training pictures that are evaluated after each epoch


def _data(wish: dict[str, Any]) -> DataSet:
    root = Path(wish["root"])
    sizes = {key: wish[key] for key in ("n_train", "n_val", "n_test")}
    data = load_dataset(
        wish["source"], root=root, download=False, synthetic_seed=0, split_seed=0, dtype="float32", **sizes
    )
    return data if wish["projection"] is None else project(data, wish["projection"], root)


def _tensors(split: Split, n: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor(split.x[:n]), torch.tensor(split.y[:n])


def main() -> None:
    """Train what the command line asks for."""
    wish = json.loads(sys.argv[1])
    data = _data(wish)
    work = Work(MODEL, tuple(wish["hidden"]), True, "he", data.train.x.shape[1])
    part, val, test = _tensors(data.train, N_EVALUATED), _tensors(data.val), _tensors(data.test)
    x, labels = data.train.x.copy(), data.train.y.copy()  # PyTorch warns of read-only arrays
    an_epoch, total = len(x) // BATCH_SIZE, 2 * wish["n_s"]
    for lam in wish["lams"]:
        loop = TorchLoop(Task(work, x, labels, total, lam))
        loop.accuracy(*part)
        loop.accuracy(*val)
        while loop.step < total:
            loop.advance(min(an_epoch, total - loop.step))
            loop.accuracy(*part)
            accuracy = loop.accuracy(*val)
        print(f"lam {lam:g}: val {accuracy:.4f}, test {loop.accuracy(*test):.4f}")


if __name__ == "__main__":
    main()
