"""Reads config.yaml of thousands of runs, which are nearly the same, by parsing each top-level block once."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from kls.errors import DamageError
from kls.records import checked
from kls.records.small_files import read_yaml_text

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # that of libyaml is six times as fast
_BLOCK = re.compile(r"^[^\s#-].*\n?(?:[ -].*\n?|\n)*", re.MULTILINE)  # a key and all that belongs to it
_CHECKSUM = re.compile(r"# checksum \w+\n")
_UNUSUAL = re.compile(r"[&*!?{]|\[[^\]\n]|- - |.{500}")  # aliases, tags, nesting: libyaml knows no bound


def read_config(path: Path) -> dict[str, Any] | None:
    """The settings in ``path``, not to be changed, for runs share them; None where there is no such file.

    Raises DamageError where the file holds anything else, or does not fit its checksum.
    """
    try:
        text = read_yaml_text(path)
    except FileNotFoundError:
        return None
    checked.check_yaml(path, text)
    if _UNUSUAL.search(text) is None:
        first = _CHECKSUM.match(text)
        settings = _from_blocks(text[first.end() :] if first else text)
        if settings:
            return settings
    content = checked.parse_yaml(path, text)
    if not isinstance(content, dict):
        raise DamageError(f"{path}: holds no settings")
    return content


def _from_blocks(text: str) -> dict[str, Any]:
    """The settings if each block can be read by itself and no text lies between blocks, else nothing."""
    blocks = _BLOCK.findall(text)
    if sum(map(len, blocks)) != len(text):
        return {}
    try:
        return {key: value for block in blocks for key, value in _parsed(block).items()}
    except (yaml.YAMLError, TypeError, ValueError):
        return {}


@lru_cache(maxsize=4096)
def _parsed(text: str) -> dict[str, Any]:
    parsed = yaml.load(text, Loader=_Loader)
    if not isinstance(parsed, dict):
        raise TypeError(type(parsed).__name__)
    return parsed
