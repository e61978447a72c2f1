"""Settings as one level of dotted keys, and what is not the same in two of them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from kls.config.defaults import filled
from kls.config.settings import SearchSettings

# Settings that say what a sweep searches, and how: not a single run's.
OF_SWEEPS = tuple(SearchSettings.model_fields)

# Settings that say how a run is carried out, not what it computes: they may change on resume.
EXECUTION = (
    "name",
    "resume",
    "dry_run",
    "max_failures",
    *OF_SWEEPS,
    "threads",
    "plots",
    "progress",
    "checkpoint_seconds",
    "data.root",
    "data.path",
    "data.download",
)

SEEDS = ("seed", "order_seed", "data.split_seed")  # runs that differ in these alone are repetitions

LONGEST_SHOWN = 100  # characters of a value in a message


def flatten(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one level with dotted keys; lists stay lists."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Lines "key: old -> new" for all settings that decide what a run computes and are not the same.

    Settings that the old ones do not have yet are at their defaults.
    """
    now = flatten(new)
    was = filled(flatten(old), now)
    keys = [key for key in {**was, **now} if key not in EXECUTION and was.get(key) != now.get(key)]
    return [f"{key}: {shown(was.get(key))} -> {shown(now.get(key))}" for key in keys]


def shown(value: Any) -> str:
    """A value as it is typed on a command line, on one line, cut where it is long."""
    if isinstance(value, BaseModel):
        return "..."
    if isinstance(value, int) and value.bit_length() > 4 * LONGEST_SHOWN:
        return f"a number of {value.bit_length()} bits"
    try:
        text = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    except (RecursionError, ValueError):  # nested deeply; a number of thousands of digits within a list
        return "..."
    cut = text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 3]}..."
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in cut)
