"""Rows in the order of a column, of stages and of settings of any kind."""

import pandas as pd
import pytest

from kls.aggregate.ordering import Ordering
from kls.errors import UserError

FRAME = pd.DataFrame(
    {
        "stage": ["a_fine", "b_coarse", "a_fine", None, "b_coarse"],
        "lam": [0.2, 10, "x", 9, None],
        "val_accuracy_mean": [0.5, 0.9, None, 0.7, 0.1],
    },
    dtype=object,
)
COLUMNS = ["stage", "lam", "val_accuracy", "seconds"]


def order_of(wish: str | None) -> list[int]:
    return Ordering(wish, COLUMNS, ["b_coarse", "a_fine"]).groups(FRAME, ["stage", "lam"]).index.tolist()


def test_without_a_wish_groups_stand_by_stage_and_settings() -> None:
    assert order_of(None) == [1, 4, 0, 2, 3]


def test_a_score_sorts_groups_by_its_mean_and_missing_ones_come_last() -> None:
    assert order_of("val_accuracy") == [4, 0, 3, 1, 2]
    assert order_of("-val_accuracy") == [1, 3, 0, 4, 2]


def test_values_of_different_kinds_have_an_order() -> None:
    assert order_of("lam") == [0, 3, 1, 2, 4]
    assert order_of("-lam") == [2, 1, 3, 0, 4]


def test_a_column_that_groups_do_not_have_leaves_them_as_they_stand() -> None:
    assert order_of("seconds") == order_of(None)


def test_runs_keep_their_order_without_a_wish() -> None:
    assert Ordering(None, COLUMNS, []).runs(FRAME).index.tolist() == [0, 1, 2, 3, 4]
    assert Ordering("-lam", COLUMNS, []).runs(FRAME).index.tolist() == [2, 1, 3, 0, 4]


def test_an_unknown_column_is_refused() -> None:
    with pytest.raises(UserError, match="there is no such column"):
        Ordering("-zzz", COLUMNS, [])
