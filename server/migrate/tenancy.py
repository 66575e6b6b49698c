"""What of a migration contradicts the shard map: the second half of the lint.

Keys and foreign keys of sharded tables contain the tenant column, every table has a place, and rows
are not written where they do not belong. What is already in a database, `fluxshard map lint --live`
checks by the same rules.
"""

from collections.abc import Iterator
from typing import Final

from server.migrate.alterations import Added, actions_of
from server.migrate.cursor import Cursor, names_of
from server.migrate.definitions import Column, ForeignKey, Key, Part, parts_of
from server.migrate.routing import Routed
from server.migrate.scan import Kind
from shardmap import Global, Reference, Sharded, ShardMap, TableName, Unsharded

_COMPUTED: Final = frozenset(
    {"now", "random", "gen_random_uuid", "clock_timestamp", "statement_timestamp", "nextval",
     "transaction_timestamp", "timeofday", "current_timestamp", "current_date", "current_time",
     "localtime", "localtimestamp", "uuid_generate_v1", "uuid_generate_v4", "uuidv4", "uuidv7"}
)  # fmt: skip
"""Functions that give another value on each shard."""

Found = tuple[str, int, str]


def tenancy_findings(  # noqa: C901 - one case per kind
    one: Routed, shard_map: ShardMap
) -> Iterator[Found]:
    """What is wrong with one statement, as code, line and what stands there."""
    deed, line = one.deed, one.statement.line
    if one.unplaced is not None:
        yield "L201", line, f"makes the table {one.unplaced}"
    if one.scattered:
        yield "L203", line, f"{deed.kind.upper()} names {', '.join(one.scattered)}"
    match deed.kind:
        case "create table" if deed.targets and deed.creates is not None:
            body = Cursor(deed.body)
            own = deed.parent is None
            yield from _table(deed.targets[0], parts_of(body), line, shard_map, whole=own)
        case "alter table" if deed.targets:
            for _, action in actions_of(deed.body):
                if isinstance(action, Added):
                    yield from _parts(deed.targets[0], action.parts, shard_map)
        case "create index" if one.statement.tokens[1].text == "unique" and deed.targets:
            body = Cursor(deed.body)
            if body.take("using"):
                body.identifier()
            columns = names_of(body.group() or ())
            yield from _parts(deed.targets[0], (Key("unique index", columns, line),), shard_map)
        case "insert" | "update" | "merge" if deed.targets:
            yield from _rows(one, shard_map)
        case "set search_path" | "set role" | "set session" | "reset role" | "reset search_path":
            yield "L208", line, deed.kind.upper()


def _table(
    table: str, parts: tuple[Part, ...], line: int, shard_map: ShardMap, *, whole: bool
) -> Iterator[Found]:
    yield from _parts(table, parts, shard_map)
    placement = shard_map.placement(TableName(table))
    columns = {part.name: part for part in parts if isinstance(part, Column)}
    if not isinstance(placement, Sharded) or not columns or not whole:
        return
    tenant = columns.get(placement.column)
    if tenant is None:
        yield "L206", line, f"{table} has no column {placement.column}"
        return
    keyed = any(
        isinstance(part, Key)
        and part.kind == "primary key"
        and placement.column in (part.columns or ())
        for part in parts
    )
    if not tenant.not_null and not keyed:
        yield "L206", tenant.line, f"{table}.{placement.column} may be NULL"


def _parts(table: str, parts: tuple[Part, ...], shard_map: ShardMap) -> Iterator[Found]:
    placement = shard_map.placement(TableName(table))
    for part in parts:
        match part:
            case Key(kind, columns, at) if isinstance(placement, Sharded):
                if columns is not None and not _told_apart(placement, columns):
                    yield "L202", at, f"a {kind} of {table} without {placement.column}"
            case Column(name, _, _, _, _, at, counted=True) if isinstance(placement, Sharded):
                yield "L209", at, f"{table}.{name} is numbered by a sequence"
            case ForeignKey(_, target, _, at):
                if not _reaches(table, part, shard_map):
                    yield "L204", at, f"a foreign key of {table} to {target}"


def _told_apart(placement: Sharded, columns: tuple[str, ...]) -> bool:
    """Whether rows of two tenants can never meet in a key of these columns."""
    return placement.column in columns or any(
        {*names} <= {*columns} for names in placement.unique_ids
    )


def _reaches(table: str, key: ForeignKey, shard_map: ShardMap) -> bool:
    """Whether the row referred to is always in the same database, and of the same tenant."""
    own = shard_map.placement(TableName(table))
    other = shard_map.placement(TableName(key.target))
    match own:
        case Sharded(tenant):
            if isinstance(other, Reference):
                return True
            if not isinstance(other, Sharded):
                return False
            if not key.target_columns:  # the primary key, which begins with what it is checked for
                return tenant in key.columns
            return (tenant, other.column) in zip(key.columns, key.target_columns, strict=False)
        case Reference():
            return isinstance(other, Reference)
        case Global():
            return isinstance(other, Global)
        case Unsharded():
            return not isinstance(other, Global)
    return True  # without a placement it was found already


def _rows(one: Routed, shard_map: ShardMap) -> Iterator[Found]:
    table, line = one.deed.targets[0], one.statement.line
    if len(shard_map.shards) == 1:
        return
    match shard_map.placement(TableName(table)):
        case Reference():
            words = [token for token in one.statement.tokens if token.kind is Kind.WORD]
            varying = next((word.text for word in words if word.text in _COMPUTED), None)
            if varying is not None:
                yield "L205", line, f"{varying} in rows of the reference table {table}"
        case Sharded():
            body = Cursor(one.deed.body)
            body.group()
            if one.deed.kind == "insert" and (body.take("values") or body.take("overriding")):
                yield "L207", line, f"inserts rows into the sharded table {table}"
