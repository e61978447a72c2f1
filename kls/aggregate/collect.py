"""Finds the folders of runs and sweeps below given paths and reads what they hold."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kls.aggregate.configs import read_config
from kls.aggregate.model_name import model_name
from kls.aggregate.run_values import cells, check_metrics
from kls.aggregate.sweep_stages import SweepStages, read_stages
from kls.config.flat_settings import flatten
from kls.errors import DamageError, UserError
from kls.records import checked, names
from kls.records.escape import one_line
from kls.records.small_files import check_small, read_yaml_text


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
            except RecursionError:
                warn(f"skipped: {folder}: its records are nested too deeply")
                continue
            prefix = path if len(paths) > 1 else None
            run.identity["folder"] = _shown(resolved, root, prefix)
            sweep = resolved.parent.parent
            if (sweep / names.SWEEP).is_file():
                name = _shown(sweep, root, prefix)
                if name not in found.sweeps:
                    found.sweeps[name] = _stages(sweep, warn)
                run.identity.update(sweep=name, stage=one_line(resolved.parent.name), trial=_number(resolved.name))
            found.runs.append(run)
    if not found.runs:
        raise UserError(f"{', '.join(map(str, paths))}: no runs there (a run's folder holds {names.METRICS})")
    return found


def _run_folders(root: Path, warn: Callable[[str], None]) -> Iterator[Path]:
    """Folders with settings or metrics, parents before children, numbers in their order; hidden ones are left out."""
    left = [root]
    while left:
        folder = left.pop()
        files, folders = set(), []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if not entry.is_dir(follow_symlinks=False) or entry.name in (names.CONFIG, names.METRICS):
                        files.add(entry.name)
                    elif not entry.name.startswith("."):
                        folders.append(entry.name)
        except OSError as error:
            warn(f"skipped: {folder}: cannot be read ({error.strerror})")
        if names.CONFIG in files or names.METRICS in files:
            yield folder
        ordered = sorted(folders, key=lambda name: (_number(name) if _is_number(name) else -1, name))
        left += [folder / name for name in reversed(ordered)]


def _number(name: str) -> Any:
    """The number that a folder's name is, else the name on one line."""
    return int(name) if _is_number(name) else one_line(name)


def _is_number(name: str) -> bool:
    return name.isdecimal() and len(name) < 10


def _shown(folder: Path, root: Path, prefix: Path | None) -> str:
    """``folder`` as seen from ``root``, behind ``prefix`` if there is one; by its name where it is not below."""
    if not folder.is_relative_to(root):
        return one_line(folder.name if prefix is None else folder.as_posix())
    if prefix is not None:
        return one_line((prefix / folder.relative_to(root)).as_posix())
    return one_line(folder.relative_to(root).as_posix() if folder != root else root.name)


def _stages(sweep: Path, warn: Callable[[str], None]) -> SweepStages:
    try:
        return read_stages(sweep)
    except UserError as error:
        warn(f"skipped: {error}")
        return SweepStages()


def _read(path: Path) -> Run:
    metrics = _metrics(path / names.METRICS)
    if not metrics:
        raise UserError(f"{path}: has no {names.METRICS}; it has only just begun, or was stopped there")
    check_metrics(path / names.METRICS, metrics)
    status = metrics[names.STATUS]
    if status in (names.FINISHED, names.DIVERGED) and metrics.get(names.VAL_ACCURACY) is None:
        raise UserError(f"{path}: is {status}, but {names.METRICS} has no number as {names.VAL_ACCURACY}")
    config = read_config(path / names.CONFIG)
    if config is None and status != names.FAILED:
        raise UserError(f"{path}: is {status}, but has no {names.CONFIG}")
    overrides = _overrides(path) if config is None else {}
    model = model_name(path, config) or overrides.get("model")
    return Run(
        path,
        {names.STATUS: status, "model": None if model is None else one_line(str(model))},
        cells(overrides if config is None else flatten(config)),
        cells(metrics),
    )


def _metrics(path: Path) -> dict[str, Any]:
    try:
        check_small(path)
        return checked.read_json(path)
    except FileNotFoundError:
        return {}
    except ValueError as error:  # of the checksum of numbers that JSON does not know
        raise DamageError(f"{path}: not valid JSON ({error})") from None


def _overrides(path: Path) -> dict[str, Any]:
    """The command's ``key=value`` pairs, from the records of Hydra."""
    try:
        file = path / names.HYDRA_OVERRIDES
        overrides = checked.parse_yaml(file, read_yaml_text(file))
    except (FileNotFoundError, UserError):
        return {}
    texts = [text for text in overrides if isinstance(text, str)] if isinstance(overrides, list) else []
    pairs = [text.split("=", 1) for text in texts if "=" in text]
    return {key.lstrip("+"): _typed(value) for key, value in pairs}


def _typed(text: str) -> Any:
    try:
        return checked.parse_yaml("", text)
    except UserError:
        return text
