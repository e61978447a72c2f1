"""Columns of the table of runs: found by name, abbreviated, in order, and when two values of a setting are the same."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from kls.errors import UserError
from kls.records.escape import shortened

_SAYS_LITTLE = ("enabled", "kind")  # alone in a table's head
_Cell = tuple[type, Any]
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def is_number(value: Any) -> bool:
    """Whether a cell holds a number; true, false and NaN are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def sort_key(value: Any) -> tuple[int, Any]:
    """Equal for two values that are the same, and their order: numbers, texts, booleans, missing ones (None, NaN).

    Floats count with nine digits, so that 0.1 + 0.2 is 0.3; texts of numbers are numbers: YAML 1.1 has 1e-1 as a text.
    """
    if value is None or value != value:
        return 3, 0
    if isinstance(value, bool | int):
        return (2 if isinstance(value, bool) else 0), value
    if isinstance(value, float) or _NUMBER.fullmatch(str(value)):
        return 0, float(f"{float(value):.9g}")
    return 1, str(value)


def equal_to(column: pd.Series[Any], value: Any) -> pd.Series[bool]:
    """Which cells of a column are the same as the value."""
    key = sort_key(value)
    cells, keys = _keyed(column)
    return pd.Series([keys[cell] == key for cell in cells], column.index, dtype=bool)


def codes(frame: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """The values as whole numbers in the order of `sort_key`, equal if the values are the same."""
    return pd.DataFrame({column: _codes(frame[column]) for column in columns}, index=frame.index)


def _codes(column: pd.Series[Any]) -> np.ndarray:
    if column.dtype.kind == "i":  # as codes are
        return np.unique(column, return_inverse=True)[1].astype(np.int32)
    cells, keys = _keyed(column)
    ranks = {key: rank for rank, key in enumerate(sorted(set(keys.values())))}
    found = {cell: ranks[key] for cell, key in keys.items()}
    return np.array([found[cell] for cell in cells], dtype=np.int32)


def _keyed(column: pd.Series[Any]) -> tuple[list[_Cell], dict[_Cell, tuple[int, Any]]]:
    """The cells, told apart by their types, too, and the `sort_key` of each different one."""
    cells = list(zip(map(type, column), column, strict=True))
    return cells, {cell: sort_key(cell[1]) for cell in set(cells)}


def in_order(frame: pd.DataFrame, columns: Sequence[str], descending: bool = False) -> pd.Index[Any]:
    """The index in the order of the columns, the first one above all; missing values stand last."""
    ranks = codes(frame, columns)
    ranks = ranks.where(frame[list(columns)].isna(), -ranks) if descending else ranks
    return ranks.sort_values(list(columns), kind="stable").index


def differing(frame: pd.DataFrame, columns: Iterable[str]) -> list[str]:
    """The columns with more than one value; a missing value is one."""
    return [c for c in columns if _several(frame[c])]


def _several(column: pd.Series[Any]) -> bool:
    if column.dtype.kind == "i":
        return bool((column.to_numpy()[1:] != column.to_numpy()[:-1]).any())
    return len(set(_keyed(column)[1].values())) > 1


def determined(frame: pd.DataFrame, column: str, by: Sequence[str]) -> bool:
    """Whether the values of at least one column `by` settle the one of another in every row."""
    return not codes(frame, dict.fromkeys([*by, column])).drop_duplicates().duplicated(list(by)).any()


def find_column(name: str, columns: Sequence[str]) -> str:
    """The column of that name, or else the only one that ends in ".name".

    Raises UserError, with the close ones, if there is none or several.
    """
    ending = [name] if name in columns else [column for column in columns if column.endswith(f".{name}")]
    if len(ending) == 1:
        return ending[0]
    if ending:
        raise UserError(f"{shortened(name)}: could be any of {', '.join(ending)}; give more of the name")
    last_parts = {column.rsplit(".", 1)[-1]: column for column in reversed(columns)}
    close = difflib.get_close_matches(name[:100], columns)
    close += [last_parts[part] for part in difflib.get_close_matches(name[:100].rsplit(".", 1)[-1], last_parts)]
    there = f"there are {', '.join(columns[:12])}{', ...' * (len(columns) > 12)}"
    hint = f"did you mean {' or '.join(dict.fromkeys(close[:3]))}?" if close else there
    raise UserError(f"{shortened(name)}: there is no such column; {hint}")


def short_names(columns: Iterable[str], all_columns: Sequence[str]) -> dict[str, str]:
    """For each column its shortest ending, in whole parts, that no other of `all_columns` has."""
    short = {}
    for column in columns:
        parts = column.split(".")
        fewest = 1 + (parts[-1] in _SAYS_LITTLE and len(parts) > 1)
        endings = [".".join(parts[-n:]) for n in range(fewest, len(parts))]
        unique = [e for e in endings if sum(f".{other}".endswith(f".{e}") for other in all_columns) == 1]
        short[column] = [*unique, column][0]
    return short
