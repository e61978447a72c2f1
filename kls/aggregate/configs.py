"""Reads config.yaml of thousands of runs, which are nearly the same, by parsing each top-level block once."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from kls.errors import UserError

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # that of libyaml is six times as fast
_BLOCK = re.compile(r"^[^\s#-].*\n?(?:[ -].*\n?|\n)*", re.MULTILINE)  # a key and all that belongs to it


def read_config(path: Path) -> dict[str, Any] | None:
    """The settings in ``path``, not to be changed, for runs share them; None where there is no such file.

    Raises UserError where the file holds anything else.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return _from_blocks(text) or _parsed(text)
    except FileNotFoundError:
        return None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from None
    except TypeError:
        raise UserError(f"{path}: holds no settings") from None


def read_yaml(path: Path) -> Any:
    """Whatever the YAML file holds. Raises OSError, UnicodeDecodeError or yaml.YAMLError."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)


def _from_blocks(text: str) -> dict[str, Any]:
    """The settings if each block can be read by itself and no text lies between blocks, else nothing."""
    blocks = _BLOCK.findall(text)
    if sum(map(len, blocks)) != len(text):
        return {}
    try:
        return {key: value for block in blocks for key, value in _parsed(block).items()}
    except (yaml.YAMLError, TypeError):
        return {}


@lru_cache(maxsize=4096)
def _parsed(text: str) -> dict[str, Any]:
    parsed = yaml.load(text, Loader=_Loader)
    if not isinstance(parsed, dict):
        raise TypeError(type(parsed).__name__)
    return parsed
