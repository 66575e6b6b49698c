"""Aggregates of all rows that are integers: the router puts them together, so one round trip is enough.

Everything else that is taken apart needs PostgreSQL a second time, which adds, compares and divides
in its own types. Integers, and which of two comes first, are the same here and there.
"""

from typing import Final

from sqlglot import expressions as exp

from router.analysis.query import Total
from router.analysis.scopes import folded
from router.schema import Table

_INTEGERS: Final = frozenset({"int2", "int4", "int8"})

_BARRED: Final = ("group", "having", "distinct", "order", "limit", "offset")
"""With them the answer may have no row, or more than one."""

_OF_INTEGERS: Final = {
    exp.Sum: Total.ADDED,
    exp.Min: Total.LEAST,
    exp.Max: Total.GREATEST,
}


def totals(tree: exp.Select, table: Table) -> tuple[Total, ...]:
    """How each output of a statement over the one table is put together; none: it cannot be.

    The statement is known to be one that can be taken apart.
    """
    if any(tree.args.get(part) for part in _BARRED):
        return ()
    found = tuple(_total(output, table) for output in tree.expressions)
    return tuple(total for total in found if total is not None) if None not in found else ()


def _total(output: exp.Expr, table: Table) -> Total | None:
    node = output.this if isinstance(output, exp.Alias) else output
    if isinstance(node, exp.Filter):
        node = node.this
    if not isinstance(node, exp.AggFunc) or isinstance(node.this, exp.Distinct):
        return None
    if type(node) is exp.Count:
        return Total.ADDED
    column = node.this
    if type(node) not in _OF_INTEGERS or not isinstance(column, exp.Column):
        return None
    found = table.columns.get(folded(column.this))
    known = found is not None and found.type in _INTEGERS and not found.domain
    return _OF_INTEGERS[type(node)] if known else None
