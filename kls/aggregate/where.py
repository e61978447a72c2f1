"""The condition of --where: comparisons of columns with values, read by Python's parser and never run by Python."""

from __future__ import annotations

import ast
import operator
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kls.aggregate.columns import find_column
from kls.aggregate.varying import is_number
from kls.errors import UserError
from kls.records.escape import shortened

Row = Mapping[str, Any]
Condition = Callable[[Row], bool]
_Value = Callable[[Row], Any]

_WORDS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
_ORDERS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}

_MOST_CHARACTERS, _DEEPEST = 10_000, 50


def parse_where(text: str, columns: Sequence[str]) -> Condition:
    """The condition that ``text`` states about a row.

    Allowed are ``==  !=  <  <=  >  >=  in  not in``, ``and  or  not``, brackets, numbers, quoted texts, lists,
    true, false, null, and names of columns (see `find_column`); a name alone asks whether it is true. A missing
    value equals null only and is in no order with anything.

    Raises UserError, in one line, at anything else or at a name that is no column.
    """
    said = shortened(repr(text))
    if len(text) > _MOST_CHARACTERS:
        raise UserError(f"--where {said}: has more than {_MOST_CHARACTERS:,} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as of "\\d" in a text
            tree = ast.parse(text.strip(), mode="eval")
        return _Parser(text, columns).condition(tree.body)
    except (SyntaxError, ValueError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        example = "lam < 0.01 and hidden == [50, 50]"
        raise UserError(f"--where {said}: cannot be read ({shortened(reason)}); an example: {example}") from None
    except (RecursionError, MemoryError):
        raise UserError(f"--where {said}: is too deeply nested") from None


class _Parser:
    def __init__(self, text: str, columns: Sequence[str]) -> None:
        self.text, self.columns = text, columns

    def condition(self, node: ast.expr, depth: int = 1) -> Condition:
        if depth > _DEEPEST:
            raise RecursionError
        match node:
            case ast.BoolOp(op=ast.And(), values=values):
                parts = [self.condition(value, depth + 1) for value in values]
                return lambda row: all(part(row) for part in parts)
            case ast.BoolOp(values=values):
                parts = [self.condition(value, depth + 1) for value in values]
                return lambda row: any(part(row) for part in parts)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                inner = self.condition(operand, depth + 1)
                return lambda row: not inner(row)
            case ast.Compare(left=left, ops=ops, comparators=rights):
                sides = [left, *rights]
                steps = [self.comparison(op, *sides[i : i + 2]) for i, op in enumerate(ops)]
                return lambda row: all(step(row) for step in steps)
            case ast.Name() | ast.Attribute():
                value = self.value(node)
                return lambda row: value(row) is True
        raise self.refusal(node)

    def comparison(self, op: ast.cmpop, left: ast.expr, right: ast.expr) -> Condition:
        a = self.value(left)
        if isinstance(op, ast.In | ast.NotIn):
            if not isinstance(right, ast.List | ast.Tuple):
                raise self.refusal(right, "a list must follow in, such as [1, 2]")
            choices, wanted = [_shown(self.literal(item)) for item in right.elts], isinstance(op, ast.In)
            return lambda row: (a(row) in choices) is wanted
        b = self.value(right)
        if isinstance(op, ast.Eq):
            return lambda row: bool(a(row) == b(row))
        if isinstance(op, ast.NotEq):
            return lambda row: bool(a(row) != b(row))
        if type(op) not in _ORDERS:
            raise self.refusal(left, "compare with ==")
        order = _ORDERS[type(op)]
        return lambda row: _comparable(a(row), b(row)) and order(a(row), b(row))

    def value(self, node: ast.expr) -> _Value:
        name = _dotted(node)
        if name is not None and name not in _WORDS:
            try:
                column = find_column(name, self.columns)
            except UserError as error:
                said = shortened(name)
                raise UserError(f'--where: {error}; a text stands in quotes: "{said}"') from None
            return lambda row: row[column]
        constant = _shown(self.literal(node))
        return lambda row: constant

    def literal(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=bool() | int() | float() | str() | None):
                return node.value
            case ast.Name(id=name) if name in _WORDS:
                return _WORDS[name]
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
                return -number
            case ast.List(elts=items) | ast.Tuple(elts=items):
                return [self.literal(item) for item in items]
        raise self.refusal(node)

    def refusal(self, node: ast.expr, why: str = "only comparisons of columns with values are allowed") -> UserError:
        part = ast.get_source_segment(self.text.strip(), node) or self.text
        return UserError(f"--where: {shortened(repr(part))} cannot stand here: {why}")


def _dotted(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value)
        return None if before is None else f"{before}.{node.attr}"
    return None


def _shown(value: Any) -> Any:
    """Lists stand in the table as texts such as "[50, 50]"."""
    return str(value) if isinstance(value, list) else value


def _comparable(a: Any, b: Any) -> bool:
    return (is_number(a) and is_number(b)) or (isinstance(a, str) and isinstance(b, str))
