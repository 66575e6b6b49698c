"""Aggregates of all rows that are exact numbers: the router puts them together, in one round trip.

Everything else that is taken apart needs PostgreSQL a second time, which adds, compares and divides
in its own types. Sums of integers and of `numeric`, and which of two integers comes first, are the
same here and there.
"""

from typing import Final

from sqlglot import expressions as exp

from router.analysis.parse import Parsed
from router.analysis.query import Total
from router.analysis.scopes import folded
from router.analysis.tables import Located
from router.rewrite.aggregates import all_named, part_of
from router.rewrite.simple import simple_select
from router.schema import Table

_INTEGERS: Final = frozenset({"int2", "int4", "int8"})

_ADDED: Final = _INTEGERS | {"numeric"}

_BARRED: Final = ("group", "having", "distinct", "order", "limit", "offset")
"""With them the answer may have no row, or more than one."""

_OF_COLUMNS: Final = {
    exp.Sum: (Total.ADDED, _ADDED),
    exp.Min: (Total.LEAST, _INTEGERS),
    exp.Max: (Total.GREATEST, _INTEGERS),
}
"""How the aggregate of a column is put together, and of which types."""


def totals(parsed: Parsed, tables: tuple[Located, ...]) -> tuple[Total, ...]:
    """How each output of the statement is put together; none: it cannot be."""
    found = simple_select(parsed, tables)
    if found is None:
        return ()
    tree, _, table = found
    if any(tree.args.get(part) for part in _BARRED):
        return ()
    known = [_total(output, table) for output in tree.expressions]
    aggregates = list(tree.find_all(exp.AggFunc))
    if not all_named(parsed, aggregates) or any(
        part_of(parsed, node, table) is None for node in aggregates
    ):
        return ()
    each = tuple(total for total in known if total is not None)
    return each if len(each) == len(known) else ()


def _total(output: exp.Expr, table: Table) -> Total | None:
    node = output.this if isinstance(output, exp.Alias) else output
    if isinstance(node, exp.Filter):
        node = node.this
    if not isinstance(node, exp.AggFunc) or isinstance(node.this, exp.Distinct):
        return None
    if type(node) is exp.Count:
        return Total.ADDED
    column = node.this
    if type(node) not in _OF_COLUMNS or not isinstance(column, exp.Column):
        return None
    how, types = _OF_COLUMNS[type(node)]
    found = table.columns.get(folded(column.this))
    return how if found is not None and found.type in types and not found.domain else None
