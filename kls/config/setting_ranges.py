"""The range that a single setting may have, from the types of kls.config.settings."""

from __future__ import annotations

import math
import types
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel

from kls.config.settings import Settings


@cache
def setting_range(key: str) -> tuple[float, float]:
    """Smallest and largest number that the setting with this dotted key may have; infinite where nothing says.

    An end that is excluded itself, as 1 is of a dropout rate, is replaced by the next number inside.
    """
    low, high = -math.inf, math.inf
    for metadata in _numbers(Settings, key.split(".")):
        for bound in metadata:
            match bound:
                case annotated_types.Ge():
                    low = max(low, bound.ge)  # type: ignore[call-overload]
                case annotated_types.Gt():
                    low = max(low, math.nextafter(bound.gt, math.inf))  # type: ignore[arg-type]
                case annotated_types.Le():
                    high = min(high, bound.le)  # type: ignore[call-overload]
                case annotated_types.Lt():
                    high = min(high, math.nextafter(bound.lt, -math.inf))  # type: ignore[arg-type]
    return float(low), float(high)


def _numbers(kind: Any, keys: list[str], metadata: tuple[Any, ...] = ()) -> Iterator[list[Any]]:
    """What is said of each kind of number that the setting behind ``keys`` may be."""
    origin = get_origin(kind)
    if origin is Annotated:
        inner, *more = get_args(kind)
        yield from _numbers(inner, keys, (*metadata, *more))
    elif origin in (Union, types.UnionType):
        for member in get_args(kind):
            yield from _numbers(member, keys, metadata)
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        if keys and keys[0] in kind.model_fields:
            field = kind.model_fields[keys[0]]
            yield from _numbers(field.annotation, keys[1:], tuple(field.metadata))
    elif not keys and origin is not Literal and kind in (int, float):
        yield [part for bound in metadata for part in getattr(bound, "metadata", [bound])]
