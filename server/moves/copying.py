"""The copy and its catching up: PostgreSQL's own logical replication, watched."""

import asyncio
import time
from typing import Final

from server.moves.cleaning import take_rows_away
from server.moves.cutover import NEAR_BYTES
from server.moves.errors import StreamBroken
from server.moves.fences import standing_s
from server.moves.group import KEYS, relation, sharded_tables, whose
from server.moves.request import Move, State
from server.moves.streams import (
    Stream,
    behind,
    copied,
    drop_slot,
    errors,
    flushed_position,
    forward_stream,
    make_slot,
    publish,
    reached,
    slot_lost,
    subscribe,
    timeline,
    unready,
    unsubscribe,
)
from server.moves.work import Work
from shardmap import KeyType

LOOK_S: Final = 0.1
TELL_S: Final = 1.0
KEYS_KEPT: Final = "1 day"
"""Records of idempotency keys that are older are taken as expired: only additions are replicated."""


async def copy(work: Work, move: Move) -> Move:
    """Every row of the tenants on the target, and what is written to them since.

    Raises:
        StreamBroken: The copy stands still, and fails again and again.
    """
    stream = forward_stream(move)
    key_type = work.places.shard_map.key_type
    async with work.places.primary(move.source) as source:
        fresh = await slot_lost(source, stream)
    if fresh:
        await _from_the_beginning(work, stream)
    async with work.places.primary(move.source) as source:
        mine = whose("tenant", move.tenants, KeyType.TEXT)
        await source.execute(
            f"DELETE FROM {relation(KEYS)} WHERE {mine} AND kept_at < now() - interval '{KEYS_KEPT}'"  # noqa: S608
        )
        tables = sharded_tables(work.places.shard_map)
        await publish(source, stream, tables, move.tenants, key_type)
        await make_slot(source, stream)
    conninfo = await work.places.conninfo(move.source)
    async with work.places.primary(move.target) as target:
        await asyncio.sleep(work.limits.seen_s - await standing_s(target, move.units))
        if "timeline" not in move.facts or fresh:
            found = await timeline(target)
            move = await work.journal.step(move, State.COPYING, {"timeline": found})
        await subscribe(target, stream, conninfo, copy=True, enabled=True)
    await _all_copied(work, stream)
    async with work.places.primary(move.target) as target:
        for table in tables:
            await target.execute(f"ANALYZE {relation(table)}")
    return await work.journal.step(move, State.CATCHING_UP)


async def catch_up(work: Work, move: Move) -> Move:
    """The target as near as a cutover needs it."""
    stream = forward_stream(move)
    told = 0.0
    async with work.places.primary(move.source) as source:
        while True:
            work.stop_if_paused(move)
            if await reached(source, stream, await flushed_position(source), TELL_S):
                break
            lag = await behind(source, stream)
            if lag < NEAR_BYTES:
                break
            if time.monotonic() - told > TELL_S:
                told = time.monotonic()
                work.tell(move, lag_bytes=lag)
            await asyncio.sleep(LOOK_S)
    return await work.journal.step(move, State.VERIFYING)


async def _from_the_beginning(work: Work, stream: Stream) -> None:
    """Nothing of an earlier copy: its slot, and with it what came after it, is gone."""
    move = stream.move
    async with work.places.primary(move.target) as target:
        await unsubscribe(target, stream)
        await take_rows_away(work, target, move, move.target)
    async with work.places.primary(move.source) as source:
        await drop_slot(source, stream)


async def _all_copied(work: Work, stream: Stream) -> None:
    move = stream.move
    began = moved = told = time.monotonic()
    seen: tuple[int, ...] = ()
    failed = 0
    async with work.places.primary(move.target) as target:
        first = await errors(target, stream)
        while True:
            work.stop_if_paused(move)
            left = await unready(target, stream)
            if left == 0:
                return
            rows, size = await copied(target, stream)
            now = time.monotonic()
            if (left, rows) != seen:
                seen, moved = (left, rows), now
            failed = await errors(target, stream) - first
            if failed and now - moved > work.limits.stuck_s:
                raise StreamBroken(
                    f"the copy on {move.target} has failed {failed} times and stands still: its"
                    " server's log says why"
                )
            if now - told > TELL_S:
                told = now
                expected = int(move.facts.get("rows", 0))
                eta = (now - began) * max(0, expected - rows) / rows if rows else None
                work.tell(move, rows=rows, bytes=size, eta_s=eta)
            await asyncio.sleep(LOOK_S / 2)
