"""The PostgREST query string: filters, logic, select, order, columns, on_conflict and paging."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from server.rest.errors import AggregatesOff, ParameterMalformed, RangeUnsatisfiable, Spot
from server.rest.filter_text import LOGIC, MAX_ITEMS, FilterReader, Grammar
from server.rest.filters import POSTGREST_OPERATORS, Condition, Operand, Test
from server.rest.page import Limits, count_of
from server.rest.postgrest.attached import Parts, Path, attached, misnamed, related
from server.rest.postgrest.select import NAME, plain, selected
from server.rest.query_text import Pair
from server.rest.request import Embed, Item, Sort
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

_ITEM: Final = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^",])*', re.DOTALL)
# no two parts of a pattern can match the same text, so that none is slow on any text
_PART: Final = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^".])+', re.DOTALL)
_SORT: Final = re.compile(
    rf"(?P<field>{NAME})(?P<related>\({NAME}\))?"
    r"(?:\.(?P<way>asc|desc))?(?:\.(?P<nulls>nullsfirst|nullslast))?",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class PostgrestQuery:
    """A parsed query: what the rows are, which ones, and the values of the filters."""

    outputs: tuple[Item, ...] = ()
    where: tuple[Condition, ...] = ()
    order: tuple[Sort, ...] = ()
    values: Sequence[Any] = ()
    limit: str | None = None
    offset: str | None = None
    columns: tuple[str, ...] | None = None
    on_conflict: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def postgrest_query(found: Iterable[Pair], limits: Limits, reserved: int = 0) -> PostgrestQuery:
    """The meaning of a query string's pairs; no relation gives more than `max_rows` to a row.

    The first `reserved` values are left free, for those of a body.

    Raises:
        ParameterMalformed: A parameter does not parse, or a single one is there twice.
        FeatureMissing: It asks for what this release does not answer.
        EmbedUnknown: A parameter is about a relation that is not embedded.
        AggregatesOff: It asks for an aggregate, and may not.
    """
    reader = FilterReader(GRAMMAR)
    reader.values += [None] * reserved
    single: dict[str, str] = {}
    filters: list[Pair] = []
    for name, value in found:
        if name in SINGLE:
            if name in single:
                raise ParameterMalformed(Spot(name, value), "one value", found="a second one")
            single[name] = value
        else:
            filters.append((name, value))
    columns = single.get("columns")
    items = selected(single.get("select"), reader)
    if not limits.aggregates and _aggregated(items):
        raise AggregatesOff
    parts = _parts(reader, filters)
    where = parts.pop(()).where
    order = order_of(single.get("order"), reader)
    return PostgrestQuery(
        outputs=_capped(attached(items, parts), reader, limits.max_rows),
        where=related(where, items),
        order=order,
        values=reader.values,
        limit=single.get("limit"),
        offset=single.get("offset"),
        columns=None if columns is None else names_of(columns, "columns parameter"),
        on_conflict=names_of(single.get("on_conflict", ""), "on_conflict parameter"),
        warnings=tuple(misnamed(items, parts, where, order)),
    )


def _aggregated(items: Iterable[Item]) -> bool:
    return any(
        _aggregated(item.outputs) if isinstance(item, Embed) else item.aggregate is not None
        for item in items
    )


def _parts(reader: FilterReader, filters: Iterable[Pair]) -> dict[Path, Parts]:
    """The filters by the relation that they are about; those of the table itself by ()."""
    parts: dict[Path, Parts] = {(): Parts()}
    seen: set[str] = set()
    for name, value in filters:
        if name in LOGIC:
            parts[()].where.append(reader.group(name, value))
            continue
        *path, key = _split(name)
        if key in {"and", "or"} and path and path[-1] == "not":
            key = f"not.{key}"
            path.pop()
        part = parts.setdefault(tuple(map(plain, path)), Parts())
        if path and key in {"order", "limit", "offset"}:
            if name in seen:
                raise ParameterMalformed(Spot(name, value), "one value", found="a second one")
            seen.add(name)
            if key == "order":
                part.order = order_of(value, reader)
            elif key == "limit":
                part.limit = _natural(name, value, reader)
            else:
                part.offset = _natural(name, value, reader)
        elif path and key in LOGIC:
            part.where.append(reader.group(key, value))
        else:
            part.where.append(reader.filter(reader.field(key), value))
    return parts


def _split(name: str) -> list[str]:
    parts = _PART.findall(name)
    if not parts or ".".join(parts) != name:
        raise ParameterMalformed(Spot("filter", name), "a column name")
    return parts


def _natural(name: str, value: str, reader: FilterReader) -> int:
    """The position of a number that is not negative."""
    if count_of(value, name) < 0:
        raise RangeUnsatisfiable("Limit should be greater than or equal to zero.")
    reader.values.append(value)
    return len(reader.values) - 1


def _capped(
    items: tuple[Item, ...], reader: FilterReader, max_rows: int | None
) -> tuple[Item, ...]:
    """The items, none of whose relations gives more rows than that."""
    if max_rows is None:
        return items
    found: list[Item] = []
    for item in items:
        if not isinstance(item, Embed):
            found.append(item)
            continue
        limit = max_rows if item.limit is None else min(max_rows, int(reader.values[item.limit]))
        reader.values.append(str(limit))
        position = len(reader.values) - 1
        found.append(replace(item, outputs=_capped(item.outputs, reader, max_rows), limit=position))
    return tuple(found)


def order_of(order: str | None, reader: FilterReader) -> tuple[Sort, ...]:
    """The keys of `order`; direction and nulls are optional.

    Raises:
        ParameterMalformed: A key does not parse.
    """
    if order is None:
        return ()
    keys: list[Sort] = []
    for item, position in _items(order):
        found = _SORT.fullmatch(item.strip())
        if found is None:
            raise ParameterMalformed(
                Spot("order", order, position), "a column, asc or desc, nullsfirst or nullslast"
            )
        way, nulls, related_column = found["way"], found["nulls"], found["related"]
        named = found["field"] if related_column is None else related_column[1:-1]
        keys.append(
            Sort(
                reader.field(named.strip(), "order"),
                None if way is None else way == "desc",
                None if nulls is None else nulls == "nullsfirst",
                None if related_column is None else plain(found["field"]),
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
        name = plain(item)
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
