"""Finds the runs below given folders and reads their records into one table."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kls.analysis.columns import codes, differing, find_column, short_names
from kls.analysis.statistics import learns
from kls.config.defaults import defaults
from kls.config.flat_settings import EXECUTION, flatten
from kls.config.model_name import model_name
from kls.config.settings import ModelSettings, Settings
from kls.config.validation import validate_group
from kls.errors import DamageError, UserError
from kls.records import checked, names
from kls.records.escape import one_line
from kls.records.folders import require_folder
from kls.records.run_folder import RunFolder
from kls.records.run_metrics import SCORES, cells, check_metrics
from kls.records.sweep_stages import Sweep, read_stages

RESULTS = (names.FINISHED, names.DIVERGED)  # what is averaged; a diverged run is worth a guess
DATA, PICTURES, BUDGET = "data", "pictures_fingerprint", "planned_epochs"
SECTION = (DATA, PICTURES, "n_train", "n_val", "n_test", "sweep", BUDGET)  # equal in runs that are ranked together

_IDENTITY = ("folder", "path", "sweep", "stage", "trial", names.STATUS, "model")
_FILES = {names.CONFIG, names.METRICS}
_SPLIT = "data_fingerprint"
_CLASSES = 10  # of older runs, which do not say how many their data have
_Cells = tuple[tuple[str, ...], tuple[Any, ...]]  # keys, one object for all runs with the same, and values


@dataclass(frozen=True)
class Runs:
    """Runs as rows of a table.

    Attributes:
        frame: columns of objects, None if a run has no value: folder, path, sweep, stage, trial, status and model,
            settings by their dotted keys, all metrics; accuracies as shares, lists as texts. The index is 0, 1, ...
        settings: keys of the settings that decide what a run computes, seeds included, in the order of conf/.
        scores: metrics that are accuracies, losses or costs.
        sweeps: the records of sweeps by their names in the column "sweep".
        warnings: a line for each folder that could not be read.
    """

    frame: pd.DataFrame
    settings: list[str]
    scores: list[str]
    sweeps: dict[str, Sweep]
    warnings: list[str]

    @property
    def objective(self) -> str:
        """The score that chooses among them: the validation loss if all are of sweeps for that, else the accuracy."""
        of_loss = {name for name, sweep in self.sweeps.items() if sweep.metric == names.VAL_LOSS}
        return names.VAL_LOSS if of_loss and self.frame["sweep"].isin(of_loss).all() else names.VAL_ACCURACY

    def differing(self) -> list[str]:
        """Settings with more than one value, null being one; of runs that have read their data, if there are any."""
        known = self.coded[self.frame[PICTURES].notna()]
        return differing(known if len(known) else self.coded, self.settings)

    @cached_property
    def coded(self) -> pd.DataFrame:
        """Model, stage, `SECTION` and settings as whole numbers, equal where the values are the same (see `codes`)."""
        return codes(self.frame, dict.fromkeys(["model", "stage", *SECTION, *self.settings]))

    def column(self, name: str) -> str:
        """The column of that name or ending (see `find_column`)."""
        return find_column(name, list(self.frame.columns))

    def heads(self, columns: Iterable[str]) -> dict[str, str]:
        """Short names of columns."""
        return short_names(columns, list(self.frame.columns))

    def learned(self, score: str, values: np.ndarray) -> np.ndarray:
        """Which scores (n,) are above what a guess can reach, bool: all but accuracies that chance may explain.

        The runs say of how many pictures and classes their accuracies are.
        """
        pictures = next((name for name in ("n_train", "n_val", "n_test") if f"{name[2:]}_" in score), "n_val")
        n, classes = self._least[pictures], self._least["classes"]
        if not (score.endswith(SCORES[0]) and n and classes):
            return np.ones(values.shape, dtype=bool)
        return learns(values, 1.0 / classes, int(n))

    @cached_property
    def _least(self) -> dict[str, int]:
        """The fewest classes and pictures of any run."""
        unknown = {"classes": _CLASSES, "n_train": 0, "n_val": 0, "n_test": 0}
        known = self.frame.reindex(columns=[*unknown])
        return {key: min(known[key].dropna(), default=n) for key, n in unknown.items()}

    def chosen(self, mask: pd.Series[bool]) -> Runs:
        """The runs of these rows alone."""
        frame = self.frame[mask].reset_index(drop=True)
        there = set(frame["sweep"])
        sweeps = {name: sweep for name, sweep in self.sweeps.items() if name in there}
        chosen = replace(self, frame=frame, sweeps=sweeps)
        vars(chosen)["coded"] = self.coded[mask].reset_index(drop=True)  # which takes a while to find
        return chosen

    def tidy(self) -> pd.DataFrame:
        """The table without settings that are the same in all runs, and without the model if there is one alone."""
        kept = self.differing()
        model = [] if any(key.startswith("model.") for key in kept) else ["model"]
        return self.frame.drop(columns=["path", *model, *(key for key in self.settings if key not in kept)])


def read_runs(paths: Sequence[Path]) -> Runs:
    """Every run below the paths, once; a folder <sweep>/<stage>/<number> belongs to the sweep. Links are not followed.

    Raises UserError if a path is no folder, or there is no run.
    """
    runs, sweeps, warnings, seen = list[list[_Cells]](), dict[str, Sweep](), list[str](), set[Path]()
    known, is_sweep = dict[tuple[str, ...], tuple[str, ...]](), lru_cache(lambda path: (path / names.SWEEP).is_file())
    for path in paths:
        require_folder(path)
        root, prefix = path.resolve(), path if len(paths) > 1 else None
        for folder in _run_folders(path, warnings):
            resolved = root / folder.relative_to(path)
            if resolved in seen:
                continue
            seen.add(resolved)
            try:
                run = _read(folder)
            except (UserError, RecursionError) as error:
                why = error if isinstance(error, UserError) else f"{folder}: its records are nested too deeply"
                warnings.append(f"skipped: {why}")
                continue
            run[0].update(folder=_shown(resolved, root, prefix), path=folder)
            sweep, number = resolved.parent.parent, _number(resolved.name)
            if is_sweep(sweep):
                name, trial = _shown(sweep, root, prefix), one_line(resolved.name) if number < 0 else number
                run[0].update(sweep=name, stage=one_line(resolved.parent.name), trial=trial)
                if name not in sweeps:
                    sweeps[name] = read_stages(sweep, warnings)
            runs.append([(known.setdefault(tuple(part), tuple(part)), tuple(part.values())) for part in run])
    if not runs:
        raise UserError(f"{', '.join(map(str, paths))}: no runs there (a run's folder holds {names.METRICS})")
    return _table(runs, sweeps, warnings)


def _run_folders(root: Path, warnings: list[str]) -> Iterator[Path]:
    """Folders with settings or metrics, parents before children, numbers in their order; hidden ones are left out."""
    left = [root]
    while left:
        folder, entries = left.pop(), list[os.DirEntry[str]]()
        try:
            with os.scandir(folder) as found:
                entries = list(found)
        except OSError as error:
            warnings.append(f"skipped: {folder}: cannot be read ({error.strerror})")
        if any(entry.name in _FILES for entry in entries):
            yield folder
        own = [entry for entry in entries if entry.name not in _FILES and entry.name[0] != "."]
        inner = [entry.name for entry in own if entry.is_dir(follow_symlinks=False)]
        left += [folder / name for name in sorted(inner, key=lambda name: (_number(name), name), reverse=True)]


def _number(name: str) -> int:
    """The number that a folder's name is, else -1."""
    return int(name) if name.isdecimal() and len(name) < 10 else -1


def _shown(folder: Path, root: Path, prefix: Path | None) -> str:
    """The folder as seen from the root, behind the prefix if there is one."""
    inside = folder.is_relative_to(root)
    shown = (prefix or Path()) / folder.relative_to(root) if inside else folder if prefix else Path(folder.name)
    return one_line(shown.as_posix() if shown.name else root.name)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Identity, settings and metrics as cells."""
    file, metrics = path / names.METRICS, dict[str, Any]()
    with suppress(FileNotFoundError):
        checked.check_file(file)
        metrics = checked.read_json(file)
    if not metrics:
        raise UserError(f"{path}: has no {names.METRICS}; it has only just begun, or was stopped there")
    check_metrics(file, metrics)
    status, schema = metrics.pop(names.STATUS), metrics.pop("schema", None)
    if (schema or 0) > names.SCHEMA:
        raise UserError(f"{path}: was written by a newer kls (schema {schema}, this one reads {names.SCHEMA})")
    if status in RESULTS and metrics.get(names.VAL_ACCURACY) is None:
        raise UserError(f"{path}: is {status}, but {names.METRICS} has no number as {names.VAL_ACCURACY}")
    own = metrics.pop("model", None), metrics.pop("settings", None)
    model, settings = _older(path, status) if schema is None else own
    if not isinstance(settings, dict):
        raise DamageError(f"{file}: has no settings; it was damaged")
    if status == names.DIVERGED:  # of which older records have no losses
        guess = math.log(metrics.get("classes") or _CLASSES)
        metrics |= {key: guess for key, value in metrics.items() if value is None and key.endswith(SCORES[1:])}
    identity = {names.STATUS: status, "model": None if model is None else one_line(str(model))}
    return identity, cells(flatten(settings)), cells(metrics)


def _older(path: Path, status: str) -> tuple[str | None, dict[str, Any]]:
    """Model and settings of a run whose metrics do not have them."""
    try:
        checked.check_file(path / names.CONFIG, checked.LARGEST_YAML)
        settings = checked.read_yaml(path / names.CONFIG)
    except FileNotFoundError:
        if status == names.FAILED:
            return None, {}
        raise UserError(f"{path}: is {status}, but has no {names.CONFIG}") from None
    with suppress(UserError):  # of settings of another version
        model: dict[str, Any] = {"model": validate_group(ModelSettings, settings.get("model"))}
        return model_name(Settings.model_construct(**model)), settings
    return None, settings


def _table(runs: Sequence[Sequence[_Cells]], sweeps: dict[str, Sweep], warnings: list[str]) -> Runs:
    metrics = dict.fromkeys([*SECTION, names.VAL_ACCURACY, *_keys(runs, 2)])
    metrics = {key: None for key in metrics if key not in _IDENTITY}
    keys = _keys([run for run in runs if _SPLIT in run[2][0]] or runs, 1)
    reserved = {*_IDENTITY, *EXECUTION, *metrics, "runs", "evaluation.test"}
    settings = [k for k in keys if k not in reserved and not k.endswith(SCORES) and not k.startswith("n_")]
    newer = {key: defaults()[key] for key in settings if key in defaults()}
    columns = (_IDENTITY, settings, metrics)
    cells = np.empty((sum(map(len, columns)), len(runs)), dtype=object)
    for i, run in enumerate(runs):
        identity, own, measured = (dict(zip(*part, strict=True)) for part in run)
        parts = (identity, newer | own if _SPLIT in measured else own, measured)
        cells[:, i] = [part.get(key) for part, wanted in zip(parts, columns, strict=True) for key in wanted]
    frame = pd.DataFrame(cells.T, columns=[*_IDENTITY, *settings, *metrics], dtype=object)
    if _SPLIT in frame:  # of older runs the pictures of others on the same split, else the split
        pairs = list(zip(frame[PICTURES], frame[_SPLIT], strict=True))
        shared = {split: pictures for pictures, split in pairs if pictures is not None}
        frame[PICTURES] = [shared.get(split, split) if pictures is None else pictures for pictures, split in pairs]
    return Runs(frame, settings, [key for key in metrics if key.endswith(SCORES)], sweeps, warnings)


def _keys(runs: Sequence[Sequence[_Cells]], part: int) -> list[str]:
    """Those of one part of the runs, each once, in the order of their first."""
    return list(dict.fromkeys(key for keys in dict.fromkeys(run[part][0] for run in runs) for key in keys))


def read_history(run: Path) -> pd.DataFrame:
    """The evaluations of a run: float columns `names.HISTORY_COLUMNS`, a row an evaluation; accuracies are shares.

    Raises UserError if there are none, or a row has a value that it cannot have.
    """
    path = run / names.HISTORY
    frame = pd.DataFrame(RunFolder(run).read_history(), columns=list(names.HISTORY_COLUMNS), dtype=np.float64)
    if frame.empty:
        raise DamageError(f"{path}: its history is empty")
    if not frame[["train_accuracy", "val_accuracy"]].apply(lambda shares: shares.between(0.0, 1.0)).all(axis=None):
        raise DamageError(f"{path}: has an accuracy that is no share from 0 to 1; it was damaged")
    if not np.isfinite(frame["epoch"]).all() or not (np.diff(frame["step"]) > 0).all():
        raise DamageError(f"{path}: its evaluations do not follow one another; it was damaged")
    return frame
