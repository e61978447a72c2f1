"""Names of columns: found from what a person types, and made short for a table's head."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from kls.errors import UserError
from kls.records.escape import shortened

_SAYS_LITTLE = ("enabled", "kind")  # alone in a table's head


def find_column(name: str, columns: Sequence[str]) -> str:
    """The column called ``name``, or else the only one that ends in ".name".

    Raises UserError, with the close ones, where there is none or several.
    """
    if name in columns:
        return name
    ending = [column for column in columns if column.endswith(f".{name}")]
    if len(ending) == 1:
        return ending[0]
    if ending:
        raise UserError(f"{shortened(name)}: could be any of {', '.join(ending)}; give more of the name")
    last_parts = {column.rsplit(".", 1)[-1]: column for column in reversed(columns)}
    typed = name[:100]
    close = difflib.get_close_matches(typed, columns, n=3)
    close += [last_parts[part] for part in difflib.get_close_matches(typed.rsplit(".", 1)[-1], last_parts, n=3)]
    hint = f"; did you mean {' or '.join(dict.fromkeys(close[:3]))}?" if close else f"; there are {_some(columns)}"
    raise UserError(f"{shortened(name)}: there is no such column{hint}")


def _some(columns: Sequence[str]) -> str:
    return ", ".join(columns[:12]) + (", ..." if len(columns) > 12 else "")


def short_names(columns: Iterable[str], all_columns: Sequence[str]) -> dict[str, str]:
    """For each of ``columns`` its shortest ending, in whole parts, that no other of ``all_columns`` has."""
    short = {}
    for column in columns:
        parts = column.split(".")
        fewest = 2 if parts[-1] in _SAYS_LITTLE else 1
        endings = (".".join(parts[-n:]) for n in range(min(fewest, len(parts)), len(parts) + 1))
        short[column] = next(e for e in endings if e == column or _owners(e, all_columns) == 1)
    return short


def _owners(ending: str, columns: Sequence[str]) -> int:
    return sum(column == ending or column.endswith(f".{ending}") for column in columns)
