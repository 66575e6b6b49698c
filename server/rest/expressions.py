"""Columns, JSON paths, casts and conditions as SQL text over one table."""

from collections.abc import Callable
from typing import Final, NamedTuple, assert_never

from router import Column, Table
from server.rest.errors import ColumnUnknown, FeatureMissing
from server.rest.filters import (
    Compare,
    Condition,
    Field,
    Group,
    Is,
    Negation,
    Operand,
    Quantifier,
    Unrelated,
)
from server.rest.operands import listed, spelled_array, starred, text
from server.rest.template import Constant, Draft, Given, quoted

CASTS: Final = frozenset(
    "bigint bit bool boolean box bpchar bytea char cidr circle date daterange decimal float4 float8 "
    "inet int int2 int4 int4range int8 int8range integer interval json jsonb line lseg macaddr money "
    "name numeric numrange path point polygon real smallint text time timestamp timestamptz timetz "
    "tsquery tsrange tstzrange tsvector uuid varchar".split()
) | {"double precision", "character varying", "timestamp with time zone", "time with time zone"}
"""Types of PostgreSQL that clients may cast to: those that are values, not names of the catalogs
(`regclass` would say which tables there are)."""

GEOMETRY: Final = '."geometry"'
"""How the name of PostGIS's type ends, in whatever schema the extension is. It has a cast to JSON."""

LANGUAGES: Final = frozenset(
    "simple arabic armenian basque catalan danish dutch english finnish french german greek hindi "
    "hungarian indonesian irish italian lithuanian nepali norwegian portuguese romanian russian "
    "serbian spanish swedish tamil turkish yiddish".split()
)
"""Text search configurations of every PostgreSQL: written into the text, so that an index on
`to_tsvector('english', …)` fits. Any other name is a parameter."""


class Source(NamedTuple):
    """A table in a statement, and the name that its columns are qualified by there, if any."""

    table: Table
    alias: str = ""

    def named(self, column: Column) -> str:
        """The column as an expression."""
        name = quoted(column.name)
        return f"{quoted(self.alias)}.{name}" if self.alias else name

    def value(self, name: str) -> tuple[str, Column]:
        """The column, or the function of the row, of that name as an expression.

        Raises:
            ColumnUnknown: There is none.
        """
        column = column_of(self.table, name)
        if name in self.table.columns:
            return self.named(column), column
        function = self.table.computed[name]
        row = quoted(self.alias or self.table.relation)
        return f"{quoted(function.schema)}.{quoted(function.name)}({row})", column


UnrelatedSql = Callable[[Unrelated], str]
"""The SQL of a condition on an embed."""


def column_of(table: Table, name: str) -> Column:
    """The table's column, or what a function of its rows gives.

    Raises:
        ColumnUnknown: There is none of that name.
    """
    column = table.columns.get(name)
    if column is not None:
        return column
    function = table.computed.get(name)
    if function is None or function.set_of or function.columns:
        raise ColumnUnknown(name, table.relation)
    return Column(
        name=name,
        type=function.type,
        not_null=False,
        has_default=False,
        generated=True,
        array=function.type.endswith("[]"),
        category=function.category,
        mergeable=False,
    )


def field_sql(field: Field, source: Source, draft: Draft) -> str:
    """The field as an expression."""
    name, column = source.value(field.column)
    if not field.path:
        return name
    base = name if column.type in {"json", "jsonb"} else f"to_jsonb({name})"
    last = len(field.path) - 1
    for position, step in enumerate(field.path):
        arrow = "->>" if field.as_text and position == last else "->"
        key = f"{draft.param(Constant(step.key))}::text"
        base = f"{base} {arrow} {key}::int4" if step.index else f"{base} {arrow} {key}"
    return f"({base})"


def comparable_sql(field: Field, source: Source, draft: Draft) -> str:
    """The field as something that has an order and equality: JSON as jsonb."""
    sql = field_sql(field, source, draft)
    if field.path and not field.as_text and column_of(source.table, field.column).type == "json":
        return f"{sql}::jsonb"
    return sql


def type_of(field: Field, table: Table) -> str:
    """The type of the field's values, fit for a cast."""
    if not field.path:
        return column_of(table, field.column).type
    return "text" if field.as_text else "jsonb"


def cast_name(name: str, table: Table) -> str:
    """A client's type name as text for a cast: a type of PostgreSQL, or of a column of the table.

    Raises:
        FeatureMissing: It is neither.
    """
    base, array = (name[:-2].strip(), "[]") if name.endswith("[]") else (name, "")
    if base.lower() in CASTS:
        return f"{base.lower()}{array}"
    for column in table.columns.values():
        kind = column.type.removesuffix("[]")
        if kind.endswith(f".{quoted(base)}"):
            return f"{kind}{array}"
    raise FeatureMissing(f"A cast to {base}")


def typed(parameter: str, kind: str) -> str:
    """A parameter that is sent as text and read by PostgreSQL as a literal of the type."""
    return f"{parameter}::text" if kind == "text" else f"{parameter}::text::{kind}"


def condition_sql(
    condition: Condition, source: Source, draft: Draft, unrelated: UnrelatedSql
) -> str:
    """A condition; every one but AND and OR groups binds tighter than NOT, AND and OR.

    Raises:
        ColumnUnknown: A field's column is not in the table.
    """
    match condition:
        case Compare():
            return _comparison(condition, source, draft)
        case Is(field, test):
            return f"{field_sql(field, source, draft)} {test.value}"
        case Unrelated():
            return unrelated(condition)
        case Negation(Group((_, _, *_)) as group):
            return f"NOT {condition_sql(group, source, draft, unrelated)}"
        case Negation(inner):
            return f"NOT ({condition_sql(inner, source, draft, unrelated)})"
        case Group(members, every):
            word = " AND " if every else " OR "
            parts = [condition_sql(member, source, draft, unrelated) for member in members]
            return parts[0] if len(parts) == 1 else f"({word.join(parts)})"
        case _:
            assert_never(condition)


def _comparison(compare: Compare, source: Source, draft: Draft) -> str:
    left = comparable_sql(compare.field, source, draft)
    kind = type_of(compare.field, source.table)
    operator = compare.operator
    match operator.operand:
        case Operand.QUERY:
            return _search(compare, left, kind, draft)
        case Operand.GEOMETRY:
            return _spatial(compare, left, kind, draft)
        case Operand.LIST:
            parameter = draft.param(Given(compare.value, listed))
            array = "text[]" if kind == "text" else f"text[]::{kind}[]"
            return f"{left} {operator.sql} ANY ({parameter}::{array})"
        case Operand.LITERAL | Operand.SPELLED:
            spelled = operator.operand is Operand.SPELLED and kind.endswith("[]")
            convert = spelled_array if spelled else text
            if compare.numeric:
                left, kind = f"{left}::numeric", "numeric"
        case Operand.TEXT:
            convert, kind = text, "text"
        case Operand.STARRED:
            convert, kind = starred, "text"
        case _:
            assert_never(operator.operand)
    parameter = draft.param(Given(compare.value, convert))
    match compare.quantifier:
        case None:
            return f"{left} {operator.sql} {typed(parameter, kind)}"
        case Quantifier.ANY | Quantifier.ALL:
            word = compare.quantifier.value.upper()
            return f"{left} {operator.sql} {word} ({parameter}::text::{kind}[])"


def _spatial(compare: Compare, left: str, kind: str, draft: Draft) -> str:
    """A function of PostGIS, whose schema is that of the column's type; it reads GeoJSON and WKT."""
    if not kind.endswith(GEOMETRY):
        raise FeatureMissing(f"{compare.operator.sql} of a column of type {kind}")
    schema = kind.removesuffix(GEOMETRY)
    value = typed(draft.param(Given(compare.value, text)), kind)
    return f"{schema}.{quoted(compare.operator.sql)}({left}, {value})"


def _search(compare: Compare, left: str, kind: str, draft: Draft) -> str:
    language = ""
    if compare.language in LANGUAGES:
        language = f"'{compare.language}'::regconfig , "
    elif compare.language is not None:
        language = f"{draft.param(Constant(compare.language))}::text::regconfig , "
    vector = left if kind == "tsvector" else f"to_tsvector({language}{left})"
    query = draft.param(Given(compare.value, text))
    return f"{vector} @@ {compare.operator.sql}({language}{query}::text)"
