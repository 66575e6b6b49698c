"""Bodies as insert and update requests: columns, conflict targets, defaults and values."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from router import Column, Result, Table
from server.rest import exact_json
from server.rest.body import Rows
from server.rest.build import MARK, STRUCTURED
from server.rest.errors import BodyColumnUnknown, BodyInvalid, ColumnUnknown, FeatureMissing
from server.rest.exact_json import Member, encode
from server.rest.request import Assignment, Conflict, InsertRows, TableRequest

JSON_TYPES: Final = frozenset({"json", "jsonb"})

SEPARATOR: Final = ", \n "
"""What `json_agg` puts between rows."""

_NEW: Final = f'{{"{MARK}":true'

MOST_CELLS: Final = 30_000
"""Of one insert; a statement of PostgreSQL has at most 65,535 parameters, one of the driver 32,767."""


def insert_columns(
    rows: Rows, table: Table, *, named: Sequence[str] | None, defaults: bool
) -> tuple[str, ...]:
    """The columns of an insert, in the table's order: those named, else all keys of all rows.

    A column that only some rows give is NULL in the others; with `defaults` see `cells_of`.

    Raises:
        BodyColumnUnknown: A key or name is no column of the table.
        BodyInvalid: Several rows, and no column.
    """
    wanted = rows.keys if named is None else frozenset(named)
    ordered = in_table_order(wanted, table)
    if defaults:
        given = rows.keys
        ordered = tuple(name for name in ordered if name in given)
    if not ordered and len(rows.rows) > 1:
        raise BodyInvalid("Rows without any column are inserted one at a time")
    return ordered


def with_defaults(
    insert: InsertRows, rows: Rows, table: Table, values: list[Any], own: Mapping[str, str]
) -> InsertRows:
    """The insert in which each row has the defaults of the columns that it lacks.

    Where rows lack different columns it takes them one value at a time, which are added to
    `values`. `own` are values for columns that a row lacks (the tenant's).

    Raises:
        FeatureMissing: There are more values than a statement takes.
    """
    columns = insert.columns
    uneven = {*columns} & (rows.keys - rows.common)
    if not any(table.columns[name].has_default or name in own for name in uneven):
        return insert
    if len(rows.rows) * len(columns) > MOST_CELLS:
        raise FeatureMissing(
            f"missing=default for more than {MOST_CELLS} values",
            hint="Insert fewer rows at a time, or rows with the same keys.",
        )
    cells: list[tuple[int | None, ...]] = []
    for text in exact_json.elements(rows.text):
        members = exact_json.members(text)
        row: list[int | None] = []
        for name in columns:
            member = members.get(name)
            if member is None and name not in own:
                row.append(None)
                continue
            row.append(len(values))
            values.append(own[name] if member is None else _assigned(table.columns[name], member))
        cells.append(tuple(row))
    return replace(insert, cells=tuple(cells))


def in_table_order(names: Iterable[str], table: Table) -> tuple[str, ...]:
    """The names as columns of the table, in its order.

    Raises:
        BodyColumnUnknown: A name is no column of the table.
    """
    wanted = frozenset(names)
    unknown = wanted - table.columns.keys()
    if unknown:
        raise BodyColumnUnknown(min(unknown), table.relation)
    return tuple(name for name in table.columns if name in wanted)


def conflict_of(
    table: Table,
    columns: Sequence[str],
    *,
    named: Sequence[str],
    tenant_column: str | None,
    merge: bool,
) -> Conflict | None:
    """What an upsert's conflict clause says; None for a table without any key.

    The target is the primary key, or the columns named. Where these are unique only together
    with the tenant column, that column is added: the same id of two tenants is two rows.

    Raises:
        ColumnUnknown: A named column is not in the table.
    """
    for name in named:
        if name not in table.columns:
            raise ColumnUnknown(name, table.relation)
    target = _constraint(table, tuple(named), tenant_column) if named else table.primary_key
    if not target:
        return None
    kept = {*target, tenant_column}
    updated = tuple(name for name in columns if name not in kept) if merge else ()
    if merge and not updated and tenant_column is not None:
        # a key alone is merged by being set to itself: then the row is among those answered
        updated = tuple(name for name in target if name != tenant_column)[:1]
    return Conflict(target, updated)


def _constraint(table: Table, named: tuple[str, ...], tenant_column: str | None) -> tuple[str, ...]:
    uniques = [frozenset(unique) for unique in (table.primary_key, *table.uniques) if unique]
    wanted = frozenset(named)
    if tenant_column is not None and wanted not in uniques and wanted | {tenant_column} in uniques:
        return tuple(dict.fromkeys((tenant_column, *named)))
    return tuple(dict.fromkeys(named))


def assignments_of(
    members: Mapping[str, Member],
    columns: Iterable[str],
    table: Table,
    *,
    after: int,
    defaults: bool = False,
) -> tuple[tuple[Assignment, ...], list[Any]]:
    """The assignments of an update and their values, for the columns in the table's order.

    The values follow `after` others. A column that the body lacks becomes NULL, or its default
    with `defaults`.

    Raises:
        BodyColumnUnknown: A column is not in the table.
    """
    assignments: list[Assignment] = []
    values: list[Any] = []
    for name in in_table_order(columns, table):
        member = members.get(name)
        if member is None and defaults:
            assignments.append(Assignment(name, None))
            continue
        assignments.append(Assignment(name, after + len(values)))
        values.append(_assigned(table.columns[name], member))
    return tuple(assignments), values


def _assigned(column: Column, member: Member | None) -> str | None:
    """A JSON value as what an assignment reads, exactly as it was written."""
    if member is None or member.value is None:
        return None
    if column.category in STRUCTURED:
        return f"[{{{encode(column.name)}:{member.text}}}]"
    return literal(column.type, member)


def literal(kind: str, member: Member) -> str | None:
    """A JSON value as the text of a literal of the type, exactly as it was written."""
    if member.value is None:
        return None
    if isinstance(member.value, str) and kind not in JSON_TYPES:
        return str(member.value)
    return member.text


def fresh(write: TableRequest, result: Result) -> tuple[Result, int]:
    """The result of a write without the marks of its rows, and how many of them are new."""
    if not isinstance(write, InsertRows) or not write.marked:
        return result, result.row_count
    rows, inserted = [], 0
    for row in exact_json.elements(result.body):
        mark, _, others = row.partition(",")
        inserted += mark.removesuffix("}") == _NEW
        rows.append(f"{{{others}")
    return result._replace(body=f"[{SEPARATOR.join(rows)}]"), inserted
