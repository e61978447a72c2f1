"""step.json: what a step ran, how long it took in all, and whether it has ended."""

import json
import shlex
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from kls.config.flat_settings import EXECUTION
from kls.config.own_configs import CONFIG_DIR
from kls.errors import DamageError, UserError
from kls.records import checked, names
from kls.study.plan import Task

# How a step is carried out, which may be another the next time:
_EXECUTION = (
    *(CONFIG_DIR, "--table=", "--out=", "hydra.run.", "hydra.sweep.", "hydra.launcher", "hydra/launcher"),
    *(f"{key}=" for key in EXECUTION),
)


class StepRecord(BaseModel):
    """The record of a step. Older ones have no schema, and another form of definition."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    version: int = Field(default=0, alias="schema")
    commands: list[str]
    definition: Any = None
    seconds: float = Field(ge=0.0, lt=1e9)
    ended: bool = False

    def write(self, folder: Path) -> None:
        checked.write_json(folder / names.STEP, self.model_dump(by_alias=True))


def read_record(path: Path) -> StepRecord:
    """Raises FileNotFoundError; DamageError or ValueError if it is damaged; UserError if a newer kls wrote it."""
    checked.check_file(path)
    content = checked.read_json(path)
    schema = content.get("schema")
    if isinstance(schema, int) and schema > names.SCHEMA:
        raise UserError(f"{path}: was written by a newer kls (schema {schema})")
    return StepRecord.model_validate(content)


def take_up(task: Task) -> StepRecord:
    """The record of a task, a new one if there is none; a damaged one is set aside.

    Raises UserError if it is of another step.
    """
    path, definition = task.folder / names.STEP, json.loads(json.dumps(task.definition, default=str))
    new = StepRecord(schema=names.SCHEMA, commands=task.lines, definition=definition, seconds=0.0)
    try:
        old = read_record(path)
        changed = ["command"] if _decisive(old.commands) != _decisive(new.commands) else []
    except FileNotFoundError:
        return new
    except (DamageError, ValueError):
        checked.set_aside(path)
        return new
    changed += ["definition"] if old.version and old.definition != definition else []
    if changed:
        raise UserError(f"it was run before by another {changed[0]}; remove {path.parent}, or give another --out")
    return new.model_copy(update={"seconds": old.seconds, "ended": old.ended})


def _decisive(commands: list[str]) -> list[dict[str, str]]:
    """Of each command the settings that decide what it computes; the last one of a key counts."""
    parts = [[part for part in shlex.split(command) if not part.startswith(_EXECUTION)] for command in commands]
    return [{part.partition("=")[0]: part for part in command} for command in parts]
