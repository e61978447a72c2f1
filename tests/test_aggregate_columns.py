"""Column names: found by their endings, shortened where that stays clear."""

import pytest

from kls.aggregate.columns import find_column, short_names
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
