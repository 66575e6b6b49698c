"""PostgreSQL's catalogs as a `Schema`: the rows of `introspection.sql`, read into values."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any, Final

from router.schema import Column, Kind, Schema, Table
from shardmap import Global, ShardMap, TableName

INTROSPECTION: Final = files("router").joinpath("introspection.sql").read_text()
"""Takes the names of the schemas as `$1`, and gives one row for each table or view."""


def read_tables(rows: Iterable[Mapping[str, Any]]) -> tuple[Table, ...]:
    """The tables of one database, in order of name."""
    return tuple(_table(row) for row in rows)


def merged(
    shard: Sequence[Table],
    catalog: Sequence[Table] | None,
    shard_map: ShardMap,
    exposed: tuple[str, ...],
) -> Schema:
    """One schema of a shard's tables and the catalog's: global tables are the catalog's.

    `catalog` is the same as `shard` where it is the same database; None: it could not be read yet.
    """

    def is_global(name: TableName) -> bool:
        return isinstance(shard_map.placement(name), Global)

    found = {table.name: table for table in shard if not is_global(table.name)}
    found |= {table.name: table for table in catalog or () if is_global(table.name)}
    ordered = dict(sorted(found.items()))
    unread = frozenset(filter(is_global, shard_map.tables)) if catalog is None else frozenset()
    version = _version(ordered.values(), exposed, unread)
    return Schema(version=version, tables=ordered, exposed=exposed, unread=unread)


def _table(row: Mapping[str, Any]) -> Table:
    columns = (
        Column(
            name=column["name"],
            type=column["type"],
            not_null=column["not_null"],
            has_default=column["has_default"],
            generated=column["generated"],
            array=column["array"],
            category=column["category"],
            mergeable=column["mergeable"],
        )
        for column in json.loads(row["columns"])
    )
    return Table(
        name=TableName(f"{row['schema']}.{row['relation']}"),
        schema=row["schema"],
        relation=row["relation"],
        kind=Kind(row["kind"]),
        columns={column.name: column for column in columns},
        primary_key=tuple(row["primary_key"]),
        uniques=tuple(tuple(names) for names in json.loads(row["uniques"])),
        rls=row["rls"],
        triggered=row["triggered"],
        computed_defaults=row["computed_defaults"],
    )


def _version(
    tables: Iterable[Table], exposed: tuple[str, ...], unread: frozenset[TableName]
) -> str:
    """A hash of the content: the same in every process that sees the same tables."""
    text = repr((exposed, tuple(tables), sorted(unread)))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
