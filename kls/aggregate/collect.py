"""Finds the folders of runs and sweeps below given paths and reads what they hold."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kls.aggregate.configs import read_config, read_yaml
from kls.aggregate.model_name import model_name
from kls.aggregate.sweep_stages import SweepStages, read_stages
from kls.errors import UserError
from kls.flat_settings import flatten
from kls.records import names
from kls.records.run_folder import RunFolder

STATUSES = (names.FINISHED, names.DIVERGED, names.FAILED, names.RUNNING, names.INTERRUPTED, names.PRUNED)


@dataclass(frozen=True)
class Run:
    """A run's folder as read.

    Attributes:
        path: its folder.
        identity: folder, status and model as tables show them; of a sweep's run also sweep, stage and trial.
        settings: dotted keys, lists as texts such as "[50, 50]"; of a run that failed before it had settings,
            those of its command.
        metrics: as in metrics.json.
    """

    path: Path
    identity: dict[str, Any]
    settings: dict[str, Any]
    metrics: dict[str, Any]


@dataclass
class Collection:
    """All runs found, in the order of their folders, and the sweeps that they are part of, by shown name."""

    runs: list[Run] = field(default_factory=list)
    sweeps: dict[str, SweepStages] = field(default_factory=dict)


def collect(paths: Sequence[Path], warn: Callable[[str], None]) -> Collection:
    """Every run under ``paths``, once; ``warn`` is told, a line each, which folders are broken, and why.

    A run whose folder is <sweep>/<stage>/<number> belongs to the sweep. Links to folders are not followed.

    Raises UserError where a path is no folder, or no run is found.
    """
    found, seen = Collection(), set()
    for path in paths:
        if not path.is_dir():
            raise UserError(f"{path}: {'is not a folder' if path.exists() else 'there is no such folder'}")
        root = path.resolve()
        for folder in _run_folders(path, warn):
            resolved = root / folder.relative_to(path)
            if resolved in seen:
                continue
            seen.add(resolved)
            try:
                run = _read(folder)
            except UserError as error:
                warn(f"skipped: {error}")
                continue
            prefix = path if len(paths) > 1 else None
            run.identity["folder"] = _shown(resolved, root, prefix)
            sweep = resolved.parent.parent
            if (sweep / names.SWEEP).is_file():
                name = _shown(sweep, root, prefix)
                if name not in found.sweeps:
                    found.sweeps[name] = _stages(sweep, warn)
                trial = int(resolved.name) if resolved.name.isdecimal() else resolved.name
                run.identity.update(sweep=name, stage=resolved.parent.name, trial=trial)
            found.runs.append(run)
    if not found.runs:
        raise UserError(f"{', '.join(map(str, paths))}: no runs there (a run's folder holds {names.METRICS})")
    return found


def _run_folders(root: Path, warn: Callable[[str], None]) -> Iterator[Path]:
    """Folders with settings or metrics, parents before children, numbers in their order; hidden ones are left out."""
    files, folders = set(), []
    try:
        with os.scandir(root) as entries:
            for entry in entries:
                if not entry.is_dir(follow_symlinks=False):
                    files.add(entry.name)
                elif not entry.name.startswith("."):
                    folders.append(entry.name)
    except OSError as error:
        warn(f"skipped: {root}: cannot be read ({error.strerror})")
    if names.CONFIG in files or names.METRICS in files:
        yield root
    for name in sorted(folders, key=lambda name: (int(name) if name.isdecimal() else -1, name)):
        yield from _run_folders(root / name, warn)


def _shown(folder: Path, root: Path, prefix: Path | None) -> str:
    """``folder`` as seen from ``root``, behind ``prefix`` if there is one; by its name where it is not below."""
    if not folder.is_relative_to(root):
        return folder.name if prefix is None else folder.as_posix()
    if prefix is not None:
        return (prefix / folder.relative_to(root)).as_posix()
    return folder.relative_to(root).as_posix() if folder != root else root.name


def _stages(sweep: Path, warn: Callable[[str], None]) -> SweepStages:
    try:
        return read_stages(sweep)
    except UserError as error:
        warn(f"skipped: {error}")
        return SweepStages()


def _read(path: Path) -> Run:
    metrics = RunFolder(path).read_metrics()
    status = metrics.get(names.STATUS)
    if not metrics:
        raise UserError(f"{path}: has no {names.METRICS}; it has only just begun, or was stopped there")
    if status not in STATUSES:
        raise UserError(f"{path}: {names.METRICS} has the status {status!r}, which is none of {', '.join(STATUSES)}")
    if status in (names.FINISHED, names.DIVERGED) and not _is_finite(metrics.get(names.VALUE)):
        raise UserError(f"{path}: is {status}, but {names.METRICS} has no number as {names.VALUE}")
    config = read_config(path / names.CONFIG)
    if config is None and status != names.FAILED:
        raise UserError(f"{path}: is {status}, but has no {names.CONFIG}")
    overrides = _overrides(path) if config is None else {}
    model = model_name(path, config) or overrides.get("model")
    return Run(
        path,
        {names.STATUS: status, "model": model},
        _plain(overrides if config is None else flatten(config)),
        _plain(metrics),
    )


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _overrides(path: Path) -> dict[str, Any]:
    """The command's ``key=value`` pairs, from the records of Hydra."""
    try:
        overrides = read_yaml(path / names.HYDRA_OVERRIDES)
        pairs = [str(override).split("=", 1) for override in overrides or [] if "=" in str(override)]
        return {key.lstrip("+"): _typed(value) for key, value in pairs}
    except (OSError, ValueError, TypeError, yaml.YAMLError):
        return {}


def _typed(text: str) -> Any:
    try:
        return float(text) if re.fullmatch(r"[-+]?\d+e[-+]?\d+", text, re.IGNORECASE) else yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {key: str(value) if isinstance(value, list | dict) else value for key, value in values.items()}
