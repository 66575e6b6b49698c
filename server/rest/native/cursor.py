"""Pages by a cursor: the rows behind the one whose column has that value.

The column should be unique and never NULL: of rows with equal values some would be left out
between two pages.
"""

from collections.abc import Sequence
from typing import Any

from router import Table
from server.rest.errors import ParameterMalformed, Spot
from server.rest.filters import NATIVE_OPERATORS, Compare, Condition, Field
from server.rest.native.identity import id_column
from server.rest.native.query import NativeQuery
from server.rest.relations import TenantColumn
from server.rest.request import Sort

Paged = tuple[tuple[Condition, ...], tuple[Sort, ...], Sequence[Any]]
"""Conditions, order, and values."""


def paged_by_cursor(query: NativeQuery, table: Table, tenant_column: TenantColumn) -> Paged:
    """What the query asks for, with its cursor as a condition, in the order of its column.

    Without `cursor_column` it is the one that identifies rows; without a cursor it is the first
    page.

    Raises:
        ParameterMalformed: The rows are wanted in another order.
        KeyUnusable: The column is not named, and no single one identifies rows.
    """
    if query.cursor is None and query.cursor_column is None:
        return query.where, query.order, query.values
    field = query.cursor_column or Field(id_column(table, tenant_column))
    order = query.order or (Sort(field, descending=False),)
    first = order[0]
    if first.field != field:
        raise ParameterMalformed(
            Spot("order", first.field.column), f"the cursor's column {field.column} first"
        )
    if query.cursor is None:
        return query.where, order, query.values
    operator = NATIVE_OPERATORS["lt" if first.descending else "gt"]
    behind = Compare(field, operator, len(query.values))
    return (*query.where, behind), order, [*query.values, query.cursor]
