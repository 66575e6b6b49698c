"""The tables that move together: every sharded table of the map, and whose rows of them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from shardmap import KeyType, Sharded, ShardMap, TableName, TenantId

KEYS: Final = TableName("fluxshard.write_key")
"""Records of idempotency keys go with their tenant, or a repeated write would be done twice."""


class Row(Protocol):
    """A row of `tables.sql`."""

    def __getitem__(self, column: str, /) -> Any:
        """The value of a column."""
        ...


@dataclass(frozen=True, slots=True)
class Leaf:
    """A table that has rows itself, and what of an old row reaches its log."""

    name: str
    whole: bool
    nothing: bool
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the group on one server."""

    name: TableName
    tenant: str
    """Its tenant column."""
    kind: str
    logged: bool
    columns: tuple[tuple[str, str, bool], ...]
    """Name, type and whether it is NOT NULL, without generated columns, in order of name."""
    leaves: tuple[Leaf, ...]
    bytes: int
    estimate: int
    """Rows of all tenants, as PostgreSQL last counted them."""
    may_write: bool
    owned: bool

    @property
    def relation(self) -> str:
        """Its quoted name."""
        return relation(self.name)

    @property
    def identity(self) -> tuple[str, ...]:
        """Columns that tell rows apart; all of them where the log has whole rows."""
        found = next((leaf.columns for leaf in self.leaves if leaf.columns), ())
        return found or tuple(name for name, _, _ in self.columns)


def sharded_tables(shard_map: ShardMap) -> dict[TableName, str]:
    """The tables of the group with their tenant columns, in order of name."""
    return {
        name: placement.column
        for name, placement in sorted(shard_map.tables.items())
        if isinstance(placement, Sharded)
    }


def read_tables(rows: Iterable[Row], columns: Mapping[TableName, str]) -> dict[TableName, Table]:
    """The tables of one server, from the rows of `tables.sql`."""
    return {
        TableName(row["name"]): Table(
            name=TableName(row["name"]),
            tenant=columns[TableName(row["name"])],
            kind=row["kind"],
            logged=row["logged"],
            columns=tuple((name, kind, full) for name, kind, full in json.loads(row["columns"])),
            leaves=tuple(
                Leaf(leaf["leaf"], leaf["whole"], leaf["nothing"], tuple(leaf["columns"]))
                for leaf in json.loads(row["identities"])
            ),
            bytes=row["bytes"],
            estimate=row["estimate"],
            may_write=row["may_write"],
            owned=row["owned"],
        )
        for row in rows
    }


def whose(column: str, tenants: Sequence[TenantId], key_type: KeyType) -> str:
    """The condition that a row is one of these tenants'; a publication may have it as a filter."""
    listed = ", ".join(f"{literal(tenant)}::{_CAST[key_type]}" for tenant in tenants)
    if not tenants:
        return "false"
    if len(tenants) == 1:
        return f"{quoted(column)} = {listed}"
    return f"{quoted(column)} IN ({listed})"


_CAST: Final = {KeyType.INTEGER: "bigint", KeyType.UUID: "uuid", KeyType.TEXT: "text"}


def relation(table: TableName) -> str:
    """The table's name, quoted."""
    schema, _, name = table.partition(".")
    return f"{quoted(schema)}.{quoted(name)}"


def quoted(name: str) -> str:
    """A name in SQL."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def literal(text: str) -> str:
    """A text in SQL, whatever `standard_conforming_strings` says."""
    doubled = text.replace("'", "''")
    if "\\" in doubled:
        escaped = doubled.replace("\\", "\\\\")
        return f"E'{escaped}'"
    return f"'{doubled}'"
