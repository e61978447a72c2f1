"""Calls the entry points inside the test's process, or in one of their own, on a small data set."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from omegaconf import OmegaConf

from kls import aggregate, evaluate, gradcheck, train
from kls.config.hydra_entry import project_root
from kls.records import names
from kls.records.run_folder import RunFolder
from kls.report import __main__ as report

Array = NDArray[Any]

DATA = ("data=cifar10", "data.n_train=600", "data.n_val=200", "data.n_test=200", "data.download=false")
# 40 steps in mini-batches of 50 are 3 1/3 epochs; the network is evaluated every 7 steps and after the last.
SMALL = (
    *DATA, "model.hidden=[20,10]", "batch_size=50", "evaluation.n_train=200", "evaluation.every_steps=7",
    "optimizer=sgd_cyclic", "optimizer.schedule.n_s=10", "optimizer.schedule.cycles=2", "plots=false",
)  # fmt: skip
STEPS = 40
UNLIKE = ("seconds", "settings")  # of checkpoints: how long it took, and what may be changed on resume


@dataclass(frozen=True)
class Outcome:
    """What a command left behind: exit status and both streams."""

    status: int
    out: str
    err: str


@contextlib.contextmanager
def _logging_restored() -> Iterator[None]:
    """Hydra sets up the root logger for every run, and sweeps quieten Hydra; put back what was there."""
    root = logging.getLogger()
    handlers = root.handlers[:]
    levels = {logger: logger.level for logger in (root, *map(logging.getLogger, ("hydra", "hydra_plugins")))}
    try:
        yield
    finally:
        for handler in root.handlers:
            if handler not in handlers:
                handler.close()
        root.handlers[:] = handlers
        for logger, level in levels.items():
            logger.setLevel(level)


def call(main: Callable[[], None], arguments: tuple[str, ...], cwd: Path) -> Outcome:
    """Call an entry point with a command line in the folder ``cwd``, as the interpreter would."""
    out, err = io.StringIO(), io.StringIO()
    status = 0
    with pytest.MonkeyPatch.context() as patch, _logging_restored():
        patch.chdir(cwd)
        patch.setattr(sys, "argv", ["kls", *arguments])
        patch.setenv("HYDRA_FULL_ERROR", "1")  # as the entry point sets it itself
        patch.setattr(os, "fsync", lambda _: None)  # nobody pulls the plug here
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main()
            except SystemExit as end:
                if isinstance(end.code, str):
                    print(end.code, file=sys.stderr)
                status = end.code if isinstance(end.code, int) else int(end.code is not None)
    return Outcome(status, out.getvalue(), err.getvalue())


def train_in(cwd: Path, *arguments: str) -> Outcome:
    return call(train.main, arguments, cwd)


def evaluate_in(cwd: Path, *arguments: str) -> Outcome:
    return call(evaluate.main, arguments, cwd)


def aggregate_in(cwd: Path, *arguments: str) -> Outcome:
    return call(aggregate.main, arguments, cwd)


def report_in(cwd: Path, *arguments: str) -> Outcome:
    return call(report.main, arguments, cwd)


def gradcheck_in(cwd: Path, *arguments: str) -> Outcome:
    return call(gradcheck.main, arguments, cwd)


def python(cwd: Path, *arguments: str) -> Outcome:
    """Run this Python in a process of its own."""
    environment = {key: value for key, value in os.environ.items() if key != "HYDRA_FULL_ERROR"}
    ended = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=120
    )
    return Outcome(ended.returncode, ended.stdout, ended.stderr)


def composed(*overrides: str, config_name: str = "train") -> dict[str, Any]:
    """The resolved configuration that conf/ and overrides make."""
    with hydra.initialize_config_dir(str(project_root() / "conf")):
        container = OmegaConf.to_container(hydra.compose(config_name, list(overrides)), resolve=True)
    assert isinstance(container, dict)
    return {str(key): value for key, value in container.items()}


def run_folders(cwd: Path) -> list[Path]:
    """Folders of runs under outputs/, in the order of their names."""
    return sorted(path.parent for path in (cwd / "outputs").rglob(".hydra"))


def trained(cwd: Path, *arguments: str) -> Path:
    """Train in the new folder ``cwd``, which must work, and give the run's folder."""
    cwd.mkdir(parents=True, exist_ok=True)
    outcome = train_in(cwd, *arguments)
    assert (outcome.status, outcome.err) == (0, "")
    (folder,) = run_folders(cwd)
    return folder


def mistake(outcome: Outcome) -> str:
    """The one line on stderr that a user's mistake ends with."""
    assert outcome.status == 1
    (line,) = outcome.err.splitlines()
    assert line.startswith("error: ")
    return line.removeprefix("error: ")


def file_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file under a folder, by its path there."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def metrics_of(folder: Path) -> dict[str, Any]:
    metrics = json.loads((folder / names.METRICS).read_text(encoding="utf-8"))
    assert isinstance(metrics, dict)
    del metrics["checksum"]
    return metrics


def timeless_metrics(folder: Path) -> dict[str, Any]:
    """The metrics of a run, but for how long it took and when."""
    return {key: value for key, value in metrics_of(folder).items() if key not in names.TIMES}


def config_of(folder: Path) -> dict[str, Any]:
    config = yaml.safe_load((folder / names.CONFIG).read_text(encoding="utf-8"))
    assert isinstance(config, dict)
    return config


def arrays_of(folder: Path, name: str = names.LAST) -> dict[str, Array]:
    with np.load(folder / name, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def history_of(folder: Path) -> list[dict[str, float]]:
    return RunFolder(folder).read_history()


def assert_same_run(got: Path, expected: Path) -> None:
    """Two runs have the same checkpoints, history and metrics, but for times, bit for bit."""
    for name in (names.LAST, names.BEST):
        a, b = arrays_of(got, name), arrays_of(expected, name)
        assert a.keys() == b.keys()
        assert {key for key in a if key not in UNLIKE and a[key].tobytes() != b[key].tobytes()} == set(), name
    assert (got / names.HISTORY).read_bytes() == (expected / names.HISTORY).read_bytes()
    assert timeless_metrics(got) == timeless_metrics(expected)
