"""SLURM's commands that look at jobs and cancel them, and what is to be asked for a job."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec

from kls.errors import UserError

RESERVED = ("job-name", "array", "output", "error", "open-mode", "signal", "dependency", "wrap")  # options of sbatch
SECONDS = 60  # that a command may take

log = logging.getLogger("kls")


@dataclass(frozen=True)
class Resources:
    """Of each job: cores, memory in GiB, time limit in minutes, partition, and further options of sbatch by name.

    Raises UserError where one of these cannot be given.
    """

    cores: int
    memory: float | None
    minutes: int
    partition: str | None
    more: Mapping[str, str | int]

    def __post_init__(self) -> None:
        for name, value in self.more.items():
            if name.replace("_", "-") in RESERVED:
                raise UserError(f"hydra.launcher.sbatch.{name}: the engine sets this itself")
            if not str(value).isprintable():
                raise UserError(f"hydra.launcher.sbatch.{name}: must be one line of text")


def require_slurm() -> None:
    """Raises UserError where submitit or SLURM's commands are missing."""
    if find_spec("submitit") is None:
        raise UserError("hydra.launcher.engine=slurm: submitit is not installed; pip install 'kls[slurm]' does it")
    absent = [name for name in ("sbatch", "srun", "squeue", "scancel") if shutil.which(name) is None]
    if absent:
        raise UserError(f"hydra.launcher.engine=slurm: {absent[0]} not found; sweep where SLURM's commands are")


def queue(names: Collection[str]) -> dict[str, str] | None:
    """The names, one of ``names``, of this user's jobs that wait, run or are about to end, by id.

    None where SLURM does not answer.
    """
    command = ["squeue", "-h", "-r", f"--user={os.getuid()}", f"--name={','.join(names)}", "-o", "%i %j"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS).stdout
    except (OSError, subprocess.SubprocessError) as error:
        log.debug("squeue: %s", getattr(error, "stderr", None) or error)
        return None
    return dict(line.split(" ", 1) for line in answer.splitlines())


def cancel(ids: Collection[str], *options: str) -> None:
    """scancel; jobs that have ended meanwhile, and a SLURM that does not answer, are no errors."""
    command = ["scancel", "--quiet", *options, *ids]
    try:
        subprocess.run(command, capture_output=True, check=False, timeout=SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("scancel: %s", error)


@contextmanager
def outside_of_jobs() -> Iterator[None]:
    """Without what SLURM has set for the job that this process may be, which sbatch would take for its options."""
    names = [name for name in os.environ if re.match(r"SLURMD?_|SRUN_|SUBMITIT_", name) and name != "SLURM_CONF"]
    taken = {name: os.environ.pop(name) for name in names} if "SLURM_JOB_ID" in os.environ else {}
    try:
        yield
    finally:
        os.environ.update(taken)
