"""A user's own examples: arrays in an npz file, or a table in a CSV or Parquet file."""

from __future__ import annotations

from pathlib import Path

from kls.data.examples import Examples
from kls.data.npz_file import read_npz
from kls.data.own_examples import own_examples
from kls.data.source import LONGEST_SHOWN, Request, Source
from kls.data.table_file import read_table
from kls.records.escape import shortened

ARRAYS, TABLES = (".npz",), (".csv", ".parquet")


def check(path: str | None, target: str | None) -> None:
    """Raises ValueError where the settings name no file that can be read, or not what else is needed."""
    if path is None:
        raise ValueError("source=arrays reads a file of yours: give data.path=FILE.npz, FILE.csv or FILE.parquet")
    suffix, shown = Path(path).suffix.lower(), shortened(path, LONGEST_SHOWN)
    if suffix not in (*ARRAYS, *TABLES):
        raise ValueError(f"path={shown}: must be a file .npz, .csv or .parquet")
    if suffix in TABLES and target is None:
        raise ValueError(f"path={shown} is a table: give data.target=COLUMN, the one with the classes")
    if suffix in ARRAYS and target is not None:
        raise ValueError(f"target={shortened(target)} is for tables; of {shown} the classes are y_train")


def load(request: Request) -> Examples:
    """The examples of the file that is asked for. Raises UserError where they cannot be used."""
    assert request.path is not None
    if request.target is None:
        parts, names = read_npz(request.path)
    else:
        parts, names = {"train": read_table(request.path, request.target)}, None
    return own_examples(request.path, parts, names, request.test_share, request.seed)


SOURCE = Source(
    name="arrays",
    load=load,
    files=lambda request: [] if request.path is None else [request.path],
    check=check,
)
