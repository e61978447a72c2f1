"""Columns are found by their endings and abbreviated; when two values are the same, and their order."""

import math
from typing import Any

import pandas as pd
import pytest

from kls.analysis.columns import determined, differing, equal_to, find_column, in_order, short_names, sort_key
from kls.errors import UserError

COLUMNS = ["status", "lam", "model", "model.hidden", "model.bn.enabled", "model.bn.momentum", "optimizer.momentum"]
COLUMNS += ["optimizer.schedule.epochs", "epochs", "val_accuracy"]


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("lam", "lam"),
        ("model", "model"),
        ("hidden", "model.hidden"),
        ("bn.enabled", "model.bn.enabled"),
        ("enabled", "model.bn.enabled"),
        ("epochs", "epochs"),
        ("schedule.epochs", "optimizer.schedule.epochs"),
    ],
)
def test_a_column_is_found_by_name_or_ending(name: str, column: str) -> None:
    assert find_column(name, COLUMNS) == column


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("momentum", "momentum: could be any of model.bn.momentum, optimizer.momentum; give more of the name"),
        ("lamb", "lamb: there is no such column; did you mean lam?"),
        ("bn.enabld", "bn.enabld: there is no such column; did you mean model.bn.enabled?"),
        ("zzz", "zzz: there is no such column; there are status, lam, model, model.hidden, model.bn.enabled, "
                "model.bn.momentum, optimizer.momentum, optimizer.schedule.epochs, epochs, val_accuracy"),
        ("am", "am: there is no such column; did you mean lam?"),
    ],
)  # fmt: skip
def test_other_names_are_refused_with_the_close_ones(name: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        find_column(name, COLUMNS)
    assert str(error.value) == message


def test_names_are_as_short_as_they_can_be() -> None:
    assert short_names(COLUMNS, COLUMNS) == {
        "status": "status",
        "lam": "lam",
        "model": "model",
        "model.hidden": "hidden",
        "model.bn.enabled": "bn.enabled",
        "model.bn.momentum": "bn.momentum",
        "optimizer.momentum": "optimizer.momentum",
        "optimizer.schedule.epochs": "schedule.epochs",
        "epochs": "epochs",
        "val_accuracy": "val_accuracy",
    }


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (0.1 + 0.2, 0.3, True),
        (1.0, 1, True),
        (0.3, 0.30000001, False),
        (2**62, 2**62 + 1, False),
        ("1e-1", 0.1, True),
        ("1e-1", "0.10", True),
        ("e1", "e1", True),
        ("e1", "e2", False),
        (None, math.nan, True),
        (None, 0, False),
        (True, 1, False),
        (False, 0.0, False),
        (True, True, True),
        ("true", True, False),
        ("[50, 50]", "[50, 50]", True),
        (math.inf, math.inf, True),
    ],
)
def test_when_two_values_are_the_same(a: Any, b: Any, expected: bool) -> None:
    assert (sort_key(a) == sort_key(b)) == expected
    frame = pd.DataFrame({"x": [a, b]}, dtype=object)
    assert equal_to(frame["x"], a).tolist() == [True, expected]
    assert (differing(frame, ["x"]) == []) == expected


def test_rows_are_sorted_by_numbers_texts_booleans_and_missing_ones() -> None:
    frame = pd.DataFrame({"x": [0.2, 10, "x", 9, None, False], "y": [1, 1, 1, 1, 0, 2]}, dtype=object)
    assert in_order(frame, ["x"]).tolist() == [0, 3, 1, 2, 5, 4]
    assert in_order(frame, ["x"], descending=True).tolist() == [5, 2, 1, 3, 0, 4]
    assert in_order(frame, ["y", "x"]).tolist() == [4, 0, 3, 1, 2, 5]
    assert in_order(pd.DataFrame({"x": [0.0001, 0.001, 1e-05]}), ["x"]).tolist() == [2, 0, 1]
    assert in_order(frame, []).tolist() == [0, 1, 2, 3, 4, 5]


def test_columns_that_others_settle() -> None:
    frame = pd.DataFrame({"model": ["a", "a", "b"], "hidden": [1, 1.0, 2], "lam": [0.1, 0.2, 0.2]}, dtype=object)
    assert determined(frame, "hidden", ["model"])
    assert not determined(frame, "lam", ["model"])
    assert determined(frame, "lam", ["model", "lam"])
    assert differing(frame.iloc[:2], ["model", "hidden", "lam"]) == ["lam"]
