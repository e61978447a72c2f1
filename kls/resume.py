"""Turns ``resume=FOLDER`` into the arguments that compose that run's configuration again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from kls.errors import UserError
from kls.records import names
from kls.sweep.record import read_sweep


def resume_arguments(arguments: Sequence[str]) -> list[str]:
    """The command line as given, or, with resume=FOLDER, the folder's own overrides, then those given.

    FOLDER is used again: a run's, or with --multirun a sweep's. A run's .hydra records are left as they were.
    Raises UserError where FOLDER holds no run, or no sweep.
    """
    wishes = [a.split("=", 1)[1].strip("'\"") for a in arguments if a.startswith("resume=")]
    others = [a for a in arguments if not a.startswith("resume=")]
    if not wishes or wishes[-1] == "null":
        return list(arguments)
    if not wishes[-1]:
        raise UserError("resume=: give the folder to go on with, or null")
    folder = Path(wishes[-1]).expanduser().absolute()
    if "--multirun" in arguments or "-m" in arguments:
        saved = read_sweep(folder)["overrides"]
        place = [f"hydra.sweep.dir={quoted(folder)}"]
    else:
        saved = _overrides_of_run(folder)
        place = [f"hydra.run.dir={quoted(folder)}", "hydra.output_subdir=null"]
    return [*saved, *(a for a in others if a not in saved), f"resume={quoted(folder)}", *place]


def quoted(text: str | Path) -> str:
    """A text as a value in Hydra's override language."""
    return "'" + str(text).replace("'", "\\'") + "'"


def _overrides_of_run(folder: Path) -> list[str]:
    if not (folder / names.CONFIG).is_file():
        raise UserError(f"{folder}: no run to go on with there, it has no {names.CONFIG}")
    overrides_file = folder / names.HYDRA_OVERRIDES
    if not overrides_file.is_file():
        raise UserError(f"{folder}: {names.HYDRA_OVERRIDES} is missing, so the run's command is not known")
    try:
        overrides = yaml.safe_load(overrides_file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        overrides = None
    if not isinstance(overrides, list):
        raise UserError(f"{overrides_file}: is damaged, so the run's command is not known")
    return overrides
