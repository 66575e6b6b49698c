"""The native query string: `col=op.value`, `col.op=value`, select, order, paging, or and and."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from server.rest.errors import FeatureMissing, GroupingInvalid, ParameterMalformed, Spot
from server.rest.filter_text import LOGIC, MAX_ITEMS, FilterReader, Grammar
from server.rest.filters import NATIVE_OPERATORS, Condition, Field, Operand, Test
from server.rest.native.select import native_select
from server.rest.query_text import Pair
from server.rest.request import Embed, Output, Shown, Sort
from server.rest.shapes import Cuttable

GRAMMAR: Final = Grammar(
    operators=NATIVE_OPERATORS,
    tests={"null": Test.NULL, "true": Test.TRUE, "false": Test.FALSE},
    negated={"nin": "in", "isnot": "is"},
    extensions=("st_", "vec_"),
    simple_names=True,
    brackets=True,
    numeric_json=True,
)

SINGLE: Final = frozenset(
    {
        "select",
        "order",
        "limit",
        "offset",
        "cursor",
        "cursor_column",
        "count",
        "truncate",
        "group_by",
        "on_conflict",
    }
)
"""Reserved parameters that say one thing."""

RESERVED: Final = SINGLE | LOGIC

CUTTABLE: Final = Cuttable(
    whole=frozenset({"select", "order", "count", "truncate"}),
    never=RESERVED,
    operators=frozenset(
        name for name, meant in NATIVE_OPERATORS.items() if meant.operand is not Operand.QUERY
    ),
)

MAX_TRUNCATE: Final = 2**31 - 1

_ORDER: Final = re.compile(r"(.*)\.(asc|desc)(?:\.(nullsfirst|nullslast))?", re.DOTALL)


class Count(StrEnum):
    """How exactly rows are to be counted."""

    EXACT = "exact"
    PLANNED = "planned"
    ESTIMATED = "estimated"


@dataclass(frozen=True, slots=True)
class NativeQuery:
    """A parsed query: what the rows are, which ones, and the values of the filters."""

    shown: Shown
    where: tuple[Condition, ...]
    order: tuple[Sort, ...]
    values: Sequence[Any]
    limit: str | None = None
    offset: str | None = None
    count: Count | None = None
    on_conflict: tuple[str, ...] = ()
    group_by: tuple[Field, ...] = ()
    cursor: str | None = None
    cursor_column: Field | None = None


def native_query(pairs: Iterable[Pair]) -> NativeQuery:
    """The meaning of a query string's pairs.

    Raises:
        ParameterMalformed: A parameter does not parse, or a single one is there twice.
        FeatureMissing: It asks for what this release does not answer.
    """
    reader = FilterReader(GRAMMAR)
    single: dict[str, str] = {}
    where: list[Condition] = []
    for name, value in pairs:
        if name in SINGLE:
            if name in single:
                raise ParameterMalformed(Spot(name, value), "one value", found="a second one")
            single[name] = value
        elif name in LOGIC:
            where.append(reader.group(name, value))
        else:
            where.append(_filter(reader, name, value))
    cursor_column = single.get("cursor_column")
    query = NativeQuery(
        shown=Shown(
            outputs=native_select(single.get("select"), reader),
            truncate=_truncate(single.get("truncate")),
        ),
        where=tuple(where),
        order=order_of(single.get("order"), reader),
        values=reader.values,
        limit=single.get("limit"),
        offset=single.get("offset"),
        count=count_of(single.get("count")),
        on_conflict=names_of(single.get("on_conflict"), reader),
        group_by=group_of(single.get("group_by"), reader),
        cursor=single.get("cursor"),
        cursor_column=None if cursor_column is None else reader.field(cursor_column),
    )
    return check_grouped(query)


def _filter(reader: FilterReader, name: str, value: str) -> Condition:
    column, dot, operator = name.partition(".")
    text = f"{operator}.{value}" if dot else value
    return reader.filter(reader.field(column), text)


def check_grouped(query: "NativeQuery") -> "NativeQuery":
    """The query, if what it shows beside aggregates is what rows are grouped by.

    Raises:
        GroupingInvalid: It is not.
    """
    items = query.shown.outputs
    if query.group_by or any(isinstance(each, Output) and each.aggregate for each in items):
        for each in items or (Output(None),):
            if isinstance(each, Embed):
                raise GroupingInvalid(each.name)
            if each.aggregate is None and each.field not in query.group_by:
                raise GroupingInvalid("*" if each.field is None else each.field.column)
    return query


def group_of(text: str | None, reader: FilterReader) -> tuple[Field, ...]:
    """The columns of `group_by`.

    Raises:
        ParameterMalformed: One is no name.
    """
    if text is None or not text.strip():
        return ()
    return tuple(reader.field(name.strip(), "group_by") for name in _items(text, "group_by"))


def order_of(order: str | None, reader: FilterReader) -> tuple[Sort, ...]:
    """The keys of `order`; each needs a direction.

    Raises:
        ParameterMalformed: A key has none.
        FeatureMissing: A key is a vector distance.
    """
    if order is None:
        return ()
    keys: list[Sort] = []
    for item in _items(order, "order"):
        if ".vec_" in item:
            raise FeatureMissing("Order by vector distance")
        found = _ORDER.fullmatch(item.strip())
        if found is None:
            raise ParameterMalformed(
                Spot("order", order), "column.asc or column.desc", found=f'"{item}"'
            )
        nulls_first = None if found[3] is None else found[3] == "nullsfirst"
        keys.append(Sort(reader.field(found[1], "order"), found[2] == "desc", nulls_first))
    return tuple(keys)


def count_of(text: str | None) -> Count | None:
    """The kind of count asked for; None for no count.

    Raises:
        ParameterMalformed: There is no such kind.
    """
    if text is None or text == "none":
        return None
    try:
        return Count(text)
    except ValueError as error:
        raise ParameterMalformed(
            Spot("count", text), "exact, planned, estimated or none"
        ) from error


def names_of(text: str | None, reader: FilterReader) -> tuple[str, ...]:
    """A list of column names.

    Raises:
        ParameterMalformed: One is no name.
    """
    if text is None:
        return ()
    names = _items(text, "on_conflict")
    return tuple(reader.field(name.strip(), "on_conflict").column for name in names)


def _items(text: str, parameter: str) -> list[str]:
    items = text.split(",", MAX_ITEMS)
    if len(items) > MAX_ITEMS:
        raise ParameterMalformed(
            Spot(parameter, text), f"at most {MAX_ITEMS} items", found="one more"
        )
    return items


def _truncate(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or int(text[:11]) > MAX_TRUNCATE:
        raise ParameterMalformed(Spot("truncate", text), "a number of characters")
    return int(text)
