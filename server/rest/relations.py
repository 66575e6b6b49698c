"""How tables are related: what may be embedded in what, by foreign keys and by junction tables.

A foreign key is a way from its table to its target (many to one), and back (one to many). A table
whose primary key holds two foreign keys joins their targets (many to many). The tenant's column is
part of every key of a sharded table, and of no name: `customer_id` means the key
`(tenant_id, customer_id)`, as it did before the table was sharded.
"""

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import permutations

from router import ForeignKey, Schema, Table
from server.rest.embed_errors import RelationshipAmbiguous, RelationshipMissing, Way
from server.rest.errors import SHOWN_CHARS, SIMILAR
from shardmap import TableName

Pair = tuple[str, str]
"""Two columns that are equal: of the nearer table, and of the farther."""


class Cardinality(StrEnum):
    """How many rows there are on either side; the value is what clients read."""

    MANY_TO_ONE = "many-to-one"
    ONE_TO_MANY = "one-to-many"
    ONE_TO_ONE = "one-to-one"
    MANY_TO_MANY = "many-to-many"


@dataclass(frozen=True, slots=True)
class Junction:
    """The table between two others; `far` are its columns and the target's."""

    table: TableName
    constraints: tuple[str, str]
    far: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class Relationship:
    """One way from a table to another. `pairs` lead to the target, or to the junction."""

    source: TableName
    target: TableName
    cardinality: Cardinality
    constraint: str
    pairs: tuple[Pair, ...]
    outward: bool = False
    """The source holds the foreign key."""
    junction: Junction | None = None

    @property
    def single(self) -> bool:
        """Whether a row has at most one related row."""
        return self.cardinality in {Cardinality.MANY_TO_ONE, Cardinality.ONE_TO_ONE}


TenantColumn = Callable[[TableName], str | None]
"""The tenant column of a sharded table; None for other tables."""


class Relations:
    """All relationships of one schema, by the table that they lead from."""

    def __init__(self, schema: Schema, tenant_column: TenantColumn) -> None:
        self._schema = schema
        self._tenant_column = tenant_column
        self._by_source: dict[TableName, list[Relationship]] = {}
        for table in schema.tables.values():
            for each in _of_keys(table):
                self._add(each)
            for each in _of_junction(table):
                self._add(each)

    def table(self, name: TableName) -> Table:
        """The table of that name, which a relationship named."""
        return self._schema.tables[name]

    def target(self, relationship: Relationship) -> Table:
        """The table that the relationship leads to."""
        return self._schema.tables[relationship.target]

    def find(self, source: Table, relation: str, hint: str | None) -> Relationship:
        """The one way from the table to what the client named.

        Raises:
            RelationshipMissing: There is none.
            RelationshipAmbiguous: There are several, and no hint that says which.
        """
        ways = self._by_source.get(source.name, [])
        found = [way for way in ways if self._named(way, relation, hint)]
        if len(found) == 1:
            return found[0]
        if not found:
            raise RelationshipMissing(
                source.relation, relation, source.schema, hint, self._suggestion(ways, relation)
            )
        raise RelationshipAmbiguous(
            source.relation, relation, [self._told(way, source) for way in found]
        )

    def _add(self, way: Relationship) -> None:
        target = self._schema.tables.get(way.target)
        if target is not None and target.schema == self._schema.tables[way.source].schema:
            self._by_source.setdefault(way.source, []).append(way)

    def _named(self, way: Relationship, relation: str, hint: str | None) -> bool:
        """Whether the client may mean it, by the rules that PostgREST has."""
        is_target = self._schema.tables[way.target].relation == relation
        if way.target == way.source and way.junction is None:
            by_column = self._column(way)
            if hint is None:
                return by_column == relation if way.outward else is_target
            return is_target and hint == (by_column if way.outward else way.constraint)
        if hint is None:
            by_key = way.outward and relation in {way.constraint, self._column(way)}
            return is_target or by_key
        if not is_target:
            return False
        if way.junction is not None:
            return hint == self._schema.tables[way.junction.table].relation
        return hint in {way.constraint, self._column(way), self._far_column(way)}

    def _column(self, way: Relationship) -> str | None:
        """The one column of the source that the way goes by, but for the tenant's."""
        tenant = self._tenant_column(way.source)
        names = [near for near, _ in way.pairs if near != tenant]
        return names[0] if len(names) == 1 else None

    def _far_column(self, way: Relationship) -> str | None:
        tenant = self._tenant_column(way.target)
        names = [far for _, far in way.pairs if far != tenant]
        return names[0] if len(names) == 1 else None

    def _suggestion(self, ways: list[Relationship], relation: str) -> str | None:
        names = {self._schema.tables[way.target].relation for way in ways}
        close = difflib.get_close_matches(relation[:SHOWN_CHARS], sorted(names), 1, SIMILAR)
        return close[0] if close and close[0] != relation else None

    def _told(self, way: Relationship, source: Table) -> Way:
        target = self._schema.tables[way.target].relation
        near = ", ".join(column for column, _ in way.pairs)
        far = ", ".join(column for _, column in way.pairs)
        if way.junction is None:
            told = f"{way.constraint} using {source.relation}({near}) and {target}({far})"
            hint = way.constraint
        else:
            between = ", ".join(column for column, _ in way.junction.far)
            first, second = way.junction.constraints
            hint = self._schema.tables[way.junction.table].relation
            told = f"{hint} using {first}({far}) and {second}({between})"
        return Way(way.cardinality.value, f"{source.relation} with {target}", told, hint)


def _of_keys(table: Table) -> Iterator[Relationship]:
    keys: Mapping[str, ForeignKey] = {key.name: key for key in table.foreign_keys}
    for key in keys.values():
        unique = _unique(table, key.columns)
        pairs = tuple(zip(key.columns, key.target_columns, strict=True))
        back = tuple((far, near) for near, far in pairs)
        out_kind = Cardinality.ONE_TO_ONE if unique else Cardinality.MANY_TO_ONE
        back_kind = Cardinality.ONE_TO_ONE if unique else Cardinality.ONE_TO_MANY
        yield Relationship(table.name, key.target, out_kind, key.name, pairs, outward=True)
        yield Relationship(key.target, table.name, back_kind, key.name, back)


def _of_junction(table: Table) -> Iterator[Relationship]:
    key = set(table.primary_key)
    within = [each for each in table.foreign_keys if key and set(each.columns) <= key]
    for near, far in permutations(within, 2):
        yield Relationship(
            near.target,
            far.target,
            Cardinality.MANY_TO_MANY,
            near.name,
            tuple(zip(near.target_columns, near.columns, strict=True)),
            junction=Junction(
                table.name,
                (near.name, far.name),
                tuple(zip(far.columns, far.target_columns, strict=True)),
            ),
        )


def _unique(table: Table, columns: tuple[str, ...]) -> bool:
    """Whether no two rows of the table share these columns' values."""
    keys = (table.primary_key, *table.uniques)
    return any(key and set(key) <= set(columns) for key in keys)
