"""Writes folders of runs and sweeps as a training leaves them, with chosen scores."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import yaml

from kls.records import names
from kls.records.atomic import write_csv

FINGERPRINT = "00112233aabbccdd"
NETWORKS: dict[str, tuple[list[int], bool]] = {
    "3layer": ([50, 50], False),
    "3layer_bn": ([50, 50], True),
    "9layer": ([50, 30, 20, 20, 10, 10, 10, 10], False),
    "9layer_bn": ([50, 30, 20, 20, 10, 10, 10, 10], True),
}
CONFIG: dict[str, Any] = {
    "name": None,
    "seed": 0,
    "order_seed": 0,
    "lam": 0.005,
    "batch_size": 100,
    "dtype": "float32",
    "model": {
        "hidden": [50, 50],
        "bn": {
            "enabled": True, "placement": "before", "momentum": 0.9, "epsilon": 1e-12, "statistics": "ema",
            "precise_batches": 10,
        },
        "init": {"scheme": "he", "sigma": None},
        "dropout": 0.0,
        "label_smoothing": 0.0,
    },
    "optimizer": {
        "kind": "sgd",
        "momentum": 0.0,
        "schedule": {
            "epochs": None, "steps": None, "kind": "cyclic", "eta_min": 1e-5, "eta_max": 0.1, "n_s": 2250,
            "eta_max_factor": 1.0, "cycles": 2,
        },
    },
    "data": {
        "source": "cifar10",
        "root": "data",
        "download": True,
        "seed": 0,
        "split_seed": 0,
        "n_train": None,
        "n_val": 5000,
        "n_test": None,
        "augmentation": {"flip": 0.0, "translate": 0.0, "reach": 0},
        "test_augmentation": {"flip": 0.0, "translate": 0.0, "reach": 0, "share": 0.0},
    },
    "evaluation": {"every_steps": None, "n_train": 5000, "test": True},
    "checkpoint_seconds": 10.0,
    "threads": 1,
    "plots": True,
    "progress": True,
    "resume": None,
}  # fmt: skip
_HYDRA = """hydra:
  mode: RUN
  runtime:
    cwd: .
    choices:
      data: cifar10
      optimizer/schedule: cyclic
      model: {}
      hydra/help: default
  verbose: false
"""


def make_run(
    folder: Path,
    score: float | None = 0.5,
    *,
    test: float | None = None,
    status: str = names.FINISHED,
    message: str | None = None,
    model: str | None = None,
    data: str = "CIFAR-10",
    fingerprint: str = FINGERPRINT,
    history: int = 0,
    metrics: dict[str, Any] | None = None,
    **settings: Any,
) -> Path:
    """A run with validation accuracy ``score``; ``model`` sets the network and what Hydra notes of the choice.

    ``settings`` have two underscores for each dot; ``history`` is the number of evaluations after the first.
    """
    folder.mkdir(parents=True)
    config = copy.deepcopy(CONFIG)
    if model is not None:
        config["model"]["hidden"], config["model"]["bn"]["enabled"] = copy.deepcopy(NETWORKS[model])
        (folder / ".hydra").mkdir()
        (folder / ".hydra" / "hydra.yaml").write_text(_HYDRA.format(model))
        (folder / ".hydra" / "config.yaml").write_text("lam: 1\n")
    for name, value in {"order_seed": settings.get("seed", 0), **settings}.items():
        *groups, key = name.split("__")
        inner = config
        for group in groups:
            inner = inner[group]
        inner[key] = value
    (folder / names.CONFIG).write_text(yaml.safe_dump(config, sort_keys=False))
    content: dict[str, Any] = {
        "status": status, "message": message, "data": data, "data_fingerprint": fingerprint,
        "n_train": 45000, "n_val": 5000, "n_test": 10000, "layers": len(config["model"]["hidden"]) + 1,
        "parameters": 156810, "steps": 9000, "epochs": 20.0, "seconds": 12.5,
    }  # fmt: skip
    if status in (names.FINISHED, names.DIVERGED):
        lost = status == names.DIVERGED
        content |= {"val_accuracy": score, "val_loss": None if lost else 2.3 - 2.0 * (score or 0.0)}
        if test is not None:
            content |= {"test_accuracy": test, "test_loss": None if lost else 1.5}
    (folder / names.METRICS).write_text(json.dumps(content | (metrics or {})))
    if history:
        write_csv(folder / names.HISTORY, [_evaluation(i, i / history, score or 0.0) for i in range(history + 1)])
    return folder


def _evaluation(epoch: int, share: float, score: float) -> dict[str, float]:
    row = dict.fromkeys(names.HISTORY_COLUMNS, 0.5)
    return row | {
        "step": 450 * epoch,
        "epoch": float(epoch),
        "val_accuracy": 0.1 + share * (score - 0.1),
        "val_loss": 2.3 - share,
    }


def make_failed_start(folder: Path, message: str, overrides: list[str] | None = None) -> Path:
    """A run that failed before it had settings."""
    (folder / ".hydra").mkdir(parents=True)
    (folder / names.METRICS).write_text(json.dumps({"status": names.FAILED, "message": message}))
    (folder / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(overrides or []))
    return folder


def make_sweep(folder: Path, stages: list[dict[str, Any]], **content: Any) -> Path:
    """The sweep.json of a sweep."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names.SWEEP).write_text(json.dumps({"stages": stages} | content))
    return folder
