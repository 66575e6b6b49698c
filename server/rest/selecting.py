"""Outputs, conditions and orders of a request as SQL, with the tables that are embedded in it.

What is embedded is a sub-select for each row, correlated by the columns of the foreign key: an
object, or an array of them. It stands wherever a column may: in a select and in RETURNING. Who is a
tenant sees own rows in each sub-select, as the router holds every mention of a table to the tenant.
"""

# ruff: noqa: S608 - text is made of quoted names and parameters

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, NamedTuple

from router import Table
from server.rest.embed_errors import EmbedUnknown, RelatedOrderImpossible
from server.rest.errors import FeatureMissing
from server.rest.expressions import (
    Source,
    cast_name,
    column_of,
    comparable_sql,
    condition_sql,
    field_sql,
)
from server.rest.filters import Condition, Field, Unrelated
from server.rest.operands import text
from server.rest.outputs import expanded, is_path, output_name
from server.rest.relations import Relations, Relationship
from server.rest.request import Embed, Item, Output, Shown, Sort
from server.rest.template import Constant, Draft, Given, quoted

OUTERMOST: Final = "t0"
"""What the request's own table is called where others are embedded in its rows."""


class Named(NamedTuple):
    """An output: an expression, and the name of its column."""

    sql: str
    name: str
    aggregate: bool = False
    """It is of all rows of a group, and none of its keys."""

    @property
    def column(self) -> str:
        """The output in a select list."""
        name = quoted(self.name)
        return name if self.sql == name else f"{self.sql} AS {name}"


class Selecting:
    """Makes the text of one statement, whose parameters go to the draft."""

    def __init__(self, draft: Draft, relations: Relations) -> None:
        self._draft = draft
        self._relations = relations
        self._aliases = 0
        self._keys: tuple[str, ...] = ()
        self.names: tuple[str, ...] = ()
        """The columns of the select list that was made as text."""

    def list_of(self, shown: Shown, source: Source, *, grouped: bool = False) -> str:
        """The select list. `grouped`: its rows are, even without an aggregate."""
        items = shown.outputs or (Output(None),)
        styled = shown.as_text or shown.truncate is not None
        grouped = grouped or self.aggregates(items, source.table)
        if styled or grouped:
            named = [
                (item, self._styled(each, item, shown, source) if styled else each)
                for item in expanded(items, source.table)
                for each in self._outputs(item, source, grouped=grouped)
            ]
            self.names = tuple(each.name for _, each in named)
            self._keys = self._keys_of(named, source) if grouped else ()
            return " , ".join(each.column for _, each in named)
        parts: list[str] = []
        for item in items:
            match item:
                case Output(None, None, None, None):
                    parts.append(f"{quoted(source.alias)}.*" if source.alias else "*")
                case Output(Field(column, ()), None, None, None):
                    parts.append(field_sql(Field(column), source, self._draft))
                case _:
                    parts += [each.column for each in self._outputs(item, source)]
        return " , ".join(parts)

    def aggregates(self, items: Iterable[Item], table: Table) -> bool:
        """Whether an aggregate is among the items, or in what they lift into the row."""
        return any(self._aggregates(item, table) for item in items)

    def _aggregates(self, item: Item, table: Table) -> bool:
        if isinstance(item, Output):
            return item.aggregate is not None
        if not item.spread:
            return False
        way = self._relations.find(table, item.relation, item.hint)
        return way.single and self.aggregates(item.outputs, self._relations.target(way))

    def where(self, conditions: Sequence[Condition], items: Sequence[Item], source: Source) -> str:
        """` WHERE …` of conditions that must all hold, and of relations that must not be empty."""
        parts = self._conditions(conditions, items, source)
        return _where(parts)

    def group_by(self, items: Sequence[Item], source: Source, fields: Sequence[Field] = ()) -> str:
        """` GROUP BY …` of what stands beside aggregates in the list just made, and of the fields."""
        if not fields and not self.aggregates(items, source.table):
            return ""
        shown = {
            each.field
            for each in items
            if isinstance(each, Output) and each.cast is None and each.aggregate is None
        }
        others = (field_sql(field, source, self._draft) for field in fields if field not in shown)
        keys = dict.fromkeys((*self._keys, *others))
        return f" GROUP BY {', '.join(keys)}" if keys else ""

    def _keys_of(self, named: Sequence[tuple[Item, "Named"]], source: Source) -> tuple[str, ...]:
        """What rows are grouped by: columns by name, other outputs by their place."""
        keys: list[str] = []
        for place, (item, each) in enumerate(named, 1):
            match item:
                case Output(Field(_, ()) as field, _, None, None):
                    keys.append(field_sql(field, source, self._draft))
                case Embed():
                    way = self._relations.find(source.table, item.relation, item.hint)
                    if way.single:
                        keys += [] if each.aggregate else [str(place)]
                    else:
                        keys += [source.named(source.table.columns[near]) for near, _ in way.pairs]
                case _:
                    keys += [] if each.aggregate else [str(place)]
        return tuple(keys)

    def _columns_grouped(self, items: Sequence[Item], source: Source) -> str:
        """` GROUP BY …` of the columns beside aggregates, where each output has its own statement.

        Raises:
            FeatureMissing: There is more than columns beside them.
        """
        if not self.aggregates(items, source.table):
            return ""
        keys: list[str] = []
        for item in expanded(items, source.table):
            match item:
                case Output(Field(_, ()) as field, _, None, None):
                    keys.append(field_sql(field, source, self._draft))
                case Output(aggregate=None) | Embed():
                    raise FeatureMissing("Aggregates beside more than columns in a spread")
                case Output():
                    pass
        return f" GROUP BY {', '.join(dict.fromkeys(keys))}" if keys else ""

    def order(
        self, keys: Sequence[Sort], items: Sequence[Item], source: Source, *, grouped: bool = False
    ) -> str:
        """` ORDER BY …`; nothing if there are no keys. `grouped`: they may name aggregates."""
        if not keys:
            return ""
        aggregates = {
            output_name(item)
            for item in items
            if grouped and isinstance(item, Output) and item.aggregate is not None
        }
        return " ORDER BY " + ", ".join(
            _directed(quoted(key.field.column), key)
            if key.field.column in aggregates and not key.field.path
            else self._sort(key, items, source)
            for key in keys
        )

    def _outputs(self, item: Item, source: Source, *, grouped: bool = False) -> Iterator[Named]:
        """The outputs of an item that is not `*`."""
        if isinstance(item, Embed):
            if item.spread:
                yield from self._spread(item, source)
            elif item.outputs:
                yield self._embedded(item, source, grouped=grouped)
            return
        sql = "*" if item.field is None else field_sql(item.field, source, self._draft)
        if item.cast is not None:
            sql = f"CAST({sql} AS {cast_name(item.cast, source.table)})"
        yield self._summed(sql, item, source.table)

    def _summed(self, sql: str, item: Output, table: Table) -> Named:
        """An output's value, or what its aggregate makes of it."""
        if item.aggregate is not None:
            sql = f"{item.aggregate}({sql})"
        if item.result is not None:
            sql = f"CAST({sql} AS {cast_name(item.result, table)})"
        return Named(sql, output_name(item), item.aggregate is not None)

    def _styled(self, named: Named, item: Item, shown: Shown, source: Source) -> Named:
        """The output as text, or cut, where the request wants that."""
        sql = named.sql
        plain = isinstance(item, Output) and item.cast is None and not is_path(item)
        kind = category = ""
        if isinstance(item, Output) and item.field is not None and item.aggregate is None:
            column = column_of(source.table, item.field.column)
            kind, category = column.type, column.category
        if shown.truncate is not None and category == "S" and plain:
            sql = f"left({sql}::text , {self._draft.param(Constant(shown.truncate))}::int4)"
        if shown.as_text:
            # the letter that PostgreSQL prints for a boolean within a row
            sql = f"left({sql}::text , 1)" if plain and kind == "bool" else f"{sql}::text"
        return named._replace(sql=sql)

    def _conditions(
        self, conditions: Sequence[Condition], items: Sequence[Item], source: Source
    ) -> list[str]:
        unrelated = partial(self._unrelated, items, source)
        parts = [condition_sql(each, source, self._draft, unrelated) for each in conditions]
        parts += [
            self._exists(item, source) for item in items if isinstance(item, Embed) and item.inner
        ]
        return parts

    def _unrelated(self, items: Sequence[Item], source: Source, condition: Unrelated) -> str:
        return f"NOT {self._exists(_embed_of(items, condition.relation), source)}"

    def _exists(self, embed: Embed, source: Source) -> str:
        way = self._relations.find(source.table, embed.relation, embed.hint)
        target, tables, joined = self._joined(way, source)
        parts = [*joined, *self._conditions(embed.where, embed.outputs, target)]
        return f"EXISTS (SELECT 1 FROM {tables}{_where(parts)})"

    def _sort(self, sort: Sort, items: Sequence[Item], source: Source) -> str:
        if sort.relation is None:
            sql = comparable_sql(sort.field, source, self._draft)
        else:
            sql = self._related_key(_embed_of(items, sort.relation), sort.field, source)
        return _directed(sql, sort)

    def _related_key(self, embed: Embed, field: Field, source: Source) -> str:
        way = self._relations.find(source.table, embed.relation, embed.hint)
        if not way.single:
            raise RelatedOrderImpossible(source.table.relation, embed.name)
        target, tables, joined = self._joined(way, source)
        key = comparable_sql(field, target, self._draft)
        parts = [*joined, *self._conditions(embed.where, embed.outputs, target)]
        return f"(SELECT {key} FROM {tables}{_where(parts)})"

    def _embedded(self, embed: Embed, source: Source, *, grouped: bool) -> Named:
        """The related row or rows as JSON; one that rows are grouped by as what can be compared."""
        way = self._relations.find(source.table, embed.relation, embed.hint)
        target, tables, joined = self._joined(way, source)
        columns = self.list_of(Shown(embed.outputs), target)
        groups = self.group_by(embed.outputs, target)
        rows = f"SELECT {columns} FROM {tables}{self._rest(embed, target, joined, groups)}"
        row = self._row_name()
        one = f"to_jsonb({row})" if grouped else f"row_to_json({row})"
        made = one if way.single else f"coalesce(json_agg({row}) , '[]'::json)"
        return Named(f"(SELECT {made} FROM ({rows}) AS {row})", embed.name)

    def _spread(self, embed: Embed, source: Source) -> Iterator[Named]:
        """Each output of the relation as one of this row: its value, or an array of them."""
        way = self._relations.find(source.table, embed.relation, embed.hint)
        for item in self._single_outputs(embed.outputs, self._relations.target(way)):
            target, tables, joined = self._joined(way, source)
            if way.single and isinstance(item, Output) and item.aggregate is not None:
                # of the rows of this table: the related one counts once for each of them
                value = replace(item, aggregate=None, result=None)
                [each] = self._outputs(value, target) if item.field else [Named("1", "")]
                rest = self._rest(embed, target, joined)
                related = f"(SELECT {each.sql} FROM {tables}{rest})"
                yield self._summed(related, item, target.table)
                continue
            for each in self._outputs(item, target):
                if way.single:
                    rest = self._rest(embed, target, joined)
                    yield Named(f"(SELECT {each.sql} FROM {tables}{rest})", each.name)
                    continue
                groups = self._columns_grouped(embed.outputs, target)
                rest = self._rest(embed, target, joined, groups)
                row = self._row_name()
                rows = f"SELECT {each.sql} AS v FROM {tables}{rest}"
                made = f"coalesce(json_agg({row}.v) , '[]'::json)"
                yield Named(f"(SELECT {made} FROM ({rows}) AS {row})", each.name)

    def _single_outputs(self, items: Iterable[Item], table: Table) -> Iterator[Item]:
        """Items of one output each: a relation within that is spread comes once for each of its."""
        for item in expanded(items, table):
            if not isinstance(item, Embed) or not item.spread:
                yield item
                continue
            way = self._relations.find(table, item.relation, item.hint)
            for inner in self._single_outputs(item.outputs, self._relations.target(way)):
                yield replace(item, outputs=(inner,))

    def _rest(self, embed: Embed, target: Source, joined: Sequence[str], groups: str = "") -> str:
        """Conditions, order and page of the rows of a relation."""
        parts = [*joined, *self._conditions(embed.where, embed.outputs, target)]
        rest = f"{_where(parts)}{groups}"
        rest += self.order(embed.order, embed.outputs, target)
        for word, position in (("LIMIT", embed.limit), ("OFFSET", embed.offset)):
            if position is not None:
                rest += f" {word} {self._draft.param(Given(position, text))}::text::bigint"
        return rest

    def _joined(self, way: Relationship, source: Source) -> tuple[Source, str, list[str]]:
        """The target, what stands in FROM, and the conditions that relate it to the source."""
        target = Source(self._relations.target(way), self._alias())
        if way.function is not None:
            called = f"{quoted(way.function.schema)}.{quoted(way.function.name)}"
            tables = f"{called}({quoted(source.alias)}) AS {quoted(target.alias)}"
            return target, tables, _equal(way.pairs, source, target)
        tables = aliased(target)
        if way.junction is None:
            return target, tables, _equal(way.pairs, source, target)
        between = Source(self._relations.table(way.junction.table), self._alias())
        joined = [
            *_equal(way.pairs, source, between),
            *_equal(way.junction.far, between, target),
        ]
        return target, f"{tables} , {aliased(between)}", joined

    def _alias(self) -> str:
        self._aliases += 1
        return f"t{self._aliases}"

    def _row_name(self) -> str:
        """A name that no column has, since a column of that name would be taken for the row."""
        self._aliases += 1
        return quoted(f"row {self._aliases}")


def aliased(source: Source) -> str:
    """The table in FROM, or as what is written to."""
    name = f"{quoted(source.table.schema)}.{quoted(source.table.relation)}"
    return f"{name} AS {quoted(source.alias)}" if source.alias else name


def source_of(table: Table, shown: Shown | None) -> Source:
    """The request's own table, which has another name where more than its columns may be named."""
    embedding = shown is not None and any(isinstance(item, Embed) for item in shown.outputs)
    return Source(table, OUTERMOST if embedding or table.computed else "")


def _where(parts: Sequence[str]) -> str:
    return f" WHERE {' AND '.join(parts)}" if parts else ""


def _directed(sql: str, sort: Sort) -> str:
    if sort.descending is not None:
        sql = f"{sql} {'DESC' if sort.descending else 'ASC'}"
    if sort.nulls_first is not None:
        sql = f"{sql} NULLS {'FIRST' if sort.nulls_first else 'LAST'}"
    return sql


def _equal(pairs: Iterable[tuple[str, str]], near: Source, far: Source) -> list[str]:
    return [
        f"{far.named(far.table.columns[there])} = {near.named(near.table.columns[here])}"
        for here, there in pairs
    ]


def _embed_of(items: Iterable[Item], name: str) -> Embed:
    embeds = [item for item in items if isinstance(item, Embed)]
    for embed in embeds:
        if embed.name == name:
            return embed
    for embed in embeds:
        if embed.relation == name:
            return embed
    raise EmbedUnknown(name)
