"""Columns that are unique in the whole cluster: the guards of their tables, set and taken away.

What the guards note, the router keeps in the same commit: see `router.uniques`. A table gets its
guards while it is empty, so that every value it ever has is kept.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Final

from shardmap.connection import Connection, install
from shardmap.errors import MapRefused, Problem
from shardmap.markup import dotted
from shardmap.placement import Placement, Sharded, TableName

UniqueColumns = tuple[str, ...]
"""Columns whose values are unique together."""

_INSTALLED: Final = "select to_regclass('fluxshard.unique_value') is not null as present"
_TABLE: Final = "select to_regclass($1) is not null as present"
_GUARDS: Final = """
select g.tgname::text as name
from pg_catalog.pg_trigger g
where g.tgrelid = $1::regclass and not g.tgisinternal and g.tgenabled in ('O', 'A')
"""
_EVENTS: Final = {
    "insert": ("after insert", "referencing new table as new_rows"),
    "update": ("after update", "referencing old table as old_rows new table as new_rows"),
    "delete": ("after delete", "referencing old table as old_rows"),
    "truncate": ("before truncate", ""),
}


def unique_name(table: TableName, columns: UniqueColumns) -> str:
    """Under which name values are kept."""
    return f"{table}({', '.join(columns)})"


def guard_names(columns: UniqueColumns) -> Mapping[str, str]:
    """The names of the triggers, by event."""
    digest = hashlib.blake2b("\0".join(columns).encode(), digest_size=6).hexdigest()
    return {event: f"fluxshard_unique_{digest}_{event}" for event in _EVENTS}


def guard_sql(table: TableName, columns: UniqueColumns) -> Iterator[str]:
    """The statements that set the guards."""
    arguments = ", ".join(map(_literal, (unique_name(table, columns), *columns)))
    for event, name in guard_names(columns).items():
        when, rows = _EVENTS[event]
        yield (
            f"create or replace trigger {name} {when} on {_relation(table)} {rows} "
            f"for each statement execute function fluxshard.note_unique({arguments})"
        )


def unique_names(table: TableName, placement: Placement | None) -> tuple[str, ...]:
    """The names under which the values of a table's globally unique columns are kept."""
    return tuple(unique_name(table, columns) for columns in unique_columns(placement))


def unique_columns(placement: Placement | None) -> tuple[UniqueColumns, ...]:
    """The globally unique columns of a table."""
    return placement.global_unique if isinstance(placement, Sharded) else ()


async def guard(connection: Connection, tables: Mapping[TableName, Placement]) -> None:
    """Set the guards that are missing on one shard, of tables that have no rows there.

    Tables that are not there yet are left out: nobody can write them without guards. Writers wait meanwhile; from then on only those that know of the guards go on.

    Raises:
        MapRefused: Tables have rows whose values nobody has kept.
    """
    wanted = [
        (table, columns)
        for table, placement in sorted(tables.items())
        for columns in unique_columns(placement)
    ]
    if not wanted:
        return
    await install(connection, "global_unique.sql")
    async with connection.transaction():
        problems = []
        for table, columns in wanted:
            if not await _present(connection, _TABLE, _relation(table)):
                continue
            found = {row["name"] for row in await connection.fetch(_GUARDS, _relation(table))}
            if found >= {*guard_names(columns).values()}:
                continue
            for statement in guard_sql(table, columns):
                await connection.execute(statement)
            if await _has_rows(connection, table):
                path = dotted(dotted("tables", table), "global_unique")
                problems.append(
                    Problem(
                        path,
                        f"{', '.join(columns)} cannot become globally unique: the table has rows, "
                        "and this release does not look through them",
                    )
                )
            await _forget(connection, table, columns)
        if problems:
            raise MapRefused(problems)


async def unguard(
    connection: Connection,
    before: Mapping[TableName, Placement],
    after: Mapping[TableName, Placement],
) -> None:
    """Take the guards away on one shard where columns are globally unique no longer."""
    gone = [
        (table, columns)
        for table, placement in sorted(before.items())
        for columns in unique_columns(placement)
        if columns not in unique_columns(after.get(table))
    ]
    if not gone or not await _present(connection, _INSTALLED):
        return
    async with connection.transaction():
        for table, columns in gone:
            if await _present(connection, _TABLE, _relation(table)):
                for name in guard_names(columns).values():
                    await connection.execute(f"drop trigger if exists {name} on {_relation(table)}")
            await _forget(connection, table, columns)


async def _has_rows(connection: Connection, table: TableName) -> bool:
    await connection.execute("set local row_security = off")
    query = f"select exists (select from {_relation(table)}) as present"  # noqa: S608 - quoted
    return await _present(connection, query)


async def _forget(connection: Connection, table: TableName, columns: UniqueColumns) -> None:
    await connection.fetchrow(
        "delete from fluxshard.unique_value where name = $1", unique_name(table, columns)
    )


async def _present(connection: Connection, query: str, *args: object) -> bool:
    row = await connection.fetchrow(query, *args)
    return bool(row is not None and row["present"])


def _relation(table: TableName) -> str:
    schema, _, relation = table.partition(".")
    return f"{_quoted(schema)}.{_quoted(relation)}"


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def _literal(text: str) -> str:
    doubled = text.replace("'", "''")
    return f"'{doubled}'"
