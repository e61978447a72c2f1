"""Defaults of settings that came later than a record: what a run did before they existed.

A setting that is new has a default in `kls.config.settings`, under which runs compute what they did without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, get_args

from pydantic import BaseModel

from kls.config.settings import Settings


@lru_cache(maxsize=1)
def defaults() -> Mapping[str, Any]:
    """Dotted keys of all settings that have a default, with it. A group's variants share their keys."""
    return dict(_defaults(Settings, ""))


def filled(settings: Mapping[str, Any], like: Mapping[str, Any]) -> dict[str, Any]:
    """Recorded settings with defaults for those keys of ``like`` that the record does not have; both dotted."""
    missing = {key: defaults()[key] for key in like if key not in settings and key in defaults()}
    return {**settings, **missing}


def _defaults(group: type[BaseModel], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, field in group.model_fields.items():
        groups = list(_groups(field.annotation))
        if not field.is_required() and not groups:
            yield f"{prefix}{name}", field.default
        for inner in groups:
            yield from _defaults(inner, f"{prefix}{name}.")


def _groups(annotation: Any) -> Iterator[type[BaseModel]]:
    """The classes of settings in an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _groups(part)
