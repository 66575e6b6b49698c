"""The cutover: one transaction on the old home, whose commit decides where the units are at home.

While it is open nobody is inside of the units: who writes waits in the database for their locks. The
transaction marks them as gone, waits until the new home has confirmed everything, and commits. If it
takes too long, or its mover dies, PostgreSQL rolls it back, and the old home is open as before; so no
state in between has to be mended. After the commit only the new home can be opened.
"""

import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

import asyncpg

from server.moves.enumerating import enumerate_tenants
from server.moves.errors import PauseTooLong, StreamBroken
from server.moves.fences import Fence, claim, guarded, read_fences, set_fence, settled, texts
from server.moves.request import Move
from server.moves.sequences import raise_sequences, sequence_pairs
from server.moves.sessions import Places, Session
from server.moves.streams import Stream, flushed_position, reached, timeline
from shardmap import ShardId, ShardMap, TableName, TenantId

LOCK_SHARE: Final = 0.6
"""The part of the pause that may be spent waiting for those who are inside."""
NEAR_BYTES: Final = 256 * 1024
"""Nearer than this, the new home confirms the rest well within a pause."""
CAUGHT_UP_S: Final = 10.0
ALL: Final = "*"

_LOCK: Final = "SELECT pg_catalog.pg_advisory_xact_lock(fluxshard.unit_lock($1))"
_GONE: Final = "gone"
_RECORD: Final = "SELECT pg_catalog.pg_logical_emit_message(true, 'fluxshard', '')"
_HAS_SLOT: Final = """\
SELECT EXISTS (SELECT FROM pg_catalog.pg_replication_slots WHERE slot_name = $1)"""
_ADVANCE: Final = """\
SELECT pg_catalog.pg_replication_slot_advance($1, pg_catalog.pg_current_wal_flush_lsn())
FROM pg_catalog.pg_replication_slots WHERE slot_name = $1 AND active_pid IS NULL
    AND confirmed_flush_lsn < pg_catalog.pg_current_wal_flush_lsn()"""


class Newcomers(Exception):
    """Tenants that have to be taken into the move before its cutover."""

    def __init__(self, tenants: tuple[TenantId, ...]) -> None:
        super().__init__(f"{len(tenants)} tenants are new in the slots")
        self.tenants = tenants


class FailedOver(Exception):
    """The new home has another primary than when both sides were compared.

    What the old one has confirmed, the new one need not have: PostgreSQL's apply worker may confirm
    a commit that waits for a standby when its server dies.
    """


@dataclass(frozen=True, slots=True)
class Cutover:
    """What changes places: the stream's origin is the old home, its destination the new one."""

    stream: Stream
    back: str | None
    """The slot of the stream back, on the new home; it begins where the cutover ends."""
    epochs: Mapping[str, int]
    """The units' epochs at the new home, by name."""
    tables: tuple[TableName, ...]
    timeline: str = ""
    """Of the new home when both sides were compared."""

    @property
    def move(self) -> Move:
        """Whose cutover it is."""
        return self.stream.move

    @property
    def old_home(self) -> ShardId:
        """Where the units were."""
        return self.stream.origin

    @property
    def new_home(self) -> ShardId:
        """Where they are afterwards."""
        return self.stream.destination


async def decided(session: Session, cutover: Cutover) -> bool:
    """Whether the units have left the old home, as the holder of the newest lease sees it.

    Raises:
        LeaseLost: A newer mover has been here.
    """
    return _all_gone(await settled(session, cutover.move), cutover)


def _all_gone(fences: Mapping[str, Fence], cutover: Cutover) -> bool:
    return all(
        unit in fences
        and fences[unit].state == _GONE
        and fences[unit].epoch == cutover.epochs[unit]
        for unit in texts(cutover.move.units)
    )


async def is_open(session: Session, cutover: Cutover) -> bool:
    """Whether the new home has been opened: only who had the decision did that."""
    found = await read_fences(session, cutover.move.units)
    return all(
        unit in found and (found[unit].state, found[unit].epoch) == ("open", cutover.epochs[unit])
        for unit in texts(cutover.move.units)
    )


async def attempt(places: Places, cutover: Cutover) -> float:
    """One attempt; how long writers were kept waiting, in seconds, if it succeeded.

    The new home is open when this returns; the map does not say so yet.

    Raises:
        PauseTooLong: It would have taken longer than the move's `max_pause_s`; nothing changed.
        FailedOver: The new home's primary is another one; nothing changed.
        Newcomers: Tenants came into a slot that moves; nothing changed.
        LeaseLost: Another mover has taken over.
        MoveAway: A server stopped answering. Which side is home, the fences say: see `decided`.
    """
    move, stream = cutover.move, cutover.stream
    async with AsyncExitStack() as stack:
        old = await stack.enter_async_context(places.primary(cutover.old_home))
        watch = await stack.enter_async_context(places.primary(cutover.old_home))
        new = await stack.enter_async_context(places.primary(cutover.new_home))
        advance = await stack.enter_async_context(places.primary(cutover.new_home))
        numbered = await sequence_pairs(old, new, cutover.tables)
        await raise_sequences(old, new, numbered)
        await _advanced(advance, cutover)
        if not await reached(watch, stream, await flushed_position(watch), CAUGHT_UP_S):
            raise PauseTooLong(f"{cutover.new_home} does not catch up with {cutover.old_home}")
        began = time.monotonic()
        try:
            async with old.transaction():
                await shut_units(old, move)
                await _mark_gone(old, cutover)
                await _refuse_newcomers(old, places.shard_map, move)
                left = began + move.max_pause_s - time.monotonic()
                if not await reached(watch, stream, await flushed_position(watch), left):
                    raise PauseTooLong(f"{cutover.new_home} did not confirm in time")
                await raise_sequences(watch, new, numbered)
                await _advanced(advance, cutover)
                await _with_standby(advance)
                if await timeline(advance) != cutover.timeline:
                    raise FailedOver
                if time.monotonic() - began > move.max_pause_s:
                    raise PauseTooLong(f"the pause was longer than {move.max_pause_s:g} s")
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
            raise PauseTooLong("writers were inside for all of the time") from error
        await opened(new, cutover)
        return time.monotonic() - began


async def shut_units(session: Session, move: Move) -> None:
    """Wait for those inside of the units, and let nobody in until the transaction ends."""
    patience_ms = max(1, int(move.max_pause_s * LOCK_SHARE * 1000))
    await session.execute(f"SET LOCAL lock_timeout = '{patience_ms}ms'")
    await session.execute(
        f"SET LOCAL idle_in_transaction_session_timeout = '{int(move.max_pause_s * 2000) + 1000}ms'"
    )
    for unit in texts(move.units):
        await session.execute(_LOCK, unit)
    await session.execute(_LOCK, ALL)


async def _refuse_newcomers(session: Session, shard_map: ShardMap, move: Move) -> None:
    """Tenants that came into a slot after its copy began are not on the new home.

    Raises:
        Newcomers: There are some.
    """
    if move.of_slots:
        found = await enumerate_tenants(session, shard_map, frozenset(move.of_slots))
        new = tuple(tenant for tenant in found if tenant not in move.tenants)
        if new:
            raise Newcomers(new)


async def _mark_gone(session: Session, cutover: Cutover) -> None:
    move = cutover.move
    for unit in texts(move.units):
        await set_fence(
            session,
            unit,
            epoch=cutover.epochs[unit],
            state=_GONE,
            moved_to=cutover.new_home,
            lease=move.lease,
            tenants=move.tenants_of(unit),
        )


async def opened(session: Session, cutover: Cutover) -> None:
    """Open the new home, if it is not open yet. Only after the decision."""
    move = cutover.move
    async with session.transaction():
        present = await claim(session, move)
        for unit in texts(move.units):
            fence = present.get(unit)
            epoch = cutover.epochs[unit]
            if fence is None or (fence.state, fence.epoch) != ("open", epoch):
                await set_fence(
                    session,
                    unit,
                    epoch=epoch,
                    state="open",
                    moved_to=None,
                    lease=move.lease,
                    tenants=None,
                )


async def _with_standby(session: Session) -> None:
    """Commit something: it returns when a standby has all of this server's log, where one has to."""
    async with session.transaction():
        await session.execute(_RECORD)


async def _advanced(session: Session, cutover: Cutover) -> None:
    """Have the stream back begin here: what came by the stream forth is not to be sent back."""
    if cutover.back is None:
        return
    async with guarded(session, cutover.move):
        if not await session.fetchval(_HAS_SLOT, cutover.back):
            raise StreamBroken(f"the slot of the stream back is gone from {cutover.new_home}")
        await session.execute(_ADVANCE, cutover.back)
