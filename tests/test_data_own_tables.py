"""A user's table: a column of classes, all others numbers, or one line on what is wrong."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kls.data.examples import Examples
from kls.data.source import Request
from kls.data.sources import SOURCES
from kls.errors import UserError


def table(n: int = 30) -> pd.DataFrame:
    return pd.DataFrame({
        "length": np.arange(n) * 0.5, "width": np.arange(n) % 7, "wild": np.arange(n) % 2 == 0,
        "kind": np.array(["setosa", "virginica"])[np.arange(n) % 2],
    })  # fmt: skip


def written(tmp_path: Path, frame: pd.DataFrame, suffix: str = ".csv", **options: bool) -> Path:
    path = tmp_path / f"mine{suffix}"
    if suffix == ".csv":
        frame.to_csv(path, **({"index": False} | options))  # type: ignore[call-overload]
    else:
        frame.to_parquet(path)
    return path


def load(path: Path, target: str = "kind") -> Examples:
    return SOURCES["arrays"].load(Request(path.parent, path=path, target=target))


def refusal(path: Path, target: str = "kind") -> str:
    with pytest.raises(UserError) as caught:
        load(path, target)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{path}: ")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table(suffix: str, tmp_path: Path) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    got = load(written(tmp_path, table(), suffix))
    assert (got.name, got.shape, got.class_names) == (f"mine{suffix}", None, ("setosa", "virginica"))
    assert (got.test_held_out, got.train_x.dtype, got.train_x.shape) == (0.2, np.float64, (24, 3))
    assert np.bincount(got.test_y).tolist() == [3, 3]
    rows = np.concatenate([got.train_x, got.test_x])
    rows = rows[np.argsort(rows[:, 0])]
    np.testing.assert_array_equal(rows, table().drop(columns="kind").to_numpy(np.float64))


def test_any_column_can_be_the_target(tmp_path: Path) -> None:
    frame = table().drop(columns="kind")
    path = written(tmp_path, frame)
    assert load(path, "width").class_names == tuple("0123456")
    assert load(path, "wild").class_names == ("False", "True")
    assert refusal(path, "length").startswith("y_train holds float64; labels are whole numbers or texts")


def test_a_target_that_is_not_there(tmp_path: Path) -> None:
    path = written(tmp_path, table())
    assert refusal(path, "kid") == "has no column 'kid' (data.target); did you mean 'kind'?"
    assert refusal(path, "xyz") == (
        "has no column 'xyz' (data.target); there are 'length', 'width', 'wild', 'kind'"
    )


def test_texts_beside_the_target_are_named(tmp_path: Path) -> None:
    frame = table().assign(place="x", day="2020-01-01")
    assert refusal(written(tmp_path, frame)) == (
        "column 'place', 'day' holds no numbers; all but the target must be numbers: leave others out, or turn them "
        "into numbers"
    )
    assert refusal(written(tmp_path, table()[["kind"]])).startswith("has no column beside 'kind'; all but the target")


def test_missing_and_infinite_values(tmp_path: Path) -> None:
    frame = table()
    frame.loc[4, "length"], frame.loc[7, "length"] = np.nan, np.inf
    assert refusal(written(tmp_path, frame)) == (
        "2 values are missing, NaN or infinite, the first in row 4, column 'length'; fill or leave them out"
    )
    frame = table()
    frame.loc[5, "kind"] = None
    assert refusal(written(tmp_path, frame)) == "column 'kind' has no value in row 5"


def test_an_index_is_no_feature(tmp_path: Path) -> None:
    assert refusal(written(tmp_path, table(), index=True)) == (
        "a column has no name; leave out an index (pandas: to_csv(..., index=False))"
    )


@pytest.mark.parametrize("content", [b"", b"\n\n", b"a,b\n1,2,3,4\n5,6\n7,8,9,1,2,3,4\n", b"\xff\xfe\0\0"])
def test_files_that_are_no_tables(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_bytes(content)
    assert refusal(path).startswith(("cannot be read as a table: ", "has no column 'kind'"))


def test_files_that_are_missing(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    assert refusal(path) == f"data.path={path}: there is no such file"
    path.mkdir()
    assert refusal(path) == "is not a file"


def test_parquet_without_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.parquet"
    path.write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    assert refusal(path) == "to read Parquet, install pyarrow: pip install 'kls[parquet]'"
