"""Which jobs train together as one population, decided once and kept on disk.

Matrix products round differently in populations of different sizes. So that a sweep that is gone on with gives what it
would have given in one go, a run that has not ended trains again with those that it began with.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kls.config.flat_settings import EXECUTION, flatten
from kls.config.validation import validate
from kls.errors import DamageError, UserError
from kls.records import checked, names
from kls.records.run_folder import RunFolder
from kls.training.session import Job

# What each member may have for itself.
OWN = ("seed", "lam", "model.init.scheme", "model.init.sigma", "model.bn.momentum")

_KEY = "populations"


def populations(jobs: Sequence[Job], folder: Path, processes: int, max_members: int) -> list[list[Job]]:
    """The populations that train jobs whose folders are in ``folder``, the largest first.

    Recorded populations keep all their members, ended ones too. The other jobs make new ones, which are recorded.
    processes: to share the new ones among. max_members: of a new one.
    Raises DamageError if the record and its copy are damaged.
    """
    recorded = _read(folder / names.POPULATIONS)
    known = {name for population in recorded for name in population}
    made = share_out(groups([job for job in jobs if job.folder.name not in known]), processes, max_members)
    if made:
        new = [[job.folder.name for job in population] for population in made]
        checked.write_json_twice(folder / names.POPULATIONS, {_KEY: [*recorded, *new]})
    asked = {job.folder.name: job for job in jobs}
    again = [
        [asked.get(name) or _companion(folder / name, jobs[0]) for name in population]
        for population in recorded
        if any(name in asked for name in population)
    ]
    return sorted([*again, *made], key=len, reverse=True)


def _companion(folder: Path, job: Job) -> Job:
    """The job of a run that has ended, from its folder; data are read from where ``job`` has them."""
    config = RunFolder(folder).read_config()
    if not isinstance(config.get("data"), dict):
        raise UserError(f"{folder / names.CONFIG}: holds no settings of data")
    config["data"] |= {key: getattr(job.settings.data, key) for key in ("root", "path")}
    return Job(validate(config | {"threads": job.settings.threads}), folder)


def _read(path: Path) -> list[list[str]]:
    try:
        found = checked.read_json_twice(path).get(_KEY)
    except FileNotFoundError:
        return []
    if not isinstance(found, list) or not all(isinstance(population, list) for population in found):
        raise DamageError(f"{path}: holds no populations")
    for name in (name for population in found for name in population):
        if not isinstance(name, str) or not name.isdecimal():
            raise DamageError(f"{path}: {name!r} is no number of a trial")
    return found


def groups(jobs: Sequence[Job]) -> list[list[Job]]:
    """Jobs of the same shapes, data, mini-batches, optimizer, evaluations and length; order is kept."""
    found: dict[str, list[Job]] = {}
    for job in jobs:
        found.setdefault(_key(job), []).append(job)
    return list(found.values())


def _key(job: Job) -> str:
    shared: dict[str, Any] = {
        key: value
        for key, value in flatten(job.settings.model_dump()).items()
        if key not in OWN and key not in EXECUTION and not key.startswith("optimizer.schedule.")
    }
    data, schedule = job.settings.data, job.settings.optimizer.schedule
    length = [schedule.epochs, schedule.total_steps(0)] if job.settings.n_steps is None else job.settings.n_steps
    shared |= {"steps": length, "data.root": data.root, "data.path": data.path}
    if job.settings.pruning.rule or job.settings.ensemble.snapshots:
        shared["cycle"] = schedule.cycle
    return json.dumps(shared)


def share_out(grouped: Sequence[Sequence[Job]], processes: int, max_members: int) -> list[list[Job]]:
    """Cut groups into populations so that ``processes`` have about equal numbers of members, largest first."""
    total = sum(len(group) for group in grouped)
    most = max(1, min(max_members, -(-total // processes)))
    pieces = []
    for group in grouped:
        n = -(-len(group) // most)
        pieces += [list(group[i::n]) for i in range(n)]
    return sorted(pieces, key=len, reverse=True)
