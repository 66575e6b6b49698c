"""The columns in scope: their kinds, and what each table of the oracle has."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .tree import Part


@dataclass(frozen=True, slots=True)
class Column:
    """A column in scope. `plain`: equal values of it are spelled the same."""

    name: str
    kind: str
    plain: bool = True


@dataclass(frozen=True, slots=True)
class Source:
    """What stands in FROM. `key`: columns that tell its rows apart. `table`: a sharded one's name."""

    alias: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] | None
    table: str | None = None
    tenant: bool = False
    """It has the tenant column."""


@dataclass(frozen=True, slots=True)
class Expr:
    part: Part
    kind: str
    plain: bool = True


Scope = tuple[Source, ...]

_C = Column
TABLES: dict[str, tuple[str, tuple[Column, ...], tuple[str, ...] | None]] = {
    "accounts": ("public", (
        _C("tenant_id", "int"), _C("id", "big"), _C("name", "text"), _C("email", "text"),
        _C("plan", "text"), _C("balance", "num"), _C("active", "bool"), _C("created_at", "ts"),
        _C("parent_id", "big"), _C("ref", "uuid"), _C("settings", "json"), _C("tags", "texts"),
    ), ("tenant_id", "id")),
    "orders": ("public", (
        _C("tenant_id", "int"), _C("id", "big"), _C("account_id", "big"), _C("status", "text"),
        _C("total", "num"), _C("discount", "float"), _C("placed_on", "date"),
        _C("ends_on", "xdate"), _C("shipped_at", "ts"), _C("country", "text"), _C("note", "text"),
        _C("data", "json"),
    ), ("tenant_id", "id")),
    "items": ("public", (
        _C("tenant_id", "int"), _C("order_id", "big"), _C("line", "int"), _C("sku", "varchar"),
        _C("qty", "int"), _C("price", "num"), _C("Gift Note", "text"),
    ), ("tenant_id", "order_id", "line")),
    "events": ("app", (
        _C("tenant_id", "int"), _C("id", "big"), _C("kind", "text"), _C("at", "ts"),
        _C("weight", "real"), _C("payload", "json"), _C("nums", "ints"), _C("from", "int"),
        _C("mood", "mood"), _C("code", "bpchar"), _C("span", "interval"), _C("clock", "time"),
        _C("raw", "bytea"),
    ), ("tenant_id", "id")),
    "logs": ("public", (
        _C("tenant_id", "int"), _C("level", "int"), _C("message", "text"), _C("at", "date"),
        _C("score", "score"), _C("size", "int"),
    ), None),
    "countries": ("public", (
        _C("code", "text"), _C("name", "text"), _C("continent", "text"), _C("population", "big"),
        _C("currency", "text"),
    ), ("code",)),
    "plans": ("public", (
        _C("name", "text"), _C("price", "num"), _C("quota", "int"),
    ), ("name",)),
    "flags": ("public", (
        _C("key", "text"), _C("value", "text"), _C("on_by_default", "bool"),
    ), ("key",)),
}  # fmt: skip


def tables(kind: str) -> dict[str, tuple[str, tuple[Column, ...], tuple[str, ...] | None]]:
    """The tables, with tenant columns of that kind."""
    return {
        name: (
            schema,
            tuple(replace(c, kind=kind) if c.name == "tenant_id" else c for c in columns),
            key,
        )
        for name, (schema, columns, key) in TABLES.items()
    }


SHARDED = ("accounts", "orders", "items", "events", "logs")
REFERENCE = ("countries", "plans")

CASTS = {
    "int": "int", "big": "bigint", "num": "numeric", "float": "float8", "real": "real",
    "text": "text", "varchar": "varchar", "bool": "boolean", "date": "date", "xdate": "date",
    "ts": "timestamptz", "json": "jsonb", "ints": "int[]", "texts": "text[]", "uuid": "uuid",
    "mood": "app.mood", "bpchar": "bpchar", "interval": "interval", "time": "time",
    "bytea": "bytea", "score": "app.score",
}  # fmt: skip
FAMILY = {"big": "int", "score": "int", "varchar": "text", "real": "float"}
SORTABLE = frozenset({"int", "score", "big", "num", "float", "real", "text", "varchar", "bool", "date",
                      "xdate", "ts", "uuid", "mood", "bpchar", "interval", "time", "bytea"})  # fmt: skip
COMPARED = """
    int int text text num date xdate ts bool json ints texts float uuid
    mood bpchar interval time bytea
""".split()
"""Kinds of columns in conditions, by weight."""
COLLATIONS = ['"C"', '"POSIX"', "ucs_basic", '"C.utf8"', "pg_unicode_fast"]


def family(kind: str) -> str:
    return FAMILY.get(kind, kind)


def name_of(column: str) -> str:
    if column.islower() and column.replace("_", "a").isalnum() and column != "from":
        return column
    return f'"{column}"'


def cast_to(kind: str) -> str:
    return "::" + CASTS[kind]
