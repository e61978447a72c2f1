"""Who trains with whom, decided once and kept on disk.

Matrix products round differently in populations of different sizes. So that a sweep that is gone on with gives what it
would have given in one go, a run that has not ended trains again with those that it began with.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kls.errors import DamageError, UserError
from kls.grouping import groups, share_out
from kls.records import checked, names
from kls.records.run_folder import RunFolder
from kls.training import Job
from kls.validation import validate

_KEY = "populations"


def populations(jobs: Sequence[Job], folder: Path, processes: int, max_members: int) -> list[list[Job]]:
    """The populations that train jobs whose folders are in ``folder``, the largest first.

    Those that the folder's record tells of hold all their members, ended ones too; jobs that it does not know make new
    ones, which are recorded. processes: to share the new ones among. max_members: of a new one.
    Raises DamageError where the record and its copy are damaged.
    """
    recorded = _read(folder / names.POPULATIONS)
    known = {name for company in recorded for name in company}
    made = share_out(groups([job for job in jobs if job.folder.name not in known]), processes, max_members)
    if made:
        company = [[job.folder.name for job in population] for population in made]
        checked.write_json_twice(folder / names.POPULATIONS, {_KEY: [*recorded, *company]})
    asked = {job.folder.name: job for job in jobs}
    again = [
        [asked.get(name) or _companion(folder / name, jobs[0]) for name in company]
        for company in recorded
        if any(name in asked for name in company)
    ]
    return sorted([*again, *made], key=len, reverse=True)


def _companion(folder: Path, job: Job) -> Job:
    """The job of a run that has ended, as its folder tells; data are read from where ``job`` reads them."""
    config = RunFolder(folder).read_config()
    if not isinstance(config.get("data"), dict):
        raise UserError(f"{folder / names.CONFIG}: holds no settings of data")
    config["data"]["root"] = job.settings.data.root
    return Job(validate(config | {"threads": job.settings.threads}), folder)


def _read(path: Path) -> list[list[str]]:
    try:
        found = checked.read_json_twice(path).get(_KEY)
    except FileNotFoundError:
        return []
    if not isinstance(found, list) or not all(isinstance(company, list) for company in found):
        raise DamageError(f"{path}: holds no populations")
    for name in (name for company in found for name in company):
        if not isinstance(name, str) or not name.isdecimal():
            raise DamageError(f"{path}: {name!r} is no number of a trial")
    return found
