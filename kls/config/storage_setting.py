"""storage= of the command line, or KLS_STORAGE: where a sweep keeps its studies.

It may hold a password. So it is taken off the command line before Hydra, which records and shows what it composes, or
anything else sees it; it is never a setting of a run, and no message shows it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from kls.config.resume import unquoted
from kls.errors import UserError

ENVIRONMENT = "KLS_STORAGE"
FORMS = "postgresql://user:password@host/database, mysql://user:password@host/database, or a path ending in .journal"

_SETTING = re.compile(r"\+{0,2}storage=")
_given: list[str] = []  # by the command under way; no more than its last one counts


@contextmanager
def taken(arguments: Sequence[str], multirun: bool) -> Iterator[list[str]]:
    """The arguments without storage=, whose value `storage_address` gives in this context.

    Raises UserError where it is given and this is no sweep.
    """
    values = [unquoted(_SETTING.sub("", a, count=1)) for a in arguments if _SETTING.match(a)]
    if values and not multirun:
        raise UserError("storage: is for sweeps, which are run with --multirun")
    if "" in values:
        raise UserError(f"storage=: give {FORMS}, or null")
    _given[:] = values
    try:
        yield [a for a in arguments if not _SETTING.match(a)]
    finally:
        _given.clear()


def storage_address() -> str | None:
    """What was given; None for a file in the sweep's folder."""
    address = _given[-1] if _given else os.environ.get(ENVIRONMENT)
    return None if address in (None, "", "null") else address


def refuse_in_files(config: Mapping[str, Any]) -> None:
    """Raises UserError where a file of settings, which each job would record, says where studies are."""
    if config.get("storage") is not None:
        raise UserError(f"storage: is given on the command line, or by {ENVIRONMENT}, and not in a file of settings")
