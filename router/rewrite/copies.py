"""A write of a reference table, made to give its rows, and the statement that takes them over.

Values travel as PostgreSQL's own text for them, by name of column: both sides read and write it
with the types' input and output functions, so nothing is changed on the way.
"""

from collections.abc import Sequence
from typing import Final

from sqlglot import TokenType

from router.analysis.parse import Parsed
from router.analysis.scopes import Region, quoted
from router.rewrite.splice import insertion, splice
from router.schema import Column, Table

COPY: Final = "fluxshard_copy"
"""The name of the last column, which holds a row as a JSON array of texts."""


def giving(
    parsed: Parsed, region: Region, alias: str, columns: Sequence[str], *, json: bool
) -> str:
    """The statement with these columns of its rows behind what it returns: as json, or text."""
    values = ", ".join(f"{alias}.{quoted(name)}::text" for name in columns)
    copy = f"to_json(ARRAY[{values}]){'' if json else '::text'} AS {COPY}"
    clause = region.clauses.get(TokenType.RETURNING)
    if clause is None:
        return f"{parsed.body} RETURNING {copy}"
    return splice(parsed.body, [insertion(clause.end, f", {copy}")])


def upsert(table: Table, columns: Sequence[Column]) -> str:
    """Makes the table's rows of the same keys be the rows given."""
    names = ", ".join(quoted(column.name) for column in columns)
    overriding = " OVERRIDING SYSTEM VALUE" if any(c.identity for c in columns) else ""
    changed = ", ".join(
        f"{quoted(column.name)} = excluded.{quoted(column.name)}"
        for column in columns
        if column.name not in table.primary_key and not column.identity
    )
    keys = ", ".join(map(quoted, table.primary_key))
    action = f"DO UPDATE SET {changed}" if changed else "DO NOTHING"
    return (
        f"INSERT INTO {_name(table)} ({names}){overriding} SELECT {_values(columns)}"
        f" FROM json_array_elements($1::text::json) AS r(v) ON CONFLICT ({keys}) {action}"
    )


def removal(table: Table, columns: Sequence[Column]) -> str:
    """Removes the table's rows of the keys given, which are all columns."""
    keys = " AND ".join(
        f"t.{quoted(column.name)} = {_value(place, column)}" for place, column in enumerate(columns)
    )
    return (
        f"DELETE FROM {_name(table)} AS t"
        f" USING json_array_elements($1::text::json) AS r(v) WHERE {keys}"
    )


def _values(columns: Sequence[Column]) -> str:
    return ", ".join(_value(place, column) for place, column in enumerate(columns))


def _value(place: int, column: Column) -> str:
    return f"(r.v->>{place})::{column.type}"


def _name(table: Table) -> str:
    return f"{quoted(table.schema)}.{quoted(table.relation)}"
