"""A stream of the tenants' rows from one shard to the other: publication, slot, subscription.

Everything is made if it is missing and taken away if it is there, so that any mover can go on
where another one was killed. Logical replication is PostgreSQL's own: it goes on without a mover.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import asyncpg

from server.moves.errors import MoveAway, StreamBroken
from server.moves.fences import check, guarded
from server.moves.group import KEYS, literal, quoted, relation, whose
from server.moves.names import backward, forward, keys
from server.moves.request import Move
from server.moves.sessions import Places, Session
from shardmap import KeyType, ShardId, TableName, TenantId

POLL_S: Final = 0.02
SLOT_FREED_S: Final = 15.0
"""For the sender of a slot to end, after its subscription did."""

_PUBLICATION: Final = "SELECT EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = $1)"
_SUBSCRIPTION: Final = """\
SELECT subenabled FROM pg_catalog.pg_subscription
WHERE subname = $1 AND subdbid = (SELECT oid FROM pg_catalog.pg_database
    WHERE datname = pg_catalog.current_database())"""
_SLOT: Final = """\
SELECT active_pid, confirmed_flush_lsn, wal_status FROM pg_catalog.pg_replication_slots
WHERE slot_name = $1"""
_MAKE_SLOT: Final = "SELECT pg_catalog.pg_create_logical_replication_slot($1, 'pgoutput')"
_DROP_SLOT: Final = "SELECT pg_catalog.pg_drop_replication_slot($1)"
_END_SENDER: Final = "SELECT pg_catalog.pg_terminate_backend($1)"
_UNREADY: Final = """\
SELECT count(*) FROM pg_catalog.pg_subscription_rel r JOIN pg_catalog.pg_subscription s ON s.oid = r.srsubid
WHERE s.subname = $1 AND r.srsubstate <> 'r'"""
_COPIED: Final = """\
SELECT coalesce(sum(c.tuples_processed), 0)::bigint AS rows, coalesce(sum(c.bytes_processed), 0)::bigint AS bytes
FROM pg_catalog.pg_stat_progress_copy c
JOIN pg_catalog.pg_stat_subscription a ON a.pid = c.pid WHERE a.subname = $1"""
_ERRORS: Final = """\
SELECT apply_error_count + sync_error_count AS errors
FROM pg_catalog.pg_stat_subscription_stats WHERE subname = $1"""
_BEHIND: Final = """\
SELECT (pg_catalog.pg_current_wal_insert_lsn() - confirmed_flush_lsn)::bigint AS bytes
FROM pg_catalog.pg_replication_slots WHERE slot_name = $1"""
_REACHED: Final = """\
SELECT confirmed_flush_lsn >= $2::text::pg_catalog.pg_lsn AS reached
FROM pg_catalog.pg_replication_slots WHERE slot_name = $1"""
_TIMELINE: Final = """\
SELECT pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8)"""
FLUSHED: Final = """\
SET LOCAL synchronous_commit = 'local';
SELECT pg_catalog.pg_logical_emit_message(true, 'fluxshard', '')"""
"""Commits a record that says nothing: what was written before it is flushed, and can be sent."""


@dataclass(frozen=True, slots=True)
class Stream:
    """One direction. `name` is that of the slot, the subscription and the publication."""

    move: Move
    origin: ShardId
    destination: ShardId
    name: str


def forward_stream(move: Move) -> Stream:
    """From the source to the target."""
    return Stream(move, move.source, move.target, forward(move))


def backward_stream(move: Move) -> Stream:
    """From the target to the source, after the cutover."""
    return Stream(move, move.target, move.source, backward(move))


async def publish(
    session: Session,
    stream: Stream,
    tables: Mapping[TableName, str],
    tenants: Sequence[TenantId],
    key_type: KeyType,
) -> None:
    """Make the publications on the origin; `tables` are those of the group with tenant columns."""
    async with guarded(session, stream.move):
        if not await session.fetchval(_PUBLICATION, stream.name):
            listed = ", ".join(
                f"TABLE {relation(table)} WHERE ({whose(column, tenants, key_type)})"
                for table, column in tables.items()
            )
            await session.execute(
                f"CREATE PUBLICATION {quoted(stream.name)} FOR {listed} WITH"
                " (publish = 'insert, update, delete', publish_via_partition_root = true)"
            )
        if not await session.fetchval(_PUBLICATION, keys(stream.move)):
            mine = whose("tenant", tenants, KeyType.TEXT)
            await session.execute(
                f"CREATE PUBLICATION {quoted(keys(stream.move))} FOR TABLE {relation(KEYS)}"
                f" WHERE ({mine}) WITH (publish = 'insert')"
            )


async def make_slot(session: Session, stream: Stream) -> bool:
    """Make the slot on the origin; whether it was missing. Waits for transactions that are open."""
    if await session.fetchrow(_SLOT, stream.name) is not None:
        return False
    await check(session, stream.move)
    try:
        await session.execute(_MAKE_SLOT, stream.name)
    except asyncpg.DuplicateObjectError:
        return False
    except asyncpg.ConfigurationLimitExceededError as error:
        raise StreamBroken(f"{stream.origin} has no free replication slot") from error
    return True


async def subscribe(
    session: Session, stream: Stream, conninfo: str, *, copy: bool, enabled: bool
) -> bool:
    """Make the subscription on the destination; whether it was missing."""
    async with guarded(session, stream.move):
        if await session.fetchval(_SUBSCRIPTION, stream.name) is not None:
            return False
        try:
            await session.execute(
                f"CREATE SUBSCRIPTION {quoted(stream.name)} CONNECTION {literal(conninfo)}"
                f" PUBLICATION {quoted(stream.name)}, {quoted(keys(stream.move))} WITH"
                f" (create_slot = false, slot_name = {literal(stream.name)},"
                f" copy_data = {_boolean(copy)}, enabled = {_boolean(enabled)},"
                " synchronous_commit = 'on')"
            )
        except asyncpg.PostgresConnectionError as error:
            raise MoveAway(f"{stream.destination} cannot reach {stream.origin}: {error}") from error
    return True


async def enable(session: Session, stream: Stream) -> None:
    """Let the subscription apply."""
    async with guarded(session, stream.move):
        if await session.fetchval(_SUBSCRIPTION, stream.name) is False:
            await session.execute(f"ALTER SUBSCRIPTION {quoted(stream.name)} ENABLE")


async def unsubscribe(session: Session, stream: Stream) -> None:
    """Take the subscription away; its slot stays."""
    async with guarded(session, stream.move):
        if await session.fetchval(_SUBSCRIPTION, stream.name) is None:
            return
        name = quoted(stream.name)
        await session.execute(f"ALTER SUBSCRIPTION {name} DISABLE")
        await session.execute(f"ALTER SUBSCRIPTION {name} SET (slot_name = NONE)")
        await session.execute(f"DROP SUBSCRIPTION {name}")


async def drop_slot(session: Session, stream: Stream) -> None:
    """Take the slot away on the origin, once its sender has ended."""
    until = time.monotonic() + SLOT_FREED_S
    while True:
        row = await session.fetchrow(_SLOT, stream.name)
        if row is None:
            return
        if row["active_pid"] is None:
            try:
                async with guarded(session, stream.move):
                    await session.execute(_DROP_SLOT, stream.name)
            except (asyncpg.ObjectInUseError, asyncpg.UndefinedObjectError):
                pass  # taken, or gone, in this moment: look again
            else:
                return
        elif time.monotonic() > until:
            raise StreamBroken(f"the slot {stream.name} on {stream.origin} stays in use")
        else:
            await check(session, stream.move)
            await session.execute(_END_SENDER, row["active_pid"])
        await asyncio.sleep(POLL_S)


async def unpublish(session: Session, stream: Stream) -> None:
    """Take the publications away on the origin."""
    async with guarded(session, stream.move):
        for name in (stream.name, keys(stream.move)):
            await session.execute(f"DROP PUBLICATION IF EXISTS {quoted(name)}")


async def take_down(places: Places, stream: Stream) -> None:
    """The whole stream away, the destination's part first."""
    async with places.primary(stream.destination) as session:
        await unsubscribe(session, stream)
    async with places.primary(stream.origin) as session:
        await drop_slot(session, stream)
        await unpublish(session, stream)


async def slot_lost(session: Session, stream: Stream) -> bool:
    """Whether the slot is gone from the origin: a promoted standby does not have it."""
    row = await session.fetchrow(_SLOT, stream.name)
    return row is None or row["wal_status"] == "lost"


async def unready(session: Session, stream: Stream) -> int:
    """How many tables the destination has not copied yet."""
    return int(await session.fetchval(_UNREADY, stream.name))


async def copied(session: Session, stream: Stream) -> tuple[int, int]:
    """Rows and bytes that the destination's copies under way have taken in."""
    row = await session.fetchrow(_COPIED, stream.name)
    return (row["rows"], row["bytes"]) if row is not None else (0, 0)


async def errors(session: Session, stream: Stream) -> int:
    """How often the subscription has failed."""
    return int(await session.fetchval(_ERRORS, stream.name) or 0)


async def behind(session: Session, stream: Stream) -> int:
    """Bytes of log that the destination has not confirmed; on the origin.

    Raises:
        StreamBroken: The slot is gone.
    """
    found = await session.fetchval(_BEHIND, stream.name)
    if found is None:
        raise StreamBroken(f"the slot {stream.name} is gone from {stream.origin}")
    return int(found)


async def flushed_position(session: Session) -> str:
    """A position after everything that was committed on this server before now, flushed."""
    async with session.transaction():
        await session.execute(FLUSHED)
    return str(await session.fetchval("SELECT pg_catalog.pg_current_wal_flush_lsn()::text"))


async def timeline(session: Session) -> str:
    """The timeline of a primary; a promotion begins another one."""
    return str(await session.fetchval(_TIMELINE))


async def reached(session: Session, stream: Stream, lsn: str, within_s: float) -> bool:
    """Wait until the destination has confirmed a position; on the origin.

    Raises:
        StreamBroken: The slot is gone.
    """
    until = time.monotonic() + within_s
    while True:
        found = await session.fetchval(_REACHED, stream.name, lsn)
        if found is None:
            raise StreamBroken(f"the slot {stream.name} is gone from {stream.origin}")
        if found:
            return True
        if time.monotonic() > until:
            return False
        await asyncio.sleep(POLL_S / 10)


def _boolean(value: bool) -> str:  # noqa: FBT001 - it is the value
    return "true" if value else "false"
