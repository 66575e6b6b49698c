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
from shardmap.fields import suggestion
from shardmap.findings import Finding, Rule
from shardmap.global_unique import guard_names, guard_sql
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
_MAKERS: Final = (
    "fluxshard.next_id()",
    "fluxshard.next_js_id()",
    "gen_random_uuid()",
    "uuidv4()",
    "uuidv7()",
    "uuid_generate_v",
)
"""What a default calls to make ids that are unique in the whole cluster."""
_COMPARED_AS_TEXT: Final = (
    "text",
    "character varying",
    "smallint",
    "integer",
    "bigint",
    "uuid",
)
"""Types whose values are equal exactly when their texts are, whatever a session's settings."""
NEXT_ID: Final = "fluxshard.next_id()"


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
    limited: bool = False
    """The type has a modifier, such as a length."""
    row_security: bool = True
    """Row level security is enabled for its table."""
    default: str = ""
    """The expression of its default, if it has one."""


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
class SequenceFact:
    """A sequence that numbers a column. `last`: the value it gave last, None if that is not known."""

    table: TableName
    column: str
    name: str
    type: str
    """The column's."""
    identity: bool
    start: int
    increment: int
    least: int
    most: int
    last: int | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the checks need of one database."""

    columns: tuple[ColumnFact, ...]
    keys: tuple[KeyFact, ...]
    foreign_keys: tuple[ForeignKeyFact, ...]
    sequences: tuple[SequenceFact, ...] = ()
    guards: frozenset[tuple[TableName, str]] = frozenset()
    """Tables with the names of their triggers for globally unique columns."""


async def read_facts(connection: Connection, tables: Sequence[TableName]) -> Facts:
    """What the database's catalogs say about these tables. Five queries."""
    names = list(tables)
    columns = await connection.fetch(query("inspection_columns.sql"), names)
    keys = await connection.fetch(query("inspection_keys.sql"), names)
    foreign_keys = await connection.fetch(query("inspection_foreign_keys.sql"), names)
    sequences = await connection.fetch(query("inspection_sequences.sql"), names)
    guards = await connection.fetch(query("inspection_guards.sql"), names)
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
        sequences=tuple(SequenceFact(**dict(row.items())) for row in sequences),
        guards=frozenset((row["table"], row["name"]) for row in guards),
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


def table_findings(shard_map: ShardMap, shard: ShardId, facts: Facts) -> tuple[Finding, ...]:
    """What is wrong with the map's tables in the database of one shard, or the catalog's."""
    findings: list[Finding] = []
    for table in tables_of(shard_map, shard):
        columns = {column.name: column for column in facts.columns if column.table == table}
        path = dotted("tables", table)
        if not columns:
            findings.append(Finding(Rule.TABLE_MISSING, path, "there is no such table"))
            continue
        match shard_map.tables[table]:
            case Sharded() as placement:
                findings += _Sharded(shard_map, table, placement, columns, facts, path).findings()
            case Reference():
                findings += _reference(shard_map, table, facts, path)
            case Global() | Unsharded():
                continue
    return tuple(findings)


@dataclass(frozen=True, slots=True)
class _Sharded:
    """One sharded table in one database."""

    shard_map: ShardMap
    table: TableName
    placement: Sharded
    columns: Mapping[str, ColumnFact]
    facts: Facts
    path: str

    def findings(self) -> Iterator[Finding]:
        """Everything that is wrong with it."""
        tenant = self.placement.column
        column = self.columns.get(tenant)
        if column is None:
            close = suggestion(tenant, list(self.columns))
            yield self._found(Rule.TENANT_COLUMN_MISSING, f"has no column {tenant}{close}")
            return
        yield from self._tenant_column(column)
        for key in self.facts.keys:
            if key.table == self.table and not self._told_apart(key):
                yield self._spanning(key)
        for foreign_key in self.facts.foreign_keys:
            if foreign_key.table == self.table:
                yield from self._foreign_key(foreign_key)
        yield from self._unique_ids()
        for names in self.placement.global_unique:
            yield from self._global_unique(names)
        if column.relkind in _STORED and not column.row_security:
            yield self._found(
                Rule.ROW_SECURITY_OFF,
                "row level security is off, so what the router adds is the only lock",
                f"alter table {self.table} enable row level security; and a policy on "
                f"auth.tenant() = {tenant}::text",
            )

    def _found(self, rule: Rule, message: str, hint: str = "") -> Finding:
        return Finding(rule, self.path, message, hint)

    def _tenant_column(self, column: ColumnFact) -> Iterator[Finding]:
        key_type, wanted = self.shard_map.key_type, _TYPES[self.shard_map.key_type]
        name = column.name
        if column.type not in wanted:
            yield self._found(
                Rule.TENANT_COLUMN_TYPE,
                f"{name} is {column.type}; a tenant key of type {key_type} is "
                f"{' or '.join(wanted)}",
                f"alter table {self.table} alter {name} type {wanted[0]}",
            )
        elif column.limited:
            yield self._found(
                Rule.TENANT_COLUMN_TYPE,
                f"{name} has a limited length, which cuts spaces off: the key stored is another",
                f"alter table {self.table} alter {name} type {wanted[0]}",
            )
        if not column.by_bytes:
            yield self._found(
                Rule.TENANT_COLUMN_COLLATION,
                f"{name} has a nondeterministic collation; tenant keys are compared byte for byte",
                f'alter table {self.table} alter {name} type {column.type} collate "C"',
            )
        if column.relkind in _STORED and not column.not_null:
            yield self._found(
                Rule.TENANT_COLUMN_NULL,
                f"{name} may be NULL: alter table {self.table} alter {name} set not null",
            )

    def _told_apart(self, key: KeyFact) -> bool:
        """Whether rows of two tenants can never meet in the key."""
        return self.placement.column in key.columns or any(
            {*names} <= {*key.columns}
            for names in (*self.placement.unique_ids, *self.placement.global_unique)
        )

    def _spanning(self, key: KeyFact) -> Finding:
        tenant = self.placement.column
        columns = ", ".join((tenant, *key.columns))
        hint = f"make it ({columns})" if key.columns else f"make {tenant} its first column"
        if key.columns and key.kind is not KeyKind.EXCLUSION:
            listed = ", ".join(key.columns)
            nested = listed if len(key.columns) == 1 else f"[{listed}]"
            hint += (
                f"; or, if its values are made unique (default {NEXT_ID}, or a random uuid), "
                f"say so in the map: unique_ids: [{nested}]"
            )
        return self._found(
            Rule.KEY_SPANS_TENANTS,
            f"the {key.kind} {key.name} does not contain {tenant}, so it spans tenants",
            hint,
        )

    def _foreign_key(self, foreign_key: ForeignKeyFact) -> Iterator[Finding]:
        tenant, name, target = self.placement.column, foreign_key.name, foreign_key.target
        match self.shard_map.tables.get(target):
            case Sharded(other):
                if (tenant, other) not in foreign_key.columns:
                    ours = ", ".join((tenant, *(a for a, _ in foreign_key.columns if a != tenant)))
                    theirs = ", ".join((other, *(b for _, b in foreign_key.columns if b != other)))
                    yield self._found(
                        Rule.FOREIGN_KEY_SPANS_TENANTS,
                        f"the foreign key {name} does not tie {tenant} to {target}.{other}, "
                        f"so it spans tenants",
                        f"make it foreign key ({ours}) references {target} ({theirs})",
                    )
            case Reference():
                pass
            case placement:
                yield self._found(
                    Rule.FOREIGN_KEY_LEAVES_SHARD,
                    f"the foreign key {name} refers to {target}, which is not on the tenant's shard",
                    _leaving(name, target, placement),
                )

    def _unique_ids(self) -> Iterator[Finding]:
        for names in self.placement.unique_ids:
            path = dotted(self.path, "unique_ids")
            missing = [name for name in names if name not in self.columns]
            if missing:
                close = suggestion(missing[0], list(self.columns))
                message = f"there is no column {missing[0]}{close}"
                yield Finding(Rule.UNIQUE_ID_MISSING, path, message)
            elif not any(
                maker in self.columns[name].default for name in names for maker in _MAKERS
            ):
                listed = ", ".join(names)
                yield Finding(
                    Rule.IDS_BY_CLIENTS,
                    path,
                    f"nothing makes the values of {listed}: two shards may have the same",
                    f"alter table {self.table} alter {names[-1]} set default {NEXT_ID}",
                )

    def _global_unique(self, names: tuple[str, ...]) -> Iterator[Finding]:
        path = dotted(self.path, "global_unique")
        for name in names:
            column = self.columns.get(name)
            if column is None:
                message = f"there is no column {name}{suggestion(name, list(self.columns))}"
                yield Finding(Rule.GLOBAL_UNIQUE_COLUMN, path, message)
            elif column.relkind not in _STORED:
                yield Finding(Rule.GLOBAL_UNIQUE_COLUMN, path, "only tables can have it")
            elif column.type not in _COMPARED_AS_TEXT or not column.by_bytes:
                yield Finding(
                    Rule.GLOBAL_UNIQUE_COLUMN,
                    path,
                    f"{name} is {column.type}: equal values may have different texts",
                    f"take a column of type {', '.join(_COMPARED_AS_TEXT)}",
                )
        wanted = {(self.table, name) for name in guard_names(names).values()}
        if not wanted <= self.facts.guards:
            yield Finding(
                Rule.GLOBAL_UNIQUE_UNGUARDED,
                path,
                f"{', '.join(names)} is not guarded yet: `map apply` does it, while the table is empty",
                "\n".join(f"{statement};" for statement in guard_sql(self.table, names)),
            )


def _reference(shard_map: ShardMap, table: TableName, facts: Facts, path: str) -> Iterator[Finding]:
    for foreign_key in facts.foreign_keys:
        target = shard_map.tables.get(foreign_key.target)
        if foreign_key.table == table and not isinstance(target, Reference):
            yield Finding(
                Rule.FOREIGN_KEY_LEAVES_SHARD,
                path,
                f"the foreign key {foreign_key.name} refers to {foreign_key.target}, "
                f"which is not on every shard",
                _leaving(foreign_key.name, foreign_key.target, target),
            )


def _leaving(name: str, target: TableName, placement: Placement | None) -> str:
    if placement is None:
        return f"drop {name}, or list {target} in the map as reference"
    return f"drop {name}, or make {target} a reference table"
