"""hydra.launcher of the population launcher: where the populations of a sweep are trained, and how large they are."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from kls.config.setting_types import Group

LARGEST_JOBS = 100_000


def _jobs(value: int) -> int:
    if value != -1 and not 1 <= value <= LARGEST_JOBS:
        raise ValueError(f"must be from 1 to {LARGEST_JOBS}, or -1 for as many as there are cores")
    return value


Word = Annotated[str, Field(pattern=r"^[\w.:/@-]{1,200}$")]


class LauncherSettings(Group):
    """Meanings and units: conf/train.yaml."""

    engine: Literal["processes", "ray", "slurm"] = "processes"
    n_jobs: Annotated[int, AfterValidator(_jobs)] = -1
    max_members: Annotated[int, Field(ge=1, le=1000)] = 40
    worker_timeout: Annotated[float, Field(gt=0, lt=1e9)] = 1800.0
    retries: Annotated[int, Field(ge=0, le=1000)] = 3
    cores: Annotated[int, Field(ge=1, le=1024)] = 1
    memory: Annotated[float, Field(gt=0, le=1e5)] | None = None
    address: Word | None = None
    partition: Word | None = None
    time_limit: Annotated[int, Field(ge=1, le=10**6)] = 60
    array_size: Annotated[int, Field(ge=1, le=10**6)] = 1000
    sbatch: dict[Word, str | int] | None = None
