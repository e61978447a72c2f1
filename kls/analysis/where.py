"""A condition, such as that of --where: comparisons of columns with values. Python parses it and never runs it."""

from __future__ import annotations

import ast
import operator
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd

from kls.analysis.columns import find_column, is_number, sort_key
from kls.analysis.wording import is_accuracy, scale
from kls.errors import UserError
from kls.records.escape import shortened
from kls.records.run_metrics import cells

_WORDS = {"true": True, "false": False, "null": None}
_ORDERS = {ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge}
_COMPARISONS = {ast.Eq: operator.eq, ast.NotEq: operator.ne, **_ORDERS}
_MOST_CHARACTERS = 10_000


def matching(frame: pd.DataFrame, text: str, given: str = "--where") -> pd.Series[bool]:
    """Which rows the condition holds for. given: what a message calls the condition.

    Allowed are ``== != < <= > >= in``, ``not in``, ``and or not``, brackets, numbers, quoted texts, lists, true, false,
    null, and names of columns (see `find_column`); a name alone asks whether it is true. Accuracies are in percent. A
    missing value equals null alone and is in no order with anything. Raises UserError, in one line, at anything else.
    """
    try:
        if len(text) > _MOST_CHARACTERS:
            raise ValueError(f"more than {_MOST_CHARACTERS:,} characters")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as of "\\d" in a text
            tree = ast.parse(text.strip(), mode="eval")
        return pd.Series(_mask(frame, tree.body), index=frame.index)
    except UserError as error:
        raise UserError(f"{given}: {error}") from None
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error) or "too deeply nested"
        example = "an example: lam < 0.01 and hidden == [50, 50]"
        raise UserError(f"{given}: {shortened(repr(text))} cannot be read ({shortened(reason)}); {example}") from None


def matching_points(points: Sequence[Mapping[str, Any]], text: str, given: str) -> list[bool]:
    """As `matching`, for settings of the same keys that no run has had yet."""
    return matching(pd.DataFrame([cells(point) for point in points]), text, given).tolist()


def _mask(frame: pd.DataFrame, node: ast.expr) -> np.ndarray:
    match node:
        case ast.BoolOp(op=op, values=parts):
            fold = np.logical_and if isinstance(op, ast.And) else np.logical_or
            return fold.reduce([_mask(frame, part) for part in parts])
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return ~_mask(frame, operand)
        case ast.Compare(left=left, ops=ops, comparators=rights):
            sides = zip([left, *rights[:-1]], ops, rights, strict=True)
            return np.logical_and.reduce([_compared(frame, *side) for side in sides])
        case ast.Name() | ast.Attribute():
            return _compared(frame, node, ast.Eq(), ast.Constant(True))
    raise _refusal(node)


def _compared(frame: pd.DataFrame, left: ast.expr, op: ast.cmpop, right: ast.expr) -> np.ndarray:
    if isinstance(op, ast.In | ast.NotIn):
        if not isinstance(right, ast.List | ast.Tuple):
            raise _refusal(right, "a list must follow in, such as [1, 2]")
        equal = [_compared(frame, left, ast.Eq(), item) for item in right.elts]
        return np.any([np.zeros(len(frame), bool), *equal], axis=0) == isinstance(op, ast.In)
    if type(op) not in _COMPARISONS:
        raise _refusal(left, "compare with ==")
    holds, ordered = _COMPARISONS[type(op)], type(op) in _ORDERS
    pairs = zip(_cells(frame, left, right), _cells(frame, right, left), strict=True)
    return np.array([holds(a, b) and (a[0] == b[0] <= 1 or not ordered) for a, b in pairs], dtype=bool)


def _cells(frame: pd.DataFrame, node: ast.expr, other: ast.expr) -> list[tuple[int, Any]]:
    """The `sort_key` of each cell of a column, of accuracies in percent, or of a constant; other: the other side."""
    name = ast.unparse(node)
    if not isinstance(node, ast.Name | ast.Attribute) or name in _WORDS:
        with suppress(ValueError):
            value = _WORDS[name] if name in _WORDS else ast.literal_eval(node)
            if isinstance(value, bool | int | float | str | list | None):
                return [sort_key(str(value) if isinstance(value, list) else value)] * len(frame)
        raise _refusal(node)
    try:
        column = find_column(name, list(frame.columns))
    except UserError as error:
        raise UserError(f'{error}; a text stands in quotes: "{shortened(name)}"') from None
    if not is_accuracy(column):
        return [sort_key(value) for value in frame[column]]
    bound: Any = other.value if isinstance(other, ast.Constant) else None
    if is_number(bound) and 0 < bound <= 1:
        raise UserError(f"{column} is compared in percent, such as {column} > 40, not with {bound}")
    return [sort_key(scale(column) * value if is_number(value) else value) for value in frame[column]]


def _refusal(node: ast.expr, why: str = "only comparisons of columns with values are allowed") -> UserError:
    return UserError(f"{shortened(repr(ast.unparse(node)))} cannot stand here: {why}")
