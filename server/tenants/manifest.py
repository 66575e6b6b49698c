"""What an archive of one tenant says of itself: tables with columns, rows and checksums."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final

from server.tenants.errors import ArchiveUnusable
from shardmap import KeyType, TableName, TenantId

FORMAT: Final = "fluxshard tenant 1"
NAME: Final = "manifest.json"


@dataclass(frozen=True, slots=True)
class Column:
    """A column whose values are stored: its type as PostgreSQL writes it."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class TableRows:
    """One table of the archive: rows in COPY's text format, in the order of its columns."""

    table: TableName
    key: str
    """The tenant column."""
    columns: tuple[Column, ...]
    rows: int
    bytes: int
    sha256: str

    @property
    def member(self) -> str:
        """Its name in the archive."""
        return f"tables/{self.table}.copy"


@dataclass(frozen=True, slots=True)
class Manifest:
    """All of an archive. Tables come in the order in which they can be filled."""

    tenant: TenantId
    key_type: KeyType
    cluster_id: str
    map_epoch: int
    exported_at: str
    tables: tuple[TableRows, ...]

    @property
    def fingerprint(self) -> str:
        """Of the tables and their columns, whatever is in them."""
        forms = {one.table: [asdict(column) for column in one.columns] for one in self.tables}
        text = json.dumps(forms, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def write(self) -> bytes:
        """As JSON."""
        document = {
            "format": FORMAT,
            "tenant": self.tenant,
            "key_type": self.key_type.value,
            "cluster_id": self.cluster_id,
            "map_epoch": self.map_epoch,
            "exported_at": self.exported_at,
            "schema": self.fingerprint,
            "tables": [asdict(one) for one in self.tables],
        }
        return json.dumps(document, indent=2).encode()


def read_manifest(text: bytes) -> Manifest:
    """The manifest of an archive.

    Raises:
        ArchiveUnusable: It is none, or not as it was written.
    """
    try:
        document: Any = json.loads(text)
        if document["format"] != FORMAT:
            raise ArchiveUnusable(f"its form is {document['format']}, not {FORMAT}")
        found = Manifest(
            tenant=TenantId(document["tenant"]),
            key_type=KeyType(document["key_type"]),
            cluster_id=document["cluster_id"],
            map_epoch=document["map_epoch"],
            exported_at=document["exported_at"],
            tables=tuple(
                TableRows(
                    **{**one, "columns": tuple(Column(**column) for column in one["columns"])}
                )
                for one in document["tables"]
            ),
        )
        if document["schema"] != found.fingerprint:
            raise ArchiveUnusable("its manifest was changed: the fingerprint does not hold")
    except (ValueError, KeyError, TypeError) as error:
        raise ArchiveUnusable(f"its manifest cannot be read: {error}") from error
    return found


def filling_order(
    tables: Iterable[TableName], references: Iterable[tuple[TableName, TableName]]
) -> tuple[TableName, ...]:
    """Referenced tables before those that refer to them; in a circle by name.

    `references` are pairs of a table and one that a foreign key of it names.
    """
    known = sorted(tables)
    graph: dict[TableName, set[TableName]] = {table: set() for table in known}
    for table, target in references:
        if table != target and table in graph and target in graph:
            graph[table].add(target)
    try:
        return tuple(TopologicalSorter(graph).static_order())
    except CycleError:
        return tuple(known)


def schema_problems(
    manifest: Manifest,
    here: Mapping[TableName, Sequence[Column]],
    keys: Mapping[TableName, str],
) -> Iterator[str]:
    """Where the tables of the database are not those of the archive; rows need a column each."""
    for one in manifest.tables:
        columns = here.get(one.table)
        if columns is None:
            if one.rows:
                yield f"{one.table}: there is no such sharded table, and the archive has rows of it"
            continue
        if keys[one.table] != one.key:
            yield f"{one.table}: is sharded by {keys[one.table]}, in the archive by {one.key}"
        types = {column.name: column.type for column in columns}
        for column in one.columns:
            if column.name not in types:
                yield f"{one.table}: has no column {column.name}"
            elif types[column.name] != column.type:
                yield (
                    f"{one.table}: {column.name} is {types[column.name]}, in the archive"
                    f" {column.type}"
                )
