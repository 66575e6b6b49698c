"""Paths under /api/v1/tables: which table, and which of its rows."""

import re
from dataclasses import dataclass
from typing import Final

from router import Schema, Table
from server.errors import MethodRefused, RouteUnknown
from server.rest.catalogue import table_of
from server.rest.errors import ParameterMalformed, Spot
from server.rest.query_text import segment

PREFIX: Final = "/api/v1/tables"

_IDENTIFIER: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


@dataclass(frozen=True, slots=True)
class Catalog:
    """The list of tables."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a table."""

    table: Table


@dataclass(frozen=True, slots=True)
class Question:
    """The rows of a table, asked for in the body."""

    table: Table


@dataclass(frozen=True, slots=True)
class OneRow:
    """The row of a table with that id."""

    table: Table
    id: str


Place = Catalog | Rows | Question | OneRow

_METHODS: Final = {
    Catalog: ("GET", "HEAD"),
    Rows: ("GET", "HEAD", "POST", "PATCH", "DELETE"),
    Question: ("POST",),
    OneRow: ("GET", "HEAD", "PUT", "PATCH", "DELETE"),
}


def place_of(path: str, method: str, schema: Schema) -> Place:
    """What the raw path means to the method.

    Two segments are `schema/table` if the schema is exposed, else `table/id`.

    Raises:
        RouteUnknown: The path has too many segments, or empty ones.
        ParameterMalformed: A name is no identifier.
        TableUnknown: There is no such table.
        MethodRefused: The place does not know the method, or is a view and cannot be written.
    """
    place = _place(path, method, schema)
    allowed = _METHODS[type(place)]
    if not isinstance(place, Catalog) and not place.table.writable:
        reads = allowed if isinstance(place, Question) else ("GET", "HEAD")
        allowed = tuple(name for name in allowed if name in reads)
    if method not in allowed:
        raise MethodRefused(method, allowed)
    return place


def _place(path: str, method: str, schema: Schema) -> Place:
    segments = path.removeprefix(PREFIX).removesuffix("/").split("/")[1:]
    if not segments:
        return Catalog()
    if "" in segments:
        raise RouteUnknown
    match segments:
        case [relation]:
            return Rows(_table(schema, schema.exposed[0], relation))
        case [namespace, relation] if namespace in schema.exposed:
            return Rows(_table(schema, namespace, relation))
        case [relation, "query"] if method == "POST":
            return Question(_table(schema, schema.exposed[0], relation))
        case [relation, identity]:
            return OneRow(_table(schema, schema.exposed[0], relation), segment(identity))
        case [namespace, relation, "query"] if method == "POST":
            return Question(_table(schema, namespace, relation))
        case [namespace, relation, identity]:
            return OneRow(_table(schema, namespace, relation), segment(identity))
        case _:
            raise RouteUnknown


def _table(schema: Schema, namespace: str, relation: str) -> Table:
    for name in (namespace, relation):
        if _IDENTIFIER.fullmatch(name) is None:
            raise ParameterMalformed(Spot("name", name), "an identifier (letters, digits, _)")
    return table_of(schema, namespace, relation)
