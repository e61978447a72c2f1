"""Checks a configuration against the settings there are, and tells its faults a line each."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from kls.config.flat_settings import shown
from kls.config.settings import Settings
from kls.errors import UserError

_TAGS = {"sgd", "adam", "cyclic", "constant", "step", "rate", "rates", "[key]"}  # pydantic's, in the place of a fault

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
    try:
        return group.model_validate(_printable(config))
    except ValidationError as error:
        lines = list(dict.fromkeys(_line(fault, prefix) for fault in error.errors(include_url=False)))
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


def _line(fault: Any, prefix: str) -> str:
    parts = [prefix] if prefix else []
    for part in fault["loc"]:
        if isinstance(part, int) and parts:
            parts[-1] += f"[{part}]"
        elif str(part) not in _TAGS:
            parts.append(shown(part))
    key = ".".join(parts)
    if fault["type"] == "extra_forbidden":
        return f"{key}: there is no such setting; see conf/ for those there are"
    if fault["type"] == "missing":
        return f"{key}: is missing"
    if fault["type"] == "union_tag_invalid":
        return f"{key}.kind={shown(fault['ctx']['tag'])}: must be one of {fault['ctx']['expected_tags']}"
    if fault["type"] == "model_type":
        return f"{key}={shown(fault['input'])}: must be a group of settings"
    says = fault["msg"].replace("Input should be", "must be").removeprefix("Value error, ")
    if isinstance(fault["input"], dict):
        return f"{key}: {says}" if key else says
    return f"{key}={shown(fault['input'])}: {says}"
