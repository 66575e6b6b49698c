"""The types of simple expressions over one table, as PostgreSQL resolves them."""

from typing import Final

from sqlglot import expressions as exp

from router.analysis.scopes import folded
from router.schema import Table

_WIDTHS: Final = ("int2", "int4", "int8", "numeric", "float4", "float8")
"""Numeric types in the order in which operators widen them."""

_CASTS: Final = {
    exp.DType.SMALLINT: "int2",
    exp.DType.INT: "int4",
    exp.DType.BIGINT: "int8",
    exp.DType.DECIMAL: "numeric",
    exp.DType.FLOAT: "float4",
    exp.DType.DOUBLE: "float8",
}

_INT4_MAX: Final = 2**31 - 1
_INT8_MAX: Final = 2**63 - 1


def type_of(node: exp.Expr, table: Table) -> str | None:
    """The name of the expression's type; None: it is not known for certain."""
    match node:
        case exp.Paren():
            return type_of(node.this, table)
        case exp.Column() if isinstance(node.this, exp.Identifier):
            column = table.columns.get(folded(node.this))
            return column.type if column is not None and not column.array else None
        case exp.Literal() if not node.is_string:
            return _of_number(str(node.this))
        case exp.Neg():
            kind = type_of(node.this, table)
            return kind if kind in _WIDTHS else None
        case exp.Add() | exp.Sub() | exp.Mul() | exp.Div():
            return _widened(type_of(node.this, table), type_of(node.expression, table))
        case exp.Cast() if type(node) is exp.Cast:
            return _CASTS.get(node.to.this)
        case exp.Coalesce():
            kinds = {type_of(each, table) for each in (node.this, *node.expressions)}
            return kinds.pop() if len(kinds) == 1 else None
        case exp.Case() if node.this is None:
            values = [branch.args["true"] for branch in node.args["ifs"]]
            default = node.args.get("default")
            kinds = {type_of(each, table) for each in (*values, *([default] if default else ()))}
            return kinds.pop() if len(kinds) == 1 else None
        case _:
            return None


def _of_number(text: str) -> str:
    if not text.isdecimal():
        return "numeric"
    if int(text) <= _INT4_MAX:
        return "int4"
    return "int8" if int(text) <= _INT8_MAX else "numeric"


def _widened(left: str | None, right: str | None) -> str | None:
    """The type of an arithmetic operator between two numbers: float4 keeps to itself."""
    if left not in _WIDTHS or right not in _WIDTHS:
        return None
    if left == right:
        return left
    widest = max(left, right, key=_WIDTHS.index)
    return "float8" if widest == "float4" else widest
