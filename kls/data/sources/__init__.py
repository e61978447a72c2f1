"""The data sets: a module each, whose SOURCE is found by the name of the module, as data.source has it."""

from __future__ import annotations

import re
from importlib import import_module
from pkgutil import iter_modules

from kls.data.source import Source

SOURCES: dict[str, Source] = {
    module.name: import_module(f"{__name__}.{module.name}").SOURCE for module in iter_modules(__path__)
}


def source_named(name: str) -> Source | None:
    """The source whose results have that name, as "synthetic-10 (seed 0)" is of "synthetic-10", if there is one."""
    found = (source for source in SOURCES.values() if re.fullmatch(rf"{re.escape(source.name)}( \(seed \d+\))?", name))
    return next(found, None)
