"""Reads YAML with the numbers that Hydra reads: 1e-3 is one, which YAML 1.1 takes for a text."""

from __future__ import annotations

import re
from typing import Any

import yaml

_FLOAT = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$")


class _Loader(yaml.SafeLoader):
    pass


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))


def parsed(text: str) -> Any:
    """What the text holds. Raises yaml.YAMLError."""
    return yaml.load(text, Loader=_Loader)
