"""The columns and constraints that CREATE TABLE and ALTER TABLE spell out, as values."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from server.migrate.cursor import Cursor, items_of, names_of
from server.migrate.scan import Kind, Token

_CONSTRAINTS: Final = ("primary", "unique", "check", "foreign", "exclude")
_AFTER_TYPE: Final = frozenset(
    {"constraint", "primary", "unique", "check", "references", "not", "null", "default",
     "generated", "collate", "compression", "storage", "deferrable", "initially"}
)  # fmt: skip
_SERIALS: Final = frozenset({"serial", "bigserial", "smallserial", "serial4", "serial8", "serial2"})
_STEADY_CALLS: Final = frozenset(
    {"now", "current_timestamp", "current_date", "current_time", "localtime", "localtimestamp",
     "transaction_timestamp", "statement_timestamp", "current_setting", "coalesce", "nullif",
     "lower", "upper", "length", "concat", "date_trunc", "make_interval", "to_timestamp", "array",
     "row", "cast", "jsonb_build_object", "json_build_object", "jsonb_build_array", "numeric",
     "varchar", "char", "decimal", "interval", "timestamp", "timestamptz", "bit"}
)  # fmt: skip
"""Stable and immutable functions of PostgreSQL, and types with a length, seen in defaults."""


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A reference to another table. No `target_columns`: its primary key."""

    columns: tuple[str, ...]
    target: str
    target_columns: tuple[str, ...]
    line: int
    validated: bool = True


@dataclass(frozen=True, slots=True)
class Key:
    """A primary key, unique or exclusion constraint. `columns`: None where an index has them."""

    kind: str
    columns: tuple[str, ...] | None
    line: int


@dataclass(frozen=True, slots=True)
class Check:
    """A check constraint."""

    line: int
    validated: bool = True


@dataclass(frozen=True, slots=True)
class Column:
    """A column as it is spelled out."""

    name: str
    type: str
    not_null: bool
    has_default: bool
    computed: bool
    """Each row of an existing table gets a value of its own, so that it is written anew."""
    line: int
    counted: bool = False
    """A sequence of its own gives the values."""


Part = Column | Key | ForeignKey | Check


def parts_of(body: Cursor) -> tuple[Part, ...]:
    """What a CREATE TABLE spells out; nothing, where it has no list of columns."""
    inside = body.group()
    if inside is None:
        return ()
    return tuple(part for item in items_of(inside) for part in part_of(Cursor(item)))


def part_of(cursor: Cursor) -> Iterator[Part]:
    """One item of a table: a constraint, or a column with its own constraints."""
    line = cursor.line
    if cursor.take("constraint"):
        cursor.identifier()
    if cursor.peek() in _CONSTRAINTS:
        yield from _constraint(cursor, line)
    elif not cursor.take("like"):
        yield from _column(cursor, line)


def _constraint(cursor: Cursor, line: int) -> Iterator[Part]:
    match cursor.word():
        case "primary":
            cursor.take("key")
            yield _key("primary key", cursor, line)
        case "unique":
            yield _key("unique constraint", cursor, line)
        case "check":
            cursor.group()
            yield Check(line, validated=not _not_valid(cursor))
        case "foreign":
            cursor.take("key")
            columns = names_of(cursor.group() or ())
            yield from _reference(cursor, columns, line)
        case "exclude":
            if cursor.take("using"):
                cursor.identifier()
            yield Key("exclusion constraint", _equal(cursor.group() or ()), line)


def _key(kind: str, cursor: Cursor, line: int) -> Key:
    if cursor.take("using", "index"):
        return Key(kind, None, line)
    cursor.take("nulls", "not", "distinct")
    cursor.take("nulls", "distinct")
    return Key(kind, names_of(cursor.group() or ()), line)


def _equal(elements: Sequence[Token]) -> tuple[str, ...]:
    """The columns of an exclusion constraint that are compared for equality."""
    return tuple(
        name
        for item in items_of(elements)
        for name in names_of(item)
        if item[-1].text == "=" and item[-2].text == "with"
    )


def _reference(cursor: Cursor, columns: tuple[str, ...], line: int) -> Iterator[ForeignKey]:
    if not cursor.take("references"):
        return
    target = cursor.relation()
    if target is None:
        return
    target_columns = names_of(cursor.group() or ())
    yield ForeignKey(columns, target, target_columns, line, validated=not _not_valid(cursor))


def _not_valid(cursor: Cursor) -> bool:
    words = [token.text for token in cursor.rest() if token.kind is Kind.WORD]
    return ("not", "valid") in pairwise(words)


def _column(cursor: Cursor, line: int) -> Iterator[Part]:  # noqa: C901 - one case per word
    name = cursor.identifier()
    if name is None:
        return
    type_tokens = []
    while cursor and cursor.peek() not in _AFTER_TYPE:
        type_tokens.append(cursor.tokens[cursor.at])
        cursor.at += 1
    words = [token.text for token in type_tokens]
    serial = bool(words) and words[0] in _SERIALS
    not_null, default, computed = serial, serial, serial
    keys: list[Part] = []
    while cursor:
        if cursor.group() is not None:
            continue
        match cursor.word():
            case "not" if cursor.take("null"):
                not_null = True
            case "primary" if cursor.take("key"):
                not_null = True
                keys.append(Key("primary key", (name,), line))
            case "unique":
                keys.append(Key("unique constraint", (name,), line))
            case "default":
                default = True
                computed = computed or _varies(cursor)
            case "generated":
                default = computed = True
                serial = serial or "identity" in [token.text for token in cursor.rest()[:4]]
            case "references":
                cursor.at -= 1
                keys += _reference(cursor, (name,), line)
            case "check":
                keys.append(Check(line, validated=not _not_valid(cursor)))
            case "":
                cursor.at += 1
    yield Column(name, " ".join(words), not_null, default, computed, line, serial)
    yield from keys


def _varies(cursor: Cursor) -> bool:
    """Whether a default calls what may give each row another value. The cursor stays."""
    ahead = Cursor(cursor.rest())
    while ahead and ahead.peek() not in _AFTER_TYPE - {"not", "null", "default"}:
        name = ahead.identifier()
        if name is None:
            ahead.at += 1
        elif ahead.symbol("(") and name not in _STEADY_CALLS:
            return True
    return False
