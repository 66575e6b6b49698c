"""Which table goes where, by its columns and foreign keys, and what of it has to change first.

A table with the tenant column is sharded by it; one whose foreign key leads to the tenants' own
table is sharded by that column; one that refers to a sharded table belongs to its tenant as well, and
lacks the column. Whatever refers to nobody's rows is a reference table.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shardmap import (
    Facts,
    KeyType,
    MapRefused,
    Placement,
    Problem,
    Reference,
    Sharded,
    TableName,
)

NAMES: Final = (
    "tenant_id",
    "organization_id",
    "organisation_id",
    "org_id",
    "account_id",
    "company_id",
    "workspace_id",
    "team_id",
    "customer_id",
    "client_id",
)
"""What applications call it, the clearest first: it decides between as many tables."""
_KEY_TYPES: Final = {
    "smallint": KeyType.INTEGER,
    "integer": KeyType.INTEGER,
    "bigint": KeyType.INTEGER,
    "uuid": KeyType.UUID,
    "text": KeyType.TEXT,
    "character varying": KeyType.TEXT,
}


@dataclass(frozen=True, slots=True)
class Lacking:
    """A table that belongs to tenants and has no column that says so; its parent has."""

    table: TableName
    parent: TableName
    pairs: tuple[tuple[str, str], ...]
    """Its columns, and those of the parent that they name."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """What is proposed for a database."""

    column: str
    type: str
    key_type: KeyType
    tenants: TableName | None
    """The table of the tenants themselves."""
    tables: Mapping[TableName, Placement]
    lacking: tuple[Lacking, ...]
    """In the order in which their columns can be filled."""


def propose_adoption(facts: Facts, column: str | None = None) -> Adoption:
    """Placements for all tables of a database. `column`: what the tenant column is called.

    Raises:
        MapRefused: No column is found, or its type is none of tenant keys.
    """
    columns = {(TableName(one.table), one.name): one.type for one in facts.columns}
    tables = sorted({table for table, _ in columns})
    name = column or _column(columns)
    having = [table for table in tables if (table, name) in columns]
    if not having:
        raise MapRefused([Problem("tables", f"no table has a column {name}")])
    kind = columns[having[0], name]
    if kind not in _KEY_TYPES:
        raise MapRefused([Problem(f"tables.{having[0]}", f"{name} is {kind}, no tenant key")])
    tenants = _tenants(facts, name)
    placed: dict[TableName, Placement] = {table: Sharded(name) for table in having}
    if tenants is not None and tenants[0] not in placed:
        placed[tenants[0]] = Sharded(tenants[1])
    for key in facts.foreign_keys:
        table = TableName(key.table)
        if tenants is not None and TableName(key.target) == tenants[0] and len(key.columns) == 1:
            placed.setdefault(table, Sharded(key.columns[0][0]))
    lacking = []
    found = True
    while found:
        found = False
        for key in facts.foreign_keys:
            table, parent = TableName(key.table), TableName(key.target)
            if table not in placed and parent in placed:
                lacking.append(Lacking(table, parent, tuple(key.columns)))
                placed[table] = Sharded(name)
                found = True
    for table in tables:
        placed.setdefault(table, Reference())
    return Adoption(
        name,
        kind,
        _KEY_TYPES[kind],
        tenants[0] if tenants is not None else None,
        dict(sorted(placed.items())),
        tuple(lacking),
    )


def migration(adoption: Adoption, facts: Facts) -> str:
    """SQL that gives every table its tenant column, in keys and foreign keys as well.

    Unique indexes are left to decide: whether a value is unique for a tenant or for everybody only
    the application knows.
    """
    steps = [*_columns_added(adoption), *_foreign_keys_dropped(adoption, facts)]
    steps += [*_keys_replaced(adoption, facts), *_foreign_keys_added(adoption, facts)]
    steps += list(_decisions(adoption, facts))
    return "".join(f"{step}\n" for step in steps)


def _column(columns: Mapping[tuple[TableName, str], str]) -> str:
    counts = Counter(name for _, name in columns if name in NAMES)
    if not counts:
        known = ", ".join(NAMES)
        message = f"none has a column such as {known}: say --tenant-column"
        raise MapRefused([Problem("tables", message)])
    return min(counts, key=lambda name: (-counts[name], NAMES.index(name)))


def _tenants(facts: Facts, name: str) -> tuple[TableName, str] | None:
    """The table whose key the tenant columns name, with that key."""
    counts = Counter(
        (TableName(key.target), key.columns[0][1])
        for key in facts.foreign_keys
        if len(key.columns) == 1 and key.columns[0][0] == name
    )
    return min(counts, key=lambda one: (-counts[one], one)) if counts else None


def _columns_added(adoption: Adoption) -> Iterator[str]:
    for one in adoption.lacking:
        parent = adoption.tables[one.parent]
        key = parent.column if isinstance(parent, Sharded) else adoption.column
        table, column = _table(one.table), _quoted(adoption.column)
        same = " and ".join(f"t.{_quoted(mine)} = p.{_quoted(its)}" for mine, its in one.pairs)
        yield f"alter table {table} add column {column} {adoption.type};"
        yield (
            f"update {table} t set {column} = p.{_quoted(key)}"  # noqa: S608 - quoted
            f" from {_table(one.parent)} p where {same};"
        )
        yield f"alter table {table} alter column {column} set not null;"


def _foreign_keys_dropped(adoption: Adoption, facts: Facts) -> Iterator[str]:
    for table, name, _, _ in _single(adoption, facts):
        yield f"alter table {_table(table)} drop constraint {_quoted(name)};"


def _keys_replaced(adoption: Adoption, facts: Facts) -> Iterator[str]:
    for key in facts.keys:
        table = TableName(key.table)
        placement = adoption.tables.get(table)
        if (
            isinstance(placement, Sharded)
            and key.kind.value == "primary key"
            and placement.column not in key.columns
        ):
            columns = ", ".join(map(_quoted, (placement.column, *key.columns)))
            yield (
                f"alter table {_table(table)} drop constraint {_quoted(key.name)},"
                f" add primary key ({columns});"
            )


def _foreign_keys_added(adoption: Adoption, facts: Facts) -> Iterator[str]:
    for table, name, target, pairs in _single(adoption, facts):
        mine, its = adoption.tables[table], adoption.tables[target]
        if isinstance(mine, Sharded) and isinstance(its, Sharded):
            both = ((mine.column, its.column), *pairs)
            columns = ", ".join(_quoted(one) for one, _ in both)
            targets = ", ".join(_quoted(one) for _, one in both)
            yield (
                f"alter table {_table(table)} add constraint {_quoted(name)}"
                f" foreign key ({columns}) references {_table(target)} ({targets});"
            )


def _single(
    adoption: Adoption, facts: Facts
) -> Iterator[tuple[TableName, str, TableName, Sequence[tuple[str, str]]]]:
    """Foreign keys between sharded tables that do not pair both tenant columns."""
    for key in facts.foreign_keys:
        table, target = TableName(key.table), TableName(key.target)
        mine, its = adoption.tables.get(table), adoption.tables.get(target)
        if isinstance(mine, Sharded) and isinstance(its, Sharded):
            pairs = tuple(key.columns)
            if (mine.column, its.column) not in pairs:
                yield table, key.name, target, pairs


def _decisions(adoption: Adoption, facts: Facts) -> Iterator[str]:
    for key in facts.keys:
        placement = adoption.tables.get(TableName(key.table))
        if (
            isinstance(placement, Sharded)
            and key.kind.value != "primary key"
            and placement.column not in key.columns
        ):
            columns = ", ".join(key.columns)
            yield (
                f"-- decide: {key.kind.value} {key.name} on {key.table} ({columns}): make it"
                f" ({placement.column}, {columns}), or say global_unique in the map"
            )


def _table(table: TableName) -> str:
    schema, _, name = table.partition(".")
    return f"{_quoted(schema)}.{_quoted(name)}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
