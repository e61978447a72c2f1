"""The conditions of --where: what they mean, and that nothing else can be said with them."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from kls.analysis.runs import Runs
from kls.analysis.where import matching
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
    "val_accuracy": 0.29,
    "test_accuracy": None,
}


def runs(*rows: dict[str, Any]) -> Runs:
    return Runs(pd.DataFrame(rows, dtype=object), [], [], {}, [])


def holds(text: str) -> bool:
    (found,) = matching(runs(ROW).frame, text)
    return bool(found)


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
        "model < 'a' and model > '2l'",
        "  lam == 0.005\n",
        "val_accuracy == 29 and val_accuracy >= 29 and 28.9 < val_accuracy <= 29",
        "val_accuracy > 0 and val_accuracy > 1.5",
        "test_accuracy == null",
        "not test_accuracy > 40",
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
        "val_accuracy > 40",
        "test_accuracy > 0",
    ],
)
def test_false_conditions(text: str) -> None:
    assert not holds(text)


def test_a_condition_is_asked_of_each_row() -> None:
    table = runs(ROW, ROW | {"lam": 0.02}, ROW | {"model.bn.enabled": False})
    assert matching(table.frame, "lam < 0.01 and bn.enabled").tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lamda == 1", 'lamda: there is no such column; did you mean lam?; a text stands in quotes: "lamda"'),
        ("status == finished", "finished: there is no such column"),
        ("momentum == 0.9", "momentum: could be any of model.bn.momentum, optimizer.momentum; give more of the name"),
        ("lam ==", "--where: 'lam ==' cannot be read"),
        ("lam = 1", "--where: 'lam = 1' cannot be read"),
        ("", "--where: '' cannot be read"),
        ("lam in 0.1", "'0.1' cannot stand here: a list must follow in, such as [1, 2]"),
        ("sigma is null", "compare with =="),
        ("lam + 1 == 2", "'lam + 1' cannot stand here"),
        ("lam & plots", "'lam & plots' cannot stand here"),
        ("1", "'1' cannot stand here"),
        ("lam == b'1'", 'cannot stand here'),
        ("lam == 1j", 'cannot stand here'),
        ("lam == {1: 2}", 'cannot stand here'),
        ("val_accuracy > 0.4", "val_accuracy is compared in percent, such as val_accuracy > 40, not with 0.4"),
        ("1 >= val_accuracy", "val_accuracy is compared in percent"),
        ("val_accuracy in [0.4]", "val_accuracy is compared in percent"),
        ("lam == '" + "x" * 10_000 + "'", "more than 10,000 characters"),
    ],
)  # fmt: skip
def test_what_cannot_be_understood_is_one_line(text: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        holds(text)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith("--where")
    assert len(str(error.value)) < 400


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
        "open('{0}', 'w').name == 1",
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
        holds(text.format(target))
    assert not target.exists()


@pytest.mark.parametrize(
    "text", ["(" * 3000 + "lam" + ")" * 3000, "not " * 2400 + "lam", "lam == \0", "lam == " + "[" * 4000 + "]" * 4000]
)
def test_monstrous_text_is_refused_too(text: str) -> None:
    with pytest.raises(UserError):
        holds(text)
