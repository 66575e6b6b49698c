"""What of a migration breaks running code or holds up traffic: the first half of the lint.

Tables that the same batch creates hold no rows and are used by nobody, so most of this is about
those that were there before.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence

from server.migrate.alterations import (
    Action,
    Added,
    Attached,
    Dropped,
    Renamed,
    Required,
    Retyped,
    Rewritten,
    actions_of,
)
from server.migrate.definitions import Check, Column, ForeignKey, Key
from server.migrate.findings import UNALLOWABLE, Finding
from server.migrate.routing import Routed, RoutedScript
from server.migrate.tenancy import tenancy_findings
from shardmap import ShardMap

_DATA: frozenset[str] = frozenset({"update", "delete", "insert", "merge"})
_DROPPED = {"drop table": "table", "drop view": "view", "drop foreign table": "foreign table"}


def lint(
    scripts: Iterable[RoutedScript],
    shard_map: ShardMap,
    *,
    allow: Collection[str] = (),
    batch: bool,
) -> tuple[Finding, ...]:
    """What is found in these files, in order.

    `batch`: they are applied together, so that a table that one creates is new to the next.
    """
    found: list[Finding] = []
    new: set[str] = set()
    for routed in scripts:
        if not batch:
            new = set()
        script = routed.script
        allowed = {*allow, *script.directives.allow} - UNALLOWABLE
        for code, line, what in _script(routed, shard_map, new):
            found.append(Finding(code, script.file, line, what, allowed=code in allowed))
    return tuple(found)


def _script(
    routed: RoutedScript, shard_map: ShardMap, new: set[str]
) -> Iterator[tuple[str, int, str]]:
    locked: str | None = None
    for one in routed.statements:
        deed, line = one.deed, one.statement.line
        if deed.creates is not None:
            new.add(deed.creates)
        yield from tenancy_findings(one, shard_map)
        old = [target for target in deed.targets if target not in new]
        if old or not deed.targets:
            yield from _statement(one, old)
        if old and deed.kind in {"alter table", "create trigger", "create policy"}:
            locked = locked or old[0]
        if deed.kind in _DATA and locked is not None:
            yield "L114", line, f"{deed.kind.upper()} in one transaction with DDL on {locked}"
            locked = None
    alone = [one for one in routed.statements if one.deed.own_transaction]
    if alone and len(routed.statements) > 1:
        what = f"{alone[0].deed.kind.upper()} cannot run in the transaction of the other statements"
        yield "L115", alone[0].statement.line, what


def _statement(  # noqa: C901, PLR0912 - one case per kind
    one: Routed, old: Sequence[str]
) -> Iterator[tuple[str, int, str]]:
    deed, line = one.deed, one.statement.line
    names = ", ".join(old)
    match deed.kind:
        case "drop table" | "drop view" | "drop foreign table":
            yield "L101", line, f"drops the {_DROPPED[deed.kind]} {names}"
        case "drop index" if not deed.concurrently:
            yield "L109", line, f"drops the index {names} without CONCURRENTLY"
        case "drop function" | "drop procedure" | "drop type" | "drop domain" | "drop extension":
            yield "L113", line, deed.kind.upper()
        case "drop schema":
            yield "L101", line, "drops a schema"
        case "create index" if not deed.concurrently:
            yield "L109", line, f"creates an index on {names} without CONCURRENTLY"
        case "create index" if deed.creates is None:
            yield "L116", line, f"an index on {names} without a name, CONCURRENTLY"
        case "reindex" if not deed.concurrently:
            yield "L109", line, "REINDEX without CONCURRENTLY"
        case "lock":
            yield "L111", line, f"locks {names}"
        case "cluster" | "vacuum full":
            yield "L112", line, f"{deed.kind.upper()} {names}".strip()
        case "refresh" if not deed.concurrently:
            yield "L112", line, f"refreshes {names} without CONCURRENTLY"
        case "truncate":
            yield "L117", line, f"truncates {names}"
        case "alter table" | "alter view" | "alter foreign table":
            for at, action in actions_of(deed.body):
                yield from ((code, at, what) for code, what in _action(action, names))


def _action(action: Action, table: str) -> Iterator[tuple[str, str]]:  # noqa: C901 - as above
    match action:
        case Added(parts):
            yield from _added(parts, table)
        case Dropped("column", name):
            yield "L102", f"drops the column {name} of {table}"
        case Dropped(what, name):
            yield "L113", f"drops the {what} {name} of {table}"
        case Renamed("column", name, to):
            yield "L103", f"renames the column {name} of {table} to {to}"
        case Renamed(_, _, to):
            yield "L103", f"renames {table} to {to}"
        case Retyped(column):
            yield "L104", f"changes the type of {table}.{column}"
        case Required(column):
            yield "L105", f"SET NOT NULL on {table}.{column}"
        case Attached(partition, attach, concurrently):
            if not attach and not concurrently:
                yield "L112", f"detaches {partition} without CONCURRENTLY"
        case Rewritten(how):
            yield "L112", f"{how} on {table}"


def _added(parts: Sequence[object], table: str) -> Iterator[tuple[str, str]]:
    column = parts[0] if parts and isinstance(parts[0], Column) else None
    if column is not None and column.computed:
        yield "L106", f"adds {table}.{column.name}, whose value is computed for each row"
    elif column is not None and column.not_null and not column.has_default:
        yield "L105", f"adds {table}.{column.name} NOT NULL without a default"
    fresh = column is not None and not column.has_default
    for part in parts:
        match part:
            case ForeignKey(validated=True) if not fresh:
                yield "L107", f"adds a foreign key to {table} without NOT VALID"
            case Check(validated=True) if not fresh:
                yield "L108", f"adds a check to {table} without NOT VALID"
            case Key(kind, columns):
                if columns is not None:
                    yield "L110", f"adds a {kind} to {table} without USING INDEX"
