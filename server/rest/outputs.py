"""What the items of a select stand for, and what their columns are called."""

from collections.abc import Iterable, Iterator

from router import Table
from server.rest.expressions import GEOMETRY, column_of
from server.rest.filters import Field
from server.rest.request import Item, Output


def geometries(items: Iterable[Item], table: Table) -> tuple[str, ...]:
    """The names of the outputs that are columns of PostGIS's type of geometries."""
    return tuple(
        output_name(item)
        for item in expanded(items, table)
        if isinstance(item, Output)
        and item.field is not None
        and item.aggregate is None
        and item.cast is None
        and not item.field.path
        and column_of(table, item.field.column).type.endswith(GEOMETRY)
    )


def expanded(items: Iterable[Item], table: Table) -> Iterator[Item]:
    """The items with every `*` replaced by all columns."""
    for item in items:
        if isinstance(item, Output) and item.field is None and item.aggregate is None:
            yield from (Output(Field(name)) for name in table.columns)
        else:
            yield item


def output_name(output: Output) -> str:
    """The name of an output column: its alias, else the last key of its path, else the column."""
    if output.alias is not None:
        return output.alias
    if output.aggregate is not None:
        return output.aggregate
    if output.field is None:
        return "*"
    keys = [step.key for step in output.field.path if not step.index]
    return keys[-1] if keys else output.field.column


def is_path(output: Output) -> bool:
    """Whether it is found in a column, not the column itself."""
    return output.field is not None and bool(output.field.path)
