"""What a statement of a migration does, to which relations, and whether in a transaction.

Names are `schema.name`. Where a statement is not known here it has no targets, so that it runs
everywhere; PostgreSQL then says what it thinks of it.
"""

from dataclasses import dataclass
from typing import Final

from server.migrate.cursor import DEFAULT_SCHEMA, Cursor
from server.migrate.mentions import body_mentions, mentions_of
from server.migrate.scan import Kind, Statement, Token

_ROUTINES: Final = ("function", "procedure", "routine")
_RELATION_KINDS: Final = ("table", "view", "sequence", "index", "foreign table")


@dataclass(frozen=True, slots=True)
class Deed:
    """One statement, as far as it is understood. `kind` is like `create table` or `insert`."""

    kind: str
    targets: tuple[str, ...] = ()
    """The relations whose place is the statement's."""
    creates: str | None = None
    """The relation that is there afterwards; a target as well if it has a place by itself."""
    parent: str | None = None
    """The table whose partition or child it creates."""
    mentions: frozenset[str] = frozenset()
    """All other relations that it may read or refer to."""
    concurrently: bool = False
    temporary: bool = False
    if_missing: bool = False
    """IF NOT EXISTS, or IF EXISTS of a DROP."""
    own_transaction: bool = False
    """PostgreSQL refuses it inside a transaction block."""
    body: tuple[Token, ...] = ()
    """What follows the name: columns, actions, options."""


def deed_of(statement: Statement) -> Deed:  # noqa: C901, PLR0912 - one case per first word
    """What the statement does."""
    cursor = Cursor(statement.tokens)
    first = cursor.word()
    mentions = mentions_of(statement.tokens)
    match first:
        case "create":
            return _create(cursor, mentions)
        case "alter":
            return _alter(cursor)
        case "drop":
            return _drop(cursor)
        case "comment" if cursor.take("on"):
            return _comment(cursor)
        case "grant" | "revoke":
            return _grant(cursor, first)
        case "insert" | "merge" if cursor.take("into"):
            return _on_one(cursor, first, mentions)
        case "delete" if cursor.take("from"):
            return _on_one(cursor, first, mentions)
        case "update":
            return _on_one(cursor, first, mentions)
        case "truncate" | "lock":
            cursor.take("table")
            return Deed(first, tuple(cursor.relations()))
        case "copy":
            return _on_one(cursor, first, mentions)
        case "refresh":
            cursor.take("materialized", "view")
            concurrently = cursor.take("concurrently")
            return Deed("refresh", tuple(cursor.relations()), concurrently=concurrently)
        case "reindex" | "vacuum" | "cluster" | "analyze":
            return _maintain(cursor, first)
        case "with" | "select" | "values" | "table":
            return _query(statement, mentions)
        case "do":
            return Deed("do", mentions=body_mentions(statement.tokens))
        case "set" | "reset":
            cursor.take_one("local", "session")
            return Deed(f"{first} {cursor.peek()}".strip())
    return Deed(first or "?")


def _create(cursor: Cursor, mentions: frozenset[str]) -> Deed:  # noqa: C901 - one case per kind
    cursor.take("or", "replace")
    cursor.take_one("global", "local")
    temporary = bool(cursor.take_one("temp", "temporary"))
    cursor.take_one("unlogged", "recursive", "constraint", "foreign", "trusted", "unique")
    kind = cursor.word()
    if kind == "materialized":
        kind = cursor.word()
    match kind:
        case "table":
            return _create_table(cursor, mentions, temporary=temporary)
        case "index":
            return _create_index(cursor)
        case "function" | "procedure":
            name = cursor.relation()
            used = mentions | body_mentions(cursor.tokens)
            return Deed(f"create {kind}", creates=f"{name}()" if name else None, mentions=used)
        case "publication":
            return Deed("create publication", _published(cursor))
        case "view" | "sequence":
            if_missing = cursor.take("if", "not", "exists")
            name = cursor.relation()
            owner = _owner(cursor) if kind == "sequence" else None
            return Deed(
                f"create {kind}",
                (owner,) if owner is not None else (),
                creates=None if temporary else name,
                mentions=mentions if kind == "view" else frozenset(),
                temporary=temporary,
                if_missing=if_missing,
            )
        case "trigger":
            cursor.seek("on")
            table = _one(cursor)
            called = cursor.relation() if cursor.seek("function", "procedure") else None
            used = mentions | ({f"{called}()"} if called is not None else set())
            return Deed("create trigger", table, mentions=used - {*table})
        case "policy":
            cursor.identifier()
            return Deed("create policy", _one(cursor, "on"), mentions=mentions)
        case "rule":
            cursor.seek("to")
            return Deed("create rule", _one(cursor), mentions=mentions)
        case "statistics":
            cursor.seek("from")
            return Deed("create statistics", _one(cursor))
        case "database" | "tablespace" | "subscription":
            return Deed(f"create {kind}", own_transaction=True)
    return Deed(f"create {kind}")


def _create_table(cursor: Cursor, mentions: frozenset[str], *, temporary: bool) -> Deed:
    if_missing = cursor.take("if", "not", "exists")
    name = cursor.relation()
    parent = cursor.relation() if cursor.take("partition", "of") else None
    if parent is None:
        ahead = Cursor(cursor.rest())
        if ahead.seek("inherits"):
            inherited = ahead.group()
            parent = Cursor(inherited).relation() if inherited else None
    targets = () if name is None or temporary else (parent or name,)
    return Deed(
        "create table",
        targets,
        creates=None if temporary else name,
        parent=parent,
        mentions=mentions,
        temporary=temporary,
        if_missing=if_missing,
        body=cursor.rest(),
    )


def _create_index(cursor: Cursor) -> Deed:
    concurrently = cursor.take("concurrently")
    if_missing = cursor.take("if", "not", "exists")
    name = None if cursor.peek() == "on" else cursor.identifier()
    cursor.take("on")
    cursor.take("only")
    table = cursor.relation()
    schema = (table or "").partition(".")[0]
    return Deed(
        "create index",
        (table,) if table is not None else (),
        creates=f"{schema}.{name}" if name is not None else None,
        concurrently=concurrently,
        if_missing=if_missing,
        own_transaction=concurrently,
        body=cursor.rest(),
    )


def _alter(cursor: Cursor) -> Deed:
    kind = _kind(cursor)
    if kind in _RELATION_KINDS:
        cursor.take("all", "in")  # TABLESPACE: no relation follows
        cursor.take("if", "exists")
        cursor.take("only")
        name = cursor.relation()
        cursor.symbol("*")
        rest = [token.text for token in cursor.rest() if token.kind is Kind.WORD]
        detached = rest[:2] == ["detach", "partition"] and "concurrently" in rest
        return Deed(
            f"alter {kind}",
            (name,) if name is not None else (),
            concurrently=detached,
            own_transaction=detached,
            body=cursor.rest(),
        )
    if kind in {"policy", "trigger", "rule"}:
        cursor.identifier()
        return Deed(f"alter {kind}", _one(cursor, "on"))
    if kind in _ROUTINES:
        return Deed(f"alter {kind}", _routines(cursor))
    if kind == "publication":
        return Deed("alter publication", _published(cursor))
    return Deed(
        f"alter {kind}", own_transaction=kind in {"system", "subscription"}, body=cursor.rest()
    )


def _drop(cursor: Cursor) -> Deed:
    kind = _kind(cursor)
    concurrently = cursor.take("concurrently")
    if_missing = cursor.take("if", "exists")
    if kind in _RELATION_KINDS:
        return Deed(
            f"drop {kind}",
            tuple(cursor.relations()),
            concurrently=concurrently,
            if_missing=if_missing,
            own_transaction=concurrently,
        )
    if kind in {"policy", "trigger", "rule"}:
        cursor.identifier()
        return Deed(f"drop {kind}", _one(cursor, "on"))
    if kind in _ROUTINES:
        return Deed(f"drop {kind}", _routines(cursor), if_missing=if_missing)
    return Deed(f"drop {kind}", own_transaction=kind in {"database", "tablespace", "subscription"})


def _comment(cursor: Cursor) -> Deed:
    kind = _kind(cursor)
    if kind in _RELATION_KINDS:
        return Deed("comment", _one(cursor))
    if kind == "column":
        parts = [cursor.identifier()]
        while cursor.symbol("."):
            parts.append(cursor.identifier())
        match [part for part in parts if part is not None]:
            case [table, _]:
                return Deed("comment", (f"{DEFAULT_SCHEMA}.{table}",))
            case [*_, schema, table, _]:
                return Deed("comment", (f"{schema}.{table}",))
        return Deed("comment")
    if kind in {"policy", "trigger", "rule", "constraint"}:
        cursor.identifier()
        return Deed("comment", () if cursor.take("on", "domain") else _one(cursor, "on"))
    if kind in _ROUTINES:
        return Deed("comment", _routines(cursor))
    return Deed("comment")


def _grant(cursor: Cursor, verb: str) -> Deed:
    if not cursor.seek("on"):
        return Deed(verb)
    if cursor.take_one(*_ROUTINES):
        return Deed(verb, _routines(cursor))
    if cursor.peek() in {"all", "schema", "type", "domain",
                         "database", "language", "tablespace", "foreign", "large", "parameter"}:  # fmt: skip
        return Deed(verb)
    cursor.take_one("table", "sequence")
    return Deed(verb, tuple(cursor.relations()))


def _on_one(cursor: Cursor, kind: str, mentions: frozenset[str]) -> Deed:
    cursor.take("only")
    target = cursor.relation()
    if target is None:
        return Deed(kind, mentions=mentions)
    return Deed(kind, (target,), mentions=mentions - {target}, body=cursor.rest())


def _maintain(cursor: Cursor, kind: str) -> Deed:
    options = cursor.group() or ()
    words = {token.text for token in options}
    while flag := cursor.take_one("full", "freeze", "verbose", "analyze"):
        words.add(flag)
    scope = cursor.take_one("table", "index", "schema", "database", "system") or "table"
    concurrently = cursor.take("concurrently") or "concurrently" in words
    named = scope in {"table", "index"}
    targets = tuple(cursor.relations()) if named else ()
    alone = kind == "vacuum" or concurrently or (kind == "cluster" and not targets)
    return Deed(
        f"{kind} full" if kind == "vacuum" and "full" in words else kind,
        targets,
        concurrently=concurrently,
        own_transaction=alone or not named,
    )


def _query(statement: Statement, mentions: frozenset[str]) -> Deed:
    words = {token.text for token in statement.tokens if token.kind is Kind.WORD}
    kind = "insert" if {"insert", "update", "delete", "merge"} & words else "select"
    return Deed(kind, mentions=mentions)


def _kind(cursor: Cursor) -> str:
    kind = cursor.word()
    if kind == "materialized":
        return cursor.word()
    if kind in {"foreign", "event", "default", "user", "text", "access"} and cursor.peek():
        return f"{kind} {cursor.word()}"
    return kind


def _one(cursor: Cursor, before: str | None = None) -> tuple[str, ...]:
    if before is not None and not cursor.take(before):
        return ()
    cursor.take("only")
    name = cursor.relation()
    return (name,) if name is not None else ()


def _routines(cursor: Cursor) -> tuple[str, ...]:
    """Functions by name, `schema.name()`: all that have the name are taken for one."""
    names: list[str] = []
    while True:
        name = cursor.relation()
        if name is None:
            return tuple(names)
        names.append(f"{name}()")
        cursor.group()
        if not cursor.symbol(","):
            return tuple(names)


def _published(cursor: Cursor) -> tuple[str, ...]:
    """The tables that a publication is about; none, where it is about all."""
    if not cursor.seek("table"):
        return ()
    return tuple(cursor.relations())


def _owner(cursor: Cursor) -> str | None:
    """The table of `OWNED BY schema.table.column`."""
    if not cursor.seek("owned") or not cursor.take("by"):
        return None
    parts = [cursor.identifier()]
    while cursor.symbol("."):
        parts.append(cursor.identifier())
    names = [part for part in parts if part is not None]
    match names:
        case [table, _]:
            return f"{DEFAULT_SCHEMA}.{table}"
        case [schema, table, _]:
            return f"{schema}.{table}"
    return None
