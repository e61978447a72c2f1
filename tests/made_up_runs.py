"""Writes folders of runs and sweeps as a training leaves them, with chosen scores."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from kls.records import names

FINGERPRINT = "00112233aabbccdd"
NETWORKS: dict[str, tuple[list[int], bool]] = {
    "3layer": ([50, 50], False),
    "3layer_bn": ([50, 50], True),
    "9layer": ([50, 30, 20, 20, 10, 10, 10, 10], False),
    "9layer_bn": ([50, 30, 20, 20, 10, 10, 10, 10], True),
}
SINCE_SCHEMA_1 = ("schema", "model", "settings", "classes", "pictures_fingerprint")
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
        "projection": None,
        "whitening": None,
    },
    "evaluation": {"every_steps": None, "n_train": 5000, "test": True},
    "ensemble": {"snapshots": 0, "reach": None},
    "pruning": {
        "rule": None, "at": "cycle", "n_startup": 5, "n_warmup": 0, "min_resource": 1, "reduction_factor": 2,
    },
    "checkpoint_seconds": 10.0,
    "threads": 1,
    "plots": True,
    "progress": True,
    "resume": None,
    "dry_run": False,
    "max_failures": 10,
}  # fmt: skip


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
    older: bool = False,
    **settings: Any,
) -> Path:
    """A run with validation accuracy ``score``; ``model`` sets the network and its name.

    ``settings`` have two underscores for each dot; ``history`` is the number of evaluations after the first; an
    ``older`` run is of the time before metrics.json had a schema, the model and the settings.
    """
    folder.mkdir(parents=True)
    config = copy.deepcopy(CONFIG)
    if model is not None:
        config["model"]["hidden"], config["model"]["bn"]["enabled"] = copy.deepcopy(NETWORKS[model])
    for name, value in {"order_seed": settings.get("seed", 0), **settings}.items():
        *groups, key = name.split("__")
        inner = config
        for group in groups:
            inner = inner[group]
        inner[key] = value
    (folder / names.CONFIG).write_text(yaml.safe_dump(config, sort_keys=False))
    cycles, split = config["optimizer"].get("schedule", {}).get("cycles", 2), config["data"]["split_seed"]
    content: dict[str, Any] = {
        "schema": 1, "status": status, "message": message, "model": model or "3layer_bn", "settings": config,
        "data": data, "classes": 10, "data_fingerprint": fingerprint + f".{split}" * (split > 0),
        "pictures_fingerprint": fingerprint, "n_train": 45000, "n_val": 5000, "n_test": 10000,
        "layers": len(config["model"]["hidden"]) + 1, "parameters": 156810, "steps": 9000, "epochs": 20.0,
        "planned_epochs": 10.0 * cycles, "seconds": 12.5,
    }  # fmt: skip
    if older:
        content = {key: value for key, value in content.items() if key not in SINCE_SCHEMA_1}
    if status in (names.FINISHED, names.DIVERGED):
        guess = None if older else math.log(10)
        content |= {"val_accuracy": score, "val_loss": 2.3 - 2.0 * (score or 0.0)}
        content |= {} if test is None else {"test_accuracy": test, "test_loss": 1.5}
        content |= {key: guess for key in content if key.endswith("loss") and status == names.DIVERGED}
    (folder / names.METRICS).write_text(json.dumps(content | (metrics or {})))
    if history:
        rows = [_evaluation(i, i / history, score or 0.0) for i in range(history + 1)]
        pd.DataFrame(rows).to_csv(folder / names.HISTORY, index=False)
    return folder


def _evaluation(epoch: int, share: float, score: float) -> dict[str, float]:
    row = dict.fromkeys(names.HISTORY_COLUMNS, 0.5)
    return row | {
        "step": 450 * epoch,
        "epoch": float(epoch),
        "val_accuracy": 0.1 + share * (score - 0.1),
        "val_loss": 2.3 - share,
    }


def make_failed_start(folder: Path, message: str, overrides: Sequence[str] = ()) -> Path:
    """A run that failed before it had settings; ``overrides`` are those of its command, such as "lam=0.1"."""
    folder.mkdir(parents=True)
    settings = {key: _value(text) for key, text in (override.split("=", 1) for override in overrides)}
    content = {"schema": 1, "status": names.FAILED, "message": message, "model": settings.pop("model", None)}
    (folder / names.METRICS).write_text(json.dumps({**content, "settings": settings}))
    return folder


def _value(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def make_sweep(folder: Path, stages: list[dict[str, Any]], **content: Any) -> Path:
    """The sweep.json of a sweep."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names.SWEEP).write_text(json.dumps({"stages": stages} | content))
    return folder
