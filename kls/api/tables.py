"""All runs below folders as one typed table."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pandas as pd

from kls.analysis.runs import read_runs


def runs(*paths: str | Path) -> pd.DataFrame:
    """Every run below the paths, a row each: what tables and reports are made of.

    Parameters
    ----------
    *paths : path
        Folders with runs at any depth; ``outputs`` if none is given.

    Returns
    -------
    pandas.DataFrame
        Columns: ``folder`` (as tables show it), ``path`` (for `kls.load`), ``sweep``, ``stage``, ``trial``, ``status``
        and ``model``; all settings by their dotted keys; all metrics, accuracies as shares. Numbers are int64 or
        float64, yes and no bool; with missing values whole numbers are Int64 and yes and no boolean.

    Raises
    ------
    kls.UserError
        A path is no folder, or there is no run. A folder that cannot be read costs a warning.
    """
    found = read_runs([Path(path) for path in paths or ("outputs",)])
    for line in found.warnings:
        warnings.warn(line, stacklevel=2)
    frame = found.frame.assign(path=found.frame["path"].map(str))
    return pd.DataFrame({name: _typed(frame[name]) for name in frame})


def _typed(column: pd.Series[Any]) -> pd.Series[Any]:
    """A column of objects, None where there is no value, in the type of its values if they share one."""
    kinds = {type(value) for value in column if value is not None}
    whole = not column.isna().any()
    if kinds == {bool}:
        return column.astype("bool" if whole else "boolean")
    if kinds == {int}:
        return column.astype("int64" if whole else "Int64")
    if kinds and kinds <= {int, float}:
        return column.astype("float64")
    return column.astype("str") if kinds == {str} and whole else column
