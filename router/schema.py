"""What PostgreSQL's catalogs say about tables, frozen for one schema version."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from router.analysis.functions import BUILT_IN, Functions
from router.errors import SchemasDiffer, ShardDown
from router.routines import Routine
from shardmap import CATALOG, TableName


class Kind(StrEnum):
    """`pg_class.relkind` of what can be selected from."""

    TABLE = "r"
    PARTITIONED = "p"
    VIEW = "v"
    MATERIALIZED_VIEW = "m"
    FOREIGN = "f"


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `type` is the base type's SQL name without modifiers, fit for a cast.

    (`int4`, `"public"."mood"`, `text[]`; a domain gives its base type.) `mergeable` is true when
    values of two shards can be ordered outside PostgreSQL: numbers, booleans, dates, times,
    uuid, bytea, and text in a collation that orders by bytes.
    """

    name: str
    type: str
    not_null: bool
    has_default: bool
    generated: bool
    """GENERATED ALWAYS, stored or identity: never written by clients."""
    array: bool
    category: str
    """`pg_type.typcategory`: N numeric, S string, D date/time, B boolean, A array, U user …"""
    mergeable: bool
    identity: bool = False
    """GENERATED ALWAYS AS IDENTITY: generated, and copied all the same."""
    domain: bool = False
    """Of a domain, which may forbid NULL by itself."""


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key by its constraint's name: `columns` of a table refer to `target_columns`."""

    name: str
    columns: tuple[str, ...]
    target: TableName
    target_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """One table or view. Columns are in their order in the table."""

    name: TableName
    schema: str
    relation: str
    kind: Kind
    columns: Mapping[str, Column]
    primary_key: tuple[str, ...]
    uniques: tuple[tuple[str, ...], ...]
    rls: bool
    """Row level security is enabled."""
    triggered: bool
    """User triggers or rules exist, so a write may run code that reads the claims."""
    computed_defaults: bool
    """A default or generated column calls something beyond immutable built-ins."""
    constraints: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The columns of unique and exclusion constraints, by name."""
    partitions: tuple[TableName, ...] = ()
    """The tables that hold its rows, if it is partitioned."""
    definition: str | None = None
    """The SELECT of a view."""
    foreign_keys: tuple[ForeignKey, ...] = ()
    """In order of name."""
    computed: Mapping[str, Routine] = field(default_factory=dict)
    """Functions of one of its rows, by name."""

    @property
    def writable(self) -> bool:
        """Whether rows can be inserted, updated and deleted through the API."""
        return self.kind in {Kind.TABLE, Kind.PARTITIONED}


@dataclass(frozen=True, slots=True)
class Schema:
    """All tables of the exposed schemas, and what their views are made of in others.

    `version` changes whenever anything in it does.
    """

    version: str
    tables: Mapping[TableName, Table]
    exposed: tuple[str, ...] = ("public",)
    """Names of the schemas that clients may use; the first is the default."""
    unread: frozenset[TableName] = frozenset()
    """Tables that the catalog should have, which was away ever since this process began."""
    functions: Functions = field(default_factory=lambda: BUILT_IN)
    differing: Mapping[TableName, str] = field(default_factory=dict)
    """Tables that the shards do not agree on, and in what."""
    routines: Mapping[tuple[str, str], tuple[Routine, ...]] = field(default_factory=dict)
    """The functions of the exposed schemas that every shard has, by schema and name."""
    aware: bool = False
    """Code of users may ask for settings of a request, or set those of its response."""

    def table(self, name: TableName) -> Table | None:
        """The table of that full name, or None.

        Raises:
            ShardDown: Whether it is there, and what it is like, could not be read yet.
            SchemasDiffer: The shards contradict each other about it.
        """
        if name in self.unread:
            raise ShardDown(CATALOG, f"table {name} is not known yet: the catalog is away")
        if name in self.differing:
            raise SchemasDiffer(
                CATALOG,
                f"the shards do not agree on table {name}: {self.differing[name]}",
            )
        return self.tables.get(name)

    def partitioned(self, name: TableName) -> TableName | None:
        """The table of which this is a partition, or None."""
        return next((each.name for each in self.tables.values() if name in each.partitions), None)
