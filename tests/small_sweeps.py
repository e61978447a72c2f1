"""Runs small sweeps in the test's process, and reads what they leave behind."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from entry_points import DATA, Outcome, assert_same_run, config_of, file_hashes, mistake, train_in
from optuna.trial import FrozenTrial, TrialState

from kls.records import names

# 12 steps in mini-batches of 50 are one epoch; the network is evaluated every 6 steps.
TINY = (
    *DATA, "batch_size=50", "evaluation.n_train=200", "evaluation.every_steps=6",
    "optimizer.schedule.n_s=6", "optimizer.schedule.cycles=1", "plots=false",
)  # fmt: skip
SCRIPT = Path(__file__).with_name("sweep_process.py")
ALONE = "hydra.launcher.n_jobs=1"  # all in this process
FOLDER = "hydra.sweep.dir=sweep"
LEFT_BY_A_KILL = re.compile(r"\.[0-9a-f]{12}-")  # a temporary file of kls.records.atomic


_connect = sqlite3.connect


def unsynced(*args: Any, **kwargs: Any) -> sqlite3.Connection:
    """``sqlite3.connect`` without waiting for the disk, since nobody pulls the plug here."""
    connection = _connect(*args, **kwargs)
    connection.execute("PRAGMA synchronous = OFF")
    return connection


def sweep_in(cwd: Path, *arguments: str) -> Outcome:
    """Run a sweep in ``cwd``, in this process; at its end only the name of the folder is reported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kls.report.summary.aggregate", lambda paths, out: f"the report of {out}")
        patch.setattr(sqlite3, "connect", unsynced)
        return train_in(cwd, "--multirun", *arguments)


def swept(cwd: Path, *arguments: str) -> Path:
    """Run a sweep that must work, in the folder ``cwd``/sweep, which is returned."""
    outcome = sweep_in(cwd, *TINY, ALONE, FOLDER, *arguments)
    assert (outcome.err, outcome.status) == ("", 0)
    return cwd / "sweep"


def refused(cwd: Path, *arguments: str) -> str:
    """The one line on stderr of a sweep that is refused before it has made anything."""
    before = sorted(cwd.rglob("*"))
    outcome = sweep_in(cwd, *arguments)
    assert outcome.out == ""
    assert sorted(cwd.rglob("*")) == before
    return mistake(outcome)


def stages_argument(*stages: str) -> str:
    """The stages of a sweep as a command-line argument; each one is written in Hydra's override language."""
    return f"hydra.sweeper.stages=[{','.join(f'{{{stage}}}' for stage in stages)}]"


def record_of(folder: Path) -> dict[str, Any]:
    record = json.loads((folder / names.SWEEP).read_text(encoding="utf-8"))
    assert isinstance(record, dict)
    return record


def trials_of(folder: Path, stage: str) -> list[FrozenTrial]:
    """The trials of a stage's study, as Optuna reads them from the sweep's database."""
    return optuna.load_study(study_name=stage, storage=f"sqlite:///{folder / names.STUDY}").trials


def file_times(folder: Path) -> dict[Path, int]:
    """When each file below a folder was last written; the lock of a sweep is left out."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def assert_same_sweep(got: Path, expected: Path, stages: Sequence[str]) -> None:
    """Two sweeps have the same trials, each once, and the same results to the last bit; nothing else is in them."""
    assert record_of(got) == record_of(expected)
    for stage in stages:
        trials, others = trials_of(got, stage), trials_of(expected, stage)
        assert [trial.number for trial in trials] == list(range(len(others)))
        assert [trial.state for trial in trials] == [trial.state for trial in others]
        assert {trial.state for trial in trials} <= {TrialState.COMPLETE, TrialState.PRUNED}
        told, other_told = (
            [(t.params, t.values, t.distributions, t.intermediate_values) for t in own] for own in (trials, others)
        )
        assert told == other_told
        assert [timeless(t) for t in trials] == [timeless(t) for t in others]
        jobs = job_folders(got, stage)
        assert [job.name for job in jobs] == [name for trial in trials for name in trial.user_attrs["folders"]]
        for job in jobs:
            other = expected / stage / job.name
            assert {path for path in file_hashes(job) if not LEFT_BY_A_KILL.match(Path(path).name)} == set(
                file_hashes(other)
            )
            assert config_of(job) == config_of(other)
            assert_same_run(job, other)


def timeless(trial: FrozenTrial) -> dict[str, Any]:
    return {key: value for key, value in trial.user_attrs.items() if key != "seconds"}


def job_folders(folder: Path, stage: str) -> list[Path]:
    """Folders of a stage's jobs, in the order of their numbers."""
    return sorted((path for path in (folder / stage).iterdir() if path.is_dir()), key=lambda path: int(path.name))
