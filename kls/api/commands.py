"""Runs and sweeps by call: what ``python -m kls.train`` does, many times in one process."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from kls.api.tables import runs
from kls.api.trained_run import Run, load
from kls.config.process_state import process_state_kept
from kls.errors import UserError

_ONE_AT_A_TIME = threading.RLock()  # Hydra and logging are of the whole process


def run(overrides: Iterable[str] = (), *, config_dir: str | Path | None = None) -> Run:
    """Train a network as ``python -m kls.train`` with these overrides does, with the same bits and files.

    Parameters
    ----------
    overrides : iterable of str
        As on the command line: ``["model=3layer_bn", "lam=1e-3", "data=cifar10"]``; ``["resume=FOLDER"]`` goes on with
        a run that was stopped.
    config_dir : path, optional
        A folder of your own choices, as ``--config-dir``.

    Returns
    -------
    Run
        The run, as `kls.load` gives it. One that diverged is a run too.

    Raises
    ------
    kls.UserError
        A mistake in the overrides, data that are not there.
    KeyboardInterrupt
        It was interrupted; its checkpoints are on disk.
    """
    folder = _train(overrides, config_dir)
    assert folder is not None
    return load(folder)


def run_sweep(overrides: Iterable[str] = (), *, config_dir: str | Path | None = None) -> pd.DataFrame:
    """Run a sweep as ``python -m kls.train --multirun`` with these overrides does, with the same bits and files.

    Parameters
    ----------
    overrides : iterable of str
        As on the command line: ``["sweeps=lambda_search", "model=3layer_bn"]`` or ``["lam=choice(1e-3,1e-2)"]``;
        ``["resume=FOLDER"]`` goes on with a sweep that was stopped.
    config_dir : path, optional
        A folder of your own choices, as ``--config-dir``.

    Returns
    -------
    pandas.DataFrame
        Its runs, as `kls.runs` gives them; ``attrs["folder"]`` is the sweep's folder. Empty with ``dry_run=true``.

    Raises
    ------
    kls.UserError, KeyboardInterrupt
        As `run`.
    """
    folder = _train(overrides, config_dir, "--multirun")
    if folder is None:
        return pd.DataFrame()
    table = runs(folder)
    table.attrs["folder"] = str(folder)
    return table


def _train(overrides: Iterable[str], config_dir: str | Path | None, *flags: str) -> Path | None:
    given = [overrides] if isinstance(overrides, str) else list(overrides)
    for override in given:
        if not isinstance(override, str) or override.startswith("-"):
            raise UserError(f"{override}: must be a setting or a choice, such as lam=1e-3; config_dir= names a folder")
    own = [] if config_dir is None else ["--config-dir", str(config_dir)]
    with _ONE_AT_A_TIME, process_state_kept():
        from kls.sweep.training_command import run_training

        return run_training([*flags, *own, *given])
