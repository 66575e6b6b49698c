"""The body of POST `/query`: the same question as a query string, as JSON."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from server.errors import BodyTooLarge
from server.rest import exact_json
from server.rest.body import MALFORMED, json_rows
from server.rest.errors import BodyInvalid, ParameterMalformed, Spot
from server.rest.filter_text import FilterReader
from server.rest.filters import Condition, Group, Negation
from server.rest.native.query import GRAMMAR, NativeQuery, check_grouped, count_of, order_of
from server.rest.native.select import native_select
from server.rest.request import Shown

MAX_BYTES: Final = 1_048_576
"""The size of a question; only writes may be larger."""

KEYS: Final = frozenset(
    {
        "select",
        "filters",
        "orFilters",
        "andFilters",
        "betweenFilters",
        "order",
        "limit",
        "offset",
        "count",
        "groupBy",
    }
)


def query_form(body: bytes) -> NativeQuery:
    """The question that the body asks.

    Raises:
        BodyTooLarge: It is longer than a mebibyte.
        BodyInvalid: It is no object of the known form.
        ParameterMalformed: A part does not parse.
    """
    if len(body) > MAX_BYTES:
        raise BodyTooLarge(MAX_BYTES)
    form = _form(body)
    reader = FilterReader(GRAMMAR)
    query = NativeQuery(
        shown=Shown(native_select(_text(form, "select"), reader)),
        where=tuple(_conditions(form, reader)),
        order=order_of(_order(form), reader),
        values=reader.values,
        limit=_number(form, "limit"),
        offset=_number(form, "offset"),
        count=count_of(_text(form, "count")),
        group_by=tuple(reader.field(name, "groupBy") for name in _names(form, "groupBy")),
    )
    return check_grouped(query)


def _form(body: bytes) -> Mapping[str, Any]:
    if not json_rows(body).single:
        raise BodyInvalid("The body must be one JSON object")
    form = exact_json.loads(body.decode())
    if not isinstance(form, dict):
        raise BodyInvalid(MALFORMED)
    unknown = form.keys() - KEYS
    if unknown:
        raise BodyInvalid(f"Unknown key in the query: {min(unknown)}")
    return form


def _conditions(form: Mapping[str, Any], reader: FilterReader) -> Iterator[Condition]:
    for item in _list(form, "filters"):
        part = _object(item, "filters")
        operator = f"{_text(part, 'operator') or ''}."
        yield _filter(reader, part, operator, part.get("value"))
    for key, every in (("orFilters", "or"), ("andFilters", "and")):
        for item in _list(form, key):
            if not isinstance(item, str):
                raise BodyInvalid(f"{key} must be a list of texts")
            yield reader.group(every, f"({item})")
    for item in _list(form, "betweenFilters"):
        part = _object(item, "betweenFilters")
        within = Group(
            (
                _filter(reader, part, "gte.", part.get("min")),
                _filter(reader, part, "lte.", part.get("max")),
            ),
            every=True,
        )
        yield Negation(within) if part.get("negated") is True else within


def _filter(reader: FilterReader, part: Mapping[str, Any], operator: str, value: Any) -> Condition:
    column = _text(part, "column")
    if column is None:
        raise BodyInvalid("A filter needs a column")
    found = reader.operator(operator)
    if found.end() != len(operator):
        raise ParameterMalformed(
            Spot("filter", operator, found.end()), "nothing after the operator"
        )
    if value is None and found[2] not in {"is", "isnot"}:
        raise ParameterMalformed(Spot("filter", f"{column} {operator[:-1]} null"), "is or not.is")
    return reader.operation(reader.field(column), found, Spot("filter", operator), value)


def _order(form: Mapping[str, Any]) -> str | None:
    keys: list[str] = []
    for item in _list(form, "order"):
        part = _object(item, "order")
        column, direction, nulls = (
            _text(part, "column") or "",
            _text(part, "direction") or "asc",
            _text(part, "nulls"),
        )
        if "," in column or nulls not in {None, "first", "last"}:
            raise BodyInvalid(
                "An order needs column, direction asc or desc, and nulls first or last"
            )
        keys.append(f"{column}.{direction}" + ("" if nulls is None else f".nulls{nulls}"))
    return ",".join(keys) if keys else None


def _list(form: Mapping[str, Any], key: str) -> list[Any]:
    value = form.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise BodyInvalid(f"{key} must be a list")
    return value


def _names(form: Mapping[str, Any], key: str) -> list[str]:
    names = _list(form, key)
    if not all(isinstance(name, str) and not isinstance(name, exact_json.Number) for name in names):
        raise BodyInvalid(f"{key} must be a list of names")
    return names


def _object(item: Any, key: str) -> Mapping[str, Any]:
    if not isinstance(item, dict):
        raise BodyInvalid(f"{key} must be a list of objects")
    return item


def _text(form: Mapping[str, Any], key: str) -> str | None:
    value = form.get(key)
    if value is not None and (not isinstance(value, str) or isinstance(value, exact_json.Number)):
        raise BodyInvalid(f"{key} must be text")
    return value


def _number(form: Mapping[str, Any], key: str) -> str | None:
    value = form.get(key)
    if value is not None and not isinstance(value, exact_json.Number):
        raise BodyInvalid(f"{key} must be a number")
    return value
