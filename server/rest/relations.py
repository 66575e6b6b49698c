"""How tables are related: what may be embedded in what, by foreign keys and by junction tables.

A foreign key is a way from its table to its target (many to one), and back (one to many). A table
whose primary key holds two foreign keys joins their targets (many to many). The tenant's column is
part of every key of a sharded table, and of no name: `customer_id` means the key
`(tenant_id, customer_id)`, as it did before the table was sharded. A view has the keys of the tables
whose columns it shows. A function of a row that gives rows of a table is a way to it as well.
"""

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import permutations

from router import ForeignKey, Routine, Schema, Table, view_columns
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
    function: Routine | None = None
    """What gives the related rows, of a row of the source."""

    @property
    def single(self) -> bool:
        """Whether a row has at most one related row."""
        return self.cardinality in {Cardinality.MANY_TO_ONE, Cardinality.ONE_TO_ONE}


Shown = Mapping[tuple[TableName, str], str]
"""Columns of tables, and what a view calls them."""

TenantColumn = Callable[[TableName], str | None]
"""The tenant column of a sharded table; None for other tables."""


class Relations:
    """All relationships of one schema, by the table that they lead from."""

    def __init__(self, schema: Schema, tenant_column: TenantColumn) -> None:
        self._schema = schema
        self._tenant_column = tenant_column
        self._by_source: dict[TableName, list[Relationship]] = {}
        self._views: dict[TableName, Shown] = {}
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
        computed = self._computed(source, relation)
        if computed is not None:
            return computed
        ways = self._ways(source, relation)
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

    def _computed(self, source: Table, name: str) -> Relationship | None:
        """The function of that name which gives rows related to one of the source."""
        function = source.computed.get(name)
        if function is None or function.table is None:
            return None
        target = self._schema.tables.get(function.table)
        if target is None:
            return None
        single = function.one_row or not function.set_of
        kind = Cardinality.MANY_TO_ONE if single else Cardinality.ONE_TO_MANY
        keys = (self._tenant_column(source.name), self._tenant_column(target.name))
        pairs = tuple((near, far) for near, far in (keys,) if near is not None and far is not None)
        return Relationship(source.name, target.name, kind, name, pairs, function=function)

    def _ways(self, source: Table, relation: str) -> list[Relationship]:
        """All ways from the table; from and to a view those of the tables whose columns it shows."""
        ways = list(self._by_source.get(source.name, ()))
        shown = self._shown(source)
        for base in dict.fromkeys(table for table, _ in shown):
            ways += _moved(self._by_source.get(base, ()), source.name, shown)
        target = self._schema.tables.get(TableName(f"{source.schema}.{relation}"))
        if target is not None and target.definition is not None:
            ways += _ending(ways, target.name, self._shown(target))
        tables = self._schema.tables
        near = (way for way in ways if tables[way.target].schema == source.schema)
        return [way for each in near if (way := self._over_shown(each, source)) is not None]

    def _over_shown(self, way: Relationship, source: Table) -> Relationship | None:
        """The way; over a view of its junction, where the junction is of a schema of its own."""
        junction = way.junction
        if junction is None or self._schema.tables[junction.table].schema == source.schema:
            return way
        for view in self._schema.tables.values():
            if view.schema != source.schema or view.definition is None:
                continue
            shown = self._shown(view)
            names = [shown.get((junction.table, between)) for _, between in way.pairs]
            others = [shown.get((junction.table, between)) for between, _ in junction.far]
            if None in names or None in others:
                continue
            pairs = tuple(
                (near, name) for name, (near, _) in zip(names, way.pairs, strict=True) if name
            )
            far = tuple(
                (name, there) for name, (_, there) in zip(others, junction.far, strict=True) if name
            )
            return replace(way, pairs=pairs, junction=replace(junction, table=view.name, far=far))
        return None

    def _shown(self, table: Table) -> Shown:
        """What a view shows; worked out when it is first named."""
        if table.definition is None:
            return {}
        shown = self._views.get(table.name)
        if shown is None:
            found = view_columns(table, self._schema)
            shown = self._views[table.name] = {origin: name for name, origin in found.items()}
        return shown

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
        tenant = self._tenant_of(way.source)
        names = [near for near, _ in way.pairs if near != tenant]
        return names[0] if len(names) == 1 else None

    def _far_column(self, way: Relationship) -> str | None:
        tenant = self._tenant_of(way.target)
        names = [far for _, far in way.pairs if far != tenant]
        return names[0] if len(names) == 1 else None

    def _tenant_of(self, name: TableName) -> str | None:
        """The tenant column; of a view what it calls that of a table, unless the map says it."""
        column = self._tenant_column(name)
        if column is None:
            for (base, origin), shown in self._views.get(name, {}).items():
                if self._tenant_column(base) == origin:
                    return shown
        return column

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


def _moved(ways: Iterable[Relationship], view: TableName, shown: Shown) -> Iterator[Relationship]:
    """The ways of a table as those of a view that shows all their columns."""
    for way in ways:
        names = [shown.get((way.source, near)) for near, _ in way.pairs]
        if None not in names:
            pairs = tuple(
                (name, far) for name, (_, far) in zip(names, way.pairs, strict=True) if name
            )
            yield replace(way, source=view, pairs=pairs)


def _ending(ways: Iterable[Relationship], view: TableName, shown: Shown) -> Iterator[Relationship]:
    """The ways to a table as those to a view that shows all their columns."""
    for way in ways:
        far = way.pairs if way.junction is None else way.junction.far
        pairs = tuple(
            (near, name)
            for near, column in far
            if (name := shown.get((way.target, column))) is not None
        )
        if len(pairs) < len(far):
            continue
        if way.junction is None:
            yield replace(way, target=view, pairs=pairs)
        else:
            yield replace(way, target=view, junction=replace(way.junction, far=pairs))


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
