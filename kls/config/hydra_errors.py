"""Tells what Hydra and its parsers raise in one line."""

from __future__ import annotations

import difflib
import re
import traceback
from collections.abc import Sequence
from typing import Any

import yaml
from hydra.errors import HydraException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from kls.config.project import project_root
from kls.errors import UserError

_STEERS = re.compile(r"[+~]*(hydra\b|(model|optimizer|optimizer/schedule|data|sweeps)\s*=)")  # what Hydra reads itself
_LONGEST = 500  # characters that are shown of a library's message


def mistake(error: Exception, arguments: Sequence[str]) -> str | None:
    """A line about a mistake on the command line, or in a file that it names; None where it is none.

    What Hydra itself raises, outside of the task and the plugins of this project, is put down to the arguments.
    """
    own = _chained(error)
    if own is not None:
        return str(own)
    if isinstance(error, HydraException | OmegaConfBaseException):
        return _line(error)
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


def _line(error: Exception) -> str:
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
        return f"{key}: there is no such setting{_suggestion(str(key))}; see conf/ for those there are"
    missing = re.match(r"In .*: Could not find '([^']*)/([^'/]*)'", lines[0]) if lines else None
    if missing:
        group, name = missing.groups()
        options = [line for line in lines[1:] if " " not in line]
        return f"{group}={name}: there is no such choice; there are {', '.join(options)}"
    return _short(f"{key}: {' '.join(lines)}" if key else " ".join(lines) or type(error).__name__)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _suggestion(key: str) -> str:
    root = project_root() / "conf"
    found: set[str] = set()
    for path in root.rglob("*.yaml"):
        if path.parent == root / "study":
            continue  # holds no settings
        group = ".".join(path.relative_to(root).parent.parts)
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        found |= {group} | _keys({k: v for k, v in content.items() if k not in ("defaults", "hydra")}, group)
    if key in found:
        return " with the choices made here"
    close = difflib.get_close_matches(key, sorted(found), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _keys(config: dict[str, Any], prefix: str) -> set[str]:
    found = set()
    for key, value in config.items():
        name = f"{prefix}.{key}" if prefix else str(key)
        found |= {name} | (_keys(value, name) if isinstance(value, dict) else set())
    return found
