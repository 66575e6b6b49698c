"""The PostgREST query string: filters, logic, select, order, columns, on_conflict and paging."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from server.rest.errors import EmbedUnknown, FeatureMissing, ParameterMalformed, Spot
from server.rest.filter_text import LOGIC, MAX_ITEMS, FilterReader, Grammar
from server.rest.filters import POSTGREST_OPERATORS, Condition, Operand, Test
from server.rest.operands import unquoted
from server.rest.query_text import Pair
from server.rest.request import Output, Sort
from server.rest.shapes import Cuttable

GRAMMAR: Final = Grammar(
    operators=POSTGREST_OPERATORS,
    tests={
        "null": Test.NULL,
        "not_null": Test.NOT_NULL,
        "true": Test.TRUE,
        "false": Test.FALSE,
        "unknown": Test.UNKNOWN,
    },
    negated={},
)

SINGLE: Final = frozenset({"select", "order", "limit", "offset", "columns", "on_conflict"})
"""Parameters that say one thing."""

CUTTABLE: Final = Cuttable(
    whole=frozenset({"select", "order"}),
    never=SINGLE | LOGIC,
    operators=frozenset(
        name for name, meant in POSTGREST_OPERATORS.items() if meant.operand is not Operand.QUERY
    ),
)

_NAME: Final = r'(?:"(?:[^"\\]|\\.)*"|[^".,:()])+'
_KEY: Final = re.compile(r'((?:"(?:[^"\\]|\\.)*"|[^".])+)(?:\.(.*))?', re.DOTALL)
_ITEM: Final = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^",])*', re.DOTALL)
# no two parts of a pattern can match the same text, so that none is slow on any text
_OUTPUT: Final = re.compile(
    rf"(?:(?P<alias>{_NAME}):(?!:))?(?P<field>{_NAME})(?:::(?P<cast>[^\":]+))?", re.DOTALL
)
_TYPE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_ ]*(?:\[\])?")
_SORT: Final = re.compile(
    rf"(?P<field>{_NAME})(?:\.(?P<way>asc|desc))?(?:\.(?P<nulls>nullsfirst|nullslast))?",
    re.DOTALL,
)
_RELATED: Final = re.compile(rf"({_NAME})\(")
_QUOTES: Final = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_AGGREGATE: Final = re.compile(r"\b(?:count|sum|avg|min|max)\(\)")


@dataclass(frozen=True, slots=True)
class PostgrestQuery:
    """A parsed query: what the rows are, which ones, and the values of the filters."""

    outputs: tuple[Output, ...] = ()
    where: tuple[Condition, ...] = ()
    order: tuple[Sort, ...] = ()
    values: Sequence[Any] = ()
    limit: str | None = None
    offset: str | None = None
    columns: tuple[str, ...] | None = None
    on_conflict: tuple[str, ...] = ()


def postgrest_query(pairs: Iterable[Pair]) -> PostgrestQuery:
    """The meaning of a query string's pairs.

    Raises:
        ParameterMalformed: A parameter does not parse, or a single one is there twice.
        FeatureMissing: It asks for what this release does not answer.
        EmbedUnknown: A parameter is about a relation that is not embedded.
    """
    reader = FilterReader(GRAMMAR)
    single: dict[str, str] = {}
    filters: list[Pair] = []
    for name, value in pairs:
        if name in SINGLE:
            if name in single:
                raise ParameterMalformed(Spot(name, value), "one value", found="a second one")
            single[name] = value
        else:
            filters.append((name, value))
    columns = single.get("columns")
    return PostgrestQuery(
        # first, so that an embed is named as what is missing, not the filters on it
        outputs=outputs_of(single.get("select"), reader),
        where=tuple(_condition(reader, name, value) for name, value in filters),
        order=order_of(single.get("order"), reader),
        values=reader.values,
        limit=single.get("limit"),
        offset=single.get("offset"),
        columns=None if columns is None else names_of(columns, "columns parameter"),
        on_conflict=names_of(single.get("on_conflict", ""), "on_conflict parameter"),
    )


def _condition(reader: FilterReader, name: str, value: str) -> Condition:
    if name in LOGIC:
        return reader.group(name, value)
    key = _KEY.fullmatch(name)
    if key is None:
        raise ParameterMalformed(Spot("filter", name), "a column name")
    if key[2] is not None:
        raise EmbedUnknown(key[1])
    return reader.filter(reader.field(key[1]), value)


def outputs_of(select: str | None, reader: FilterReader) -> tuple[Output, ...]:
    """The columns of `select`, with alias and cast; none means all.

    Raises:
        ParameterMalformed: An item is no column.
        FeatureMissing: An item is an aggregate or an embedded relation.
    """
    if select is None or select in {"", "*"}:
        return ()
    bare = _QUOTES.sub("", select)
    if _AGGREGATE.search(bare):
        raise FeatureMissing("Aggregate functions in select")
    if "(" in bare or bare.lstrip().startswith("..."):
        raise FeatureMissing("Resource embedding in select")
    outputs: list[Output] = []
    for item, position in _items(select):
        found = _OUTPUT.fullmatch(item.strip())
        cast = None if found is None or found["cast"] is None else found["cast"].strip()
        if item.strip() == "*":
            outputs.append(Output(None))
        elif found is None or (cast is not None and _TYPE.fullmatch(cast) is None):
            raise ParameterMalformed(
                Spot("select parameter", select, position), "a field name (*, a column, or a path)"
            )
        else:
            alias = found["alias"]
            outputs.append(
                Output(
                    reader.field(found["field"].strip(), "select parameter"),
                    None if alias is None else _plain(alias),
                    cast,
                )
            )
    return tuple(outputs)


def order_of(order: str | None, reader: FilterReader) -> tuple[Sort, ...]:
    """The keys of `order`; direction and nulls are optional.

    Raises:
        ParameterMalformed: A key does not parse.
        EmbedUnknown: A key is a column of a relation that is not embedded.
    """
    if order is None:
        return ()
    keys: list[Sort] = []
    for item, position in _items(order):
        related = _RELATED.match(item.strip())
        if related is not None:
            raise EmbedUnknown(related[1])
        found = _SORT.fullmatch(item.strip())
        if found is None:
            raise ParameterMalformed(
                Spot("order", order, position), "a column, asc or desc, nullsfirst or nullslast"
            )
        way, nulls = found["way"], found["nulls"]
        keys.append(
            Sort(
                reader.field(found["field"].strip(), "order"),
                None if way is None else way == "desc",
                None if nulls is None else nulls == "nullsfirst",
            )
        )
    return tuple(keys)


def names_of(text: str, parameter: str) -> tuple[str, ...]:
    """A list of column names, quoted or not; each once.

    Raises:
        ParameterMalformed: A name is empty.
    """
    if not text:
        return ()
    names: list[str] = []
    for item, position in _items(text):
        name = _plain(item)
        if not name:
            raise ParameterMalformed(Spot(parameter, text, position), "a column name")
        names.append(name)
    return tuple(dict.fromkeys(names))


def _items(text: str) -> list[tuple[str, int]]:
    """The parts between commas outside of quotes, with their offsets.

    Raises:
        ParameterMalformed: There are more than PostgreSQL would take.
    """
    items: list[tuple[str, int]] = []
    position = 0
    while True:
        found = _ITEM.match(text, position)
        end = position if found is None else found.end()
        if end < len(text) and text[end] != ",":  # a quote that nothing closes
            end = len(text)
        items.append((text[position:end], position))
        if len(items) > MAX_ITEMS:
            raise ParameterMalformed(
                Spot("list", text, position), f"at most {MAX_ITEMS} items", found="one more"
            )
        if end == len(text):
            return items
        position = end + 1


def _plain(name: str) -> str:
    name = name.strip()
    if len(name) >= 2 and name[0] == '"' == name[-1]:
        return unquoted(name[1:-1])
    return name
