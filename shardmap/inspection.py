"""What a shard's own catalogs say about the tables of a map, and what is wrong with that.

Every key of a sharded table has to contain the tenant column: a unique index or foreign key that
spans tenants tells one tenant of another's ids, row level security or not, and makes rows collide
when tenants move. Reference tables may only depend on tables that are on every shard.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from shardmap.connection import Connection, query
from shardmap.errors import Problem
from shardmap.fields import suggestion
from shardmap.ids import CATALOG, KeyType, ShardId
from shardmap.map import ShardMap
from shardmap.markup import dotted
from shardmap.placement import Global, Placement, Reference, Sharded, TableName, Unsharded

_TYPES: Final[Mapping[KeyType, tuple[str, ...]]] = {
    KeyType.INTEGER: ("smallint", "integer", "bigint"),
    KeyType.UUID: ("uuid",),
    KeyType.TEXT: ("text", "character varying"),
}
"""Types whose values have one canonical text each; `char(n)` and `citext` do not."""
_STORED: Final = ("r", "p")
"""`pg_class.relkind` of tables with rows and constraints; views have neither."""


class KeyKind(StrEnum):
    """What makes rows unique."""

    PRIMARY = "primary key"
    UNIQUE = "unique index"
    EXCLUSION = "exclusion constraint"


@dataclass(frozen=True, slots=True)
class ColumnFact:
    """A column. `type` is the base type without modifiers."""

    table: TableName
    relkind: str
    name: str
    type: str
    not_null: bool
    by_bytes: bool
    """Equal values are equal byte for byte: no nondeterministic collation."""


@dataclass(frozen=True, slots=True)
class KeyFact:
    """A unique index, or an exclusion constraint, of a table or one of its partitions.

    `columns` are those compared for equality; expressions are left out.
    """

    table: TableName
    name: str
    kind: KeyKind
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ForeignKeyFact:
    """A foreign key, its columns paired with those it refers to."""

    table: TableName
    name: str
    target: TableName
    columns: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the checks need of one database."""

    columns: tuple[ColumnFact, ...]
    keys: tuple[KeyFact, ...]
    foreign_keys: tuple[ForeignKeyFact, ...]


async def read_facts(connection: Connection, tables: Sequence[TableName]) -> Facts:
    """What the database's catalogs say about these tables. Three queries."""
    names = list(tables)
    columns = await connection.fetch(query("inspection_columns.sql"), names)
    keys = await connection.fetch(query("inspection_keys.sql"), names)
    foreign_keys = await connection.fetch(query("inspection_foreign_keys.sql"), names)
    return Facts(
        columns=tuple(ColumnFact(**dict(row.items())) for row in columns),
        keys=tuple(
            KeyFact(row["table"], row["name"], KeyKind(row["kind"]), tuple(row["columns"]))
            for row in keys
        ),
        foreign_keys=tuple(
            ForeignKeyFact(
                row["table"],
                row["name"],
                row["target"],
                tuple(zip(row["columns"], row["target_columns"], strict=True)),
            )
            for row in foreign_keys
        ),
    )


def tables_of(shard_map: ShardMap, shard: ShardId) -> tuple[TableName, ...]:
    """The listed tables that have to be in a shard's database, or in the catalog's."""
    in_catalog = shard == CATALOG
    return tuple(
        sorted(
            name
            for name, placement in shard_map.tables.items()
            if isinstance(placement, Global) == in_catalog
        )
    )


def table_problems(shard_map: ShardMap, shard: ShardId, facts: Facts) -> tuple[Problem, ...]:
    """What is wrong with the map's tables in the database of one shard, or the catalog's."""
    problems: list[Problem] = []
    for table in tables_of(shard_map, shard):
        columns = {column.name: column for column in facts.columns if column.table == table}
        path = dotted("tables", table)
        if not columns:
            problems.append(Problem(path, "there is no such table"))
            continue
        placement = shard_map.tables[table]
        match placement:
            case Sharded(column):
                found = _sharded(shard_map, table, column, columns, facts)
            case Reference():
                found = _reference(shard_map, table, facts)
            case Global() | Unsharded():
                continue
        problems += [Problem(path, message) for message in found]
    return tuple(problems)


def merged(found: Mapping[ShardId, Sequence[Problem]]) -> tuple[Problem, ...]:
    """The problems of several databases, each said once with the shards that have it."""
    shards: dict[Problem, list[str]] = {}
    for shard, problems in found.items():
        for problem in problems:
            shards.setdefault(problem, []).append(shard)
    return tuple(
        Problem(problem.path, f"{problem.message} (on {', '.join(names)})")
        for problem, names in shards.items()
    )


def _sharded(
    shard_map: ShardMap,
    table: TableName,
    tenant: str,
    columns: Mapping[str, ColumnFact],
    facts: Facts,
) -> Iterator[str]:
    column = columns.get(tenant)
    if column is None:
        yield f"has no column {tenant}{suggestion(tenant, list(columns))}"
        return
    wanted = _TYPES[shard_map.key_type]
    if column.type not in wanted:
        yield (
            f"{tenant} is {column.type}; a tenant key of type {shard_map.key_type} is "
            f"{' or '.join(wanted)}"
        )
    if not column.by_bytes:
        yield f"{tenant} has a nondeterministic collation; tenant keys are compared byte for byte"
    if column.relkind in _STORED and not column.not_null:
        yield f"{tenant} may be NULL: alter table {table} alter {tenant} set not null"
    for key in facts.keys:
        if key.table == table and tenant not in key.columns:
            yield f"the {key.kind} {key.name} does not contain {tenant}, so it spans tenants"
    for foreign_key in facts.foreign_keys:
        if foreign_key.table == table:
            yield from _sharded_reference(shard_map.tables, tenant, foreign_key)


def _sharded_reference(
    tables: Mapping[TableName, Placement], tenant: str, foreign_key: ForeignKeyFact
) -> Iterator[str]:
    name, target = foreign_key.name, foreign_key.target
    match tables.get(target):
        case Sharded(other):
            if (tenant, other) not in foreign_key.columns:
                yield (
                    f"the foreign key {name} does not tie {tenant} to {target}.{other}, "
                    f"so it spans tenants"
                )
        case Reference():
            pass
        case Global() | Unsharded() | None:
            yield f"the foreign key {name} refers to {target}, which is not on the tenant's shard"


def _reference(shard_map: ShardMap, table: TableName, facts: Facts) -> Iterator[str]:
    for foreign_key in facts.foreign_keys:
        target = shard_map.tables.get(foreign_key.target)
        if foreign_key.table == table and not isinstance(target, Reference):
            yield (
                f"the foreign key {foreign_key.name} refers to {foreign_key.target}, "
                f"which is not on every shard"
            )
