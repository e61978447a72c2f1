"""Tells what Hydra and its parsers raise in one line."""

from __future__ import annotations

import re
import traceback
from collections.abc import Sequence
from pathlib import Path

from hydra.errors import HydraException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from kls.config.known_settings import suggestion
from kls.config.own_configs import EXPERIMENT, choices, where_to_add
from kls.errors import UserError

_STEERS = re.compile(r"[+~]*(hydra\b|(model|optimizer|optimizer/schedule|data|sweeps)\s*=)")  # what Hydra reads itself
_LONGEST = 500  # characters that are shown of a library's message


def mistake(error: Exception, arguments: Sequence[str], own: Path | None) -> str | None:
    """A line about a mistake on the command line, or in a file that it names; None where it is none.

    own: the folder of --config-dir.

    What Hydra itself raises, outside of the task and the plugins of this project, is put down to the arguments.
    """
    told = _chained(error)
    if told is not None:
        return str(told)
    if isinstance(error, HydraException | OmegaConfBaseException):
        return _line(error, arguments, own)
    if _raised_here(error):
        return None
    given = " ".join(argument for argument in arguments if _STEERS.match(argument))
    place = f" (given: {_short(given)})" if given else ""
    return f"the command line cannot be understood: {_short(str(error))}{place}"


def _raised_here(error: Exception) -> bool:
    """Whether code of this project raised it, or called what did: then it is no fault of the command line."""
    modules = [str(frame.f_globals.get("__name__")) for frame, _ in traceback.walk_tb(error.__traceback__)]
    here = any(name.startswith("kls.") and name != "kls.config.hydra_entry" for name in modules)
    return here and not modules[-1].startswith("hydra.")


def _chained(error: BaseException | None) -> BaseException | None:
    """What a resolver of this project, or the file system, raised inside Hydra, if anything."""
    while error is not None and (isinstance(error, HydraException) or not isinstance(error, UserError | OSError)):
        error = error.__cause__
    return error


def _line(error: Exception, arguments: Sequence[str], own: Path | None) -> str:
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    key = getattr(cause, "full_key", None)
    lines = [line.strip() for line in (str(error) or str(cause)).splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(("full_key:", "object_type=", "reference_type="))]
    if isinstance(error, OverrideParseException):
        reason = lines[1:] if lines[0].startswith("Error when parsing index") else lines
        return f"{_short(error.override)}: {_short(' '.join(reason))}"
    if lines and lines[0].startswith("Error merging override"):
        lines = [*str(cause).splitlines()[:1], *lines[1:]]
    if "is not in struct" in str(cause) and key:
        return f"{key}: there is no such setting{suggestion(str(key))}; see conf/ for those there are"
    missing = re.match(r"In '([^']*)': Could not (?:find|load) '([^']*)/([^'/]*)'", lines[0]) if lines else None
    if missing:
        file, group, name = missing.groups()
        options = ", ".join([line for line in lines[1:] if " " not in line] or choices(group, own)) or "none"
        named = "/" in file and f"{group}={name}" not in arguments
        begin = f"{file}: its defaults name " if named else "+" if group == EXPERIMENT else ""
        return f"{begin}{group}={name}: there is no such choice; there are {options}; {where_to_add(group, name, own)}"
    return _short(f"{key}: {' '.join(lines)}" if key else " ".join(lines) or type(error).__name__)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
