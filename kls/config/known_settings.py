"""The settings that the files of conf/ have, and which of them somebody may have meant."""

from __future__ import annotations

import difflib
from functools import lru_cache
from typing import Any

from kls.config.project import project_root
from kls.records.checked import parse_yaml, read_text


def suggestion(key: str) -> str:
    """What follows "there is no such setting": a close one, the one that ends so, or that other choices have it."""
    if key in _known():
        return " with the choices made here"
    ending = [known for known in _known() if known.endswith(f".{key}")]
    near = difflib.get_close_matches(key[:200], sorted(_known()), n=3)
    alike = [known for known in near if difflib.get_close_matches(_last(key), [_last(known)], cutoff=0.5)]
    close = ending if len(ending) == 1 else alike
    return f"; did you mean {close[0]}?" if close else ""


def _last(key: str) -> str:
    return key[:200].rpartition(".")[2]


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    """Dotted keys of all settings and groups."""
    root = project_root() / "conf"
    found: set[str] = set()
    for path in root.rglob("*.yaml"):
        if path.parent == root / "study":
            continue  # holds no settings
        group = ".".join(path.relative_to(root).parent.parts)
        content = parse_yaml(path, read_text(path)) or {}
        found |= {group} | _keys({k: v for k, v in content.items() if k not in ("defaults", "hydra")}, group)
    return frozenset(found)


def _keys(config: dict[str, Any], prefix: str) -> set[str]:
    found = set()
    for key, value in config.items():
        name = f"{prefix}.{key}" if prefix else str(key)
        found |= {name} | (_keys(value, name) if isinstance(value, dict) else set())
    return found
