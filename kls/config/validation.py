"""Checks a configuration against the settings there are, with a line for each fault."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from kls.config.flat_settings import shown
from kls.config.known_settings import suggestion
from kls.config.settings import Settings
from kls.errors import UserError

MOST_LINES = 20
MOST_BITS = 2000

G = TypeVar("G", bound=BaseModel)


def validate(config: dict[str, Any]) -> Settings:
    """The settings of a resolved configuration.

    Raises UserError with a line a fault: the key, its value and what is allowed.
    """
    return validate_group(Settings, config)


def validate_group(group: type[G], config: Any, prefix: str = "") -> G:
    """One group of settings; ``prefix`` is its key in the whole configuration. Raises UserError as `validate`."""
    config = _printable(config)
    try:
        return group.model_validate(config)
    except ValidationError as error:
        faults, whole = error.errors(include_url=False), group is Settings
        lines = list(dict.fromkeys(_line(fault, config, prefix, whole) for fault in faults))
        if len(lines) > MOST_LINES:
            lines[MOST_LINES - 1 :] = [f"and {len(lines) - MOST_LINES + 1} more faults"]
        raise UserError("\n".join(lines)) from None


def _printable(value: Any) -> Any:
    """The value with words for numbers of so many digits that Python, and with it pydantic, cannot print them."""
    if isinstance(value, dict):
        return {_printable(key): _printable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_printable(item) for item in value]
    return shown(value) if isinstance(value, int) and value.bit_length() > MOST_BITS else value


def _key(fault: Any, config: Any, prefix: str) -> str:
    """The dotted key of a fault. Its place also has pydantic's names for kinds of groups, which are no keys."""
    parts = [prefix] if prefix else []
    for part in fault["loc"]:
        if isinstance(config, list) and isinstance(part, int):
            parts[-1] += f"[{part}]"
            config = config[part]
        elif isinstance(config, dict) and part in config:
            parts.append(shown(part))
            config = config[part]
    if fault["type"] == "missing":
        parts.append(fault["loc"][-1])
    elif fault["type"] in ("union_tag_invalid", "union_tag_not_found"):
        parts.append(fault["ctx"]["discriminator"].strip("'"))
    return ".".join(parts)


def _line(fault: Any, config: Any, prefix: str, whole: bool) -> str:
    key = _key(fault, config, prefix)
    if fault["type"] == "extra_forbidden":
        return f"{key}: there is no such setting{suggestion(key) if whole else ''}; see conf/ for those there are"
    if fault["type"] in ("missing", "union_tag_not_found"):
        return f"{key}: is missing"
    if fault["type"] == "union_tag_invalid":
        return f"{key}={shown(fault['ctx']['tag'])}: must be one of {fault['ctx']['expected_tags']}"
    if fault["type"] == "model_type":
        return f"{key}={shown(fault['input'])}: must be a group of settings"
    says = fault["msg"].replace("Input should be", "must be").removeprefix("Value error, ")
    if isinstance(fault["input"], dict):
        return f"{key}: {says}" if key else says
    return f"{key}={shown(fault['input'])}: {says}"
