"""The columns of a view that are columns of tables, through views over views.

What a join may fill with NULLs counts as well: where there is a value, it is the table's.
"""

from collections.abc import Mapping

from router.analysis.lineage import Lineage
from router.analysis.parse import parse
from router.analysis.scopes import regions, table_uses
from router.analysis.tables import locate
from router.errors import RouterError
from router.schema import Schema, Table
from shardmap import TableName, Unsharded

MOST_NESTED = 8
"""Views over views that are followed."""


def view_columns(
    view: Table, schema: Schema, nested: int = 0
) -> Mapping[str, tuple[TableName, str]]:
    """By the view's column: the table, and the name that the column has there.

    A definition that is not understood shows nothing.
    """
    if view.definition is None or nested > MOST_NESTED:
        return {}
    try:
        parsed = parse(view.definition)
        tables = locate(table_uses(parsed, regions(parsed)), schema, lambda _: Unsharded())
        outputs = Lineage(tables, scoped=False, nullable=True).outputs(parsed.tree)
    except RouterError:
        return {}
    found: dict[str, tuple[TableName, str]] = {}
    for name, output in zip(view.columns, outputs or (), strict=False):
        if output.origin is None:
            continue
        table, column = output.origin.located.name, output.origin.column
        inner = schema.tables.get(table)
        if inner is not None and inner.definition is not None:
            origin = view_columns(inner, schema, nested + 1).get(column)
            if origin is not None:
                found[name] = origin
        else:
            found[name] = (table, column)
    return found
