"""The labelled rows of a user's table, a CSV or Parquet file."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kls.data.own_examples import Part
from kls.errors import UserError
from kls.records.checked import check_file
from kls.records.escape import shortened
from kls.records.memory import memory_limit

if TYPE_CHECKING:
    import pandas as pd

MOST_NAMED = 5  # columns in a message
LARGEST = 2**36  # bytes, where it is not known how much memory there is


def read_table(path: Path, target: str) -> Part:
    """Numbers (n, d) of all columns but the target, and that as labels (n,).

    Raises UserError: the file is missing or no table, has no such column, or others than numbers beside it.
    """
    frame = _frame(path)
    columns = [str(name) for name in frame.columns]
    frame.columns = columns
    if target not in columns:
        close = difflib.get_close_matches(target, columns, n=3, cutoff=0.6)
        there = f"did you mean {_listed(close)}?" if close else f"there are {_listed(columns)}"
        raise UserError(f"{path}: has no column {shortened(target)!r} (data.target); {there}")
    unnamed = [name for name in columns if name.startswith("Unnamed: ")]
    if unnamed:
        raise UserError(f"{path}: a column has no name; leave out an index (pandas: to_csv(..., index=False))")
    x, y = frame.drop(columns=target), frame[target]
    texts = [name for name in x.columns if x[name].dtype.kind not in "biuf"]
    if texts or not len(x.columns):
        raise UserError(
            f"{path}: {f'column {_listed(texts)} holds no numbers' if texts else f'has no column beside {target!r}'}; "
            "all but the target must be numbers: leave others out, or turn them into numbers"
        )
    values = x.to_numpy(np.float64)
    bad = ~np.isfinite(values)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        first = f"the first in row {row}, column {shortened(x.columns[column])!r}"
        raise UserError(f"{path}: {bad.sum()} values are missing, NaN or infinite, {first}; fill or leave them out")
    if y.isna().any():
        raise UserError(f"{path}: column {target!r} has no value in row {int(y.isna().argmax())}")
    return Part(values, y.to_numpy() if y.dtype.kind in "iuf" else y.astype(str).to_numpy(str))


def _frame(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        check_file(path, memory_limit() or LARGEST)
        if path.suffix.lower() == ".parquet":
            return pd.read_parquet(path, engine="pyarrow")
        return pd.read_csv(path, low_memory=False)
    except FileNotFoundError:
        raise UserError(f"data.path={path}: there is no such file") from None
    except ImportError:
        raise UserError(f"{path}: to read Parquet, install pyarrow: pip install 'kls[parquet]'") from None
    except UserError:
        raise
    except Exception as error:  # of many kinds
        raise UserError(f"{path}: cannot be read as a table: {' '.join(str(error).split())[:200]}") from None


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(repr(shortened(name)) for name in names[:MOST_NAMED]) + more
