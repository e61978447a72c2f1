"""The conditions of --where: what they mean, and that nothing else can be said with them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from kls.aggregate.where import parse_where
from kls.errors import UserError

ROW: dict[str, Any] = {
    "status": "finished",
    "lam": 0.005,
    "model": "3layer_bn",
    "model.hidden": "[50, 50]",
    "model.bn.enabled": True,
    "model.bn.momentum": 0.9,
    "optimizer.momentum": 0.0,
    "model.init.sigma": None,
    "plots": False,
    "n_train": 45000,
}


def holds(text: str, row: Mapping[str, Any] = ROW) -> bool:
    return parse_where(text, list(ROW))(row)


@pytest.mark.parametrize(
    "text",
    [
        "lam == 0.005",
        "lam == 5e-3 and n_train == 45000",
        "model.bn.enabled == true",
        "model.bn.enabled == True and plots == false",
        "model.bn.enabled",
        "bn.enabled and not plots",
        "not plots",
        "0.001 < lam <= 0.005",
        "lam > -1",
        "lam in [0.1, 0.005]",
        "lam not in (0.1, 0.2)",
        "hidden == [50, 50]",
        "hidden in [[100], [50, 50]]",
        "model == '3layer_bn'",
        'status == "finished" or lam == 1',
        "(lam == 1 or lam == 0.005) and status != 'failed'",
        "sigma == null",
        "sigma == None",
        "sigma in [null, 0.1]",
        "sigma != 0.1",
        "not sigma < 1",
        "bn.momentum > optimizer.momentum",
        "model < 'a' and model > '2'",
        "  lam == 0.005\n",
    ],
)
def test_true_conditions(text: str) -> None:
    assert holds(text)


@pytest.mark.parametrize(
    "text",
    [
        "lam == 0.05",
        "not lam == 0.005",
        "plots",
        "lam",
        "sigma < 1",
        "sigma >= 1",
        "sigma == 0",
        "model < 3",
        "model.bn.enabled < 2",
        "lam in []",
        "0.005 < lam < 1",
        "lam == 0.005 and status == 'failed'",
        "hidden == [50, 51]",
    ],
)
def test_false_conditions(text: str) -> None:
    assert not holds(text)


def test_a_condition_is_asked_of_each_row() -> None:
    condition = parse_where("lam < 0.01 and bn.enabled", list(ROW))
    assert condition(ROW)
    assert not condition(ROW | {"lam": 0.02})
    assert not condition(ROW | {"model.bn.enabled": False})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lamda == 1", 'lamda: there is no such column; did you mean lam?; a text stands in quotes: "lamda"'),
        ("status == finished", "finished: there is no such column"),
        ("momentum == 0.9", "momentum: could be any of model.bn.momentum, optimizer.momentum; give more of the name"),
        ("lam ==", "--where 'lam ==': cannot be read"),
        ("lam = 1", "--where 'lam = 1': cannot be read"),
        ("", "--where '': cannot be read"),
        ("lam in 0.1", "'0.1' cannot stand here: a list must follow in, such as [1, 2]"),
        ("sigma is null", "compare with =="),
        ("lam + 1 == 2", "'lam + 1' cannot stand here"),
        ("lam & plots", "'lam & plots' cannot stand here"),
        ("1", "'1' cannot stand here"),
        ("lam == b'1'", 'cannot stand here'),
    ],
)  # fmt: skip
def test_what_cannot_be_understood_is_told_in_one_line(text: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        parse_where(text, list(ROW))
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith("--where")


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('touch {0}')",
        "open('{0}', 'w')",
        "lam == open('{0}', 'w')",
        "lam in [open('{0}', 'w')]",
        "(lambda: open('{0}', 'w'))()",
        "[open('{0}', 'w') for x in [1]]",
        "lam == (x := 1)",
        "lam.__class__.__mro__",
        "lam.__class__ == 1",
        "f'{{lam}}' == '1'",
        "status['x'] == 1",
        "lam if plots else lam",
        "9**9**9 == lam",
        "-lam == 1",
        "exec('1')",
        "lam; lam",
        "import os",
        "lam == 1\nlam == 2",
        "*lam",
        "await lam",
    ],
)
def test_code_is_refused_and_not_run(tmp_path: Path, text: str) -> None:
    target = tmp_path / "made"
    with pytest.raises(UserError):
        parse_where(text.format(target), list(ROW))
    assert not target.exists()


@pytest.mark.parametrize("text", ["(" * 5000 + "lam" + ")" * 5000, "not " * 100_000 + "lam", "lam == \0"])
def test_monstrous_text_is_refused_too(text: str) -> None:
    with pytest.raises(UserError):
        parse_where(text, list(ROW))
