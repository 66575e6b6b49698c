"""The actions of ALTER TABLE, one value each, as far as the lint has an opinion on them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from server.migrate.cursor import Cursor, items_of
from server.migrate.definitions import Part, part_of
from server.migrate.scan import Token


@dataclass(frozen=True, slots=True)
class Added:
    """ADD COLUMN or ADD CONSTRAINT: the column comes first, then its own constraints."""

    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Dropped:
    """DROP COLUMN or DROP CONSTRAINT."""

    what: str
    name: str


@dataclass(frozen=True, slots=True)
class Renamed:
    """RENAME of the table (`to`), a column, or into another schema."""

    what: str
    name: str
    to: str


@dataclass(frozen=True, slots=True)
class Retyped:
    """ALTER COLUMN with TYPE or SET DATA TYPE."""

    column: str


@dataclass(frozen=True, slots=True)
class Required:
    """ALTER COLUMN … SET NOT NULL."""

    column: str


@dataclass(frozen=True, slots=True)
class Attached:
    """ATTACH PARTITION, or DETACH with `concurrently`."""

    partition: str
    attach: bool
    concurrently: bool = False


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What writes the whole table anew: SET LOGGED, SET TABLESPACE, SET ACCESS METHOD and so on."""

    how: str


Action = Added | Dropped | Renamed | Retyped | Required | Attached | Rewritten


def actions_of(body: Sequence[Token]) -> Iterator[tuple[int, Action]]:
    """Each action with its line; those that hold no lock for long and break nothing are left out."""
    for item in items_of(body):
        cursor = Cursor(item)
        line = cursor.line
        action = _action(cursor)
        if action is not None:
            yield line, action


def _action(cursor: Cursor) -> Action | None:
    match cursor.word():
        case "add":
            cursor.take("column")
            cursor.take("if", "not", "exists")
            return Added(tuple(part_of(cursor)))
        case "drop":
            what = "constraint" if cursor.take("constraint") else "column"
            cursor.take("column")
            cursor.take("if", "exists")
            return Dropped(what, cursor.identifier() or "")
        case "rename":
            return _renamed(cursor)
        case "alter" if not cursor.take("constraint"):
            cursor.take("column")
            return _altered(cursor)
        case "attach" if cursor.take("partition"):
            return Attached(cursor.relation() or "", attach=True)
        case "detach" if cursor.take("partition"):
            name = cursor.relation() or ""
            return Attached(name, attach=False, concurrently=cursor.take("concurrently"))
        case "set":
            what = cursor.word()
            if what == "schema":
                return Renamed("schema", "", cursor.identifier() or "")
            if what in {"logged", "unlogged", "tablespace", "access"}:
                return Rewritten(f"SET {what.upper()}")
    return None


def _renamed(cursor: Cursor) -> Renamed | None:
    if cursor.take("constraint"):
        return None
    if cursor.take("to"):
        return Renamed("table", "", cursor.identifier() or "")
    cursor.take("column")
    name = cursor.identifier() or ""
    cursor.take("to")
    return Renamed("column", name, cursor.identifier() or "")


def _altered(cursor: Cursor) -> Action | None:
    column = cursor.identifier() or ""
    if cursor.take("type") or cursor.take("set", "data", "type"):
        return Retyped(column)
    if cursor.take("set", "not", "null"):
        return Required(column)
    return None
