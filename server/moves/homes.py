"""A home changes: to the target in a cutover, back to the source in a rollback.

Until the old home's fences say that the units are gone, everything can be undone; from then on there
is only forward. So each of these steps begins by asking the fences.
"""

import asyncio
import random
from typing import Final

from server.moves.admitting import admit
from server.moves.cleaning import take_rows_away
from server.moves.cutover import Cutover, FailedOver, Newcomers, attempt, decided, is_open, opened
from server.moves.errors import PauseTooLong, RowsDiffer, WayBackLost
from server.moves.fences import claim, set_fence
from server.moves.group import sharded_tables
from server.moves.names import backward
from server.moves.preflight import tables_on
from server.moves.request import Move, State
from server.moves.streams import (
    backward_stream,
    enable,
    forward_stream,
    make_slot,
    publish,
    slot_lost,
    subscribe,
    take_down,
    timeline,
    unsubscribe,
)
from server.moves.verifying import differences, repair
from server.moves.work import Work
from shardmap import CatalogSource, ShardId, Unit, read_unit

FIRST_AGAIN_S: Final = 0.1
LAST_AGAIN_S: Final = 5.0
LISTED: Final = 50
"""Differences that an error names."""


async def prepare_way_back(work: Work, move: Move) -> Move:
    """The stream back, made and not yet flowing.

    Making its slot waits for transactions, and no writer should wait with it.
    """
    stream = backward_stream(move)
    async with work.places.primary(move.target) as target:
        tables = sharded_tables(work.places.shard_map)
        await publish(target, stream, tables, move.tenants, work.places.shard_map.key_type)
        fresh = await make_slot(target, stream)
    conninfo = await work.places.conninfo(move.target)
    async with work.places.primary(move.source) as source:
        if fresh:
            await unsubscribe(source, stream)  # of a slot that was lost with its server
        await subscribe(source, stream, conninfo, copy=False, enabled=False)
    return await work.journal.step(move, State.CUTOVER)


async def cut_over(work: Work, move: Move) -> Move:
    """The target is home, the map says so, and the stream flows back.

    Raises:
        PauseTooLong: No attempt was short enough; the source is home as before.
    """
    cutover = Cutover(
        forward_stream(move),
        backward(move),
        {unit: epoch + 1 for unit, epoch in move.facts["epochs"].items()},
        tuple(sharded_tables(work.places.shard_map)),
        str(move.facts.get("timeline")),
    )
    try:
        pause_s = await _decide(work, move, cutover)
    except FailedOver:
        return await work.journal.step(move, State.VERIFYING)
    except Newcomers as newcomers:
        tenants = newcomers.tenants
        return await work.patiently(lambda: admit(work, move, tenants, cutover.stream))
    await _publish_map(work, move, cutover)
    await take_down(work.places, forward_stream(move))
    async with work.places.primary(move.source) as source:
        await enable(source, backward_stream(move))
    facts = {"pause_s": pause_s} if pause_s is not None else {}
    return await work.journal.step(move, State.MOVED, facts)


async def go_back(work: Work, move: Move) -> Move:
    """Make sure that a rollback loses nothing.

    Raises:
        WayBackLost: The stream back is gone with a server; the target stays home.
        RowsDiffer: The source's rows are not the target's, and cannot be put right.
    """
    await _refuse_without_way_back(work, move)
    stream, key_type = backward_stream(move), work.places.shard_map.key_type
    tables = await tables_on(work.places, move.target)
    async with work.places.primary(move.source) as source:
        on_timeline = await timeline(source)
    found, rows = await differences(work.places, stream, tables, move.tenants, key_type)
    if found:  # a primary of the source has confirmed what its heir has not
        await repair(work.places, stream, tables, found, (move.tenants, key_type))
        found, rows = await differences(work.places, stream, tables, move.tenants, key_type)
    if found:
        raise RowsDiffer(f"{len(found)} rows differ, of {rows}", *map(str, found[:LISTED]))
    return await work.journal.step(move, State.RETURNING, {"timeline_back": on_timeline})


async def _refuse_without_way_back(work: Work, move: Move) -> None:
    """Leave the move at rest where it is if it cannot return: it can be cleaned up then.

    Raises:
        WayBackLost: It cannot.
    """
    async with work.places.primary(move.target) as target:
        lost = await slot_lost(target, backward_stream(move))
    if lost and not await is_decided(work, _return(work, move)):
        await work.journal.step(move, State.MOVED)
        raise WayBackLost(
            f"the stream back to {move.source} was lost with a server of {move.target}:"
            f" `fluxshard moves clean {move.id}`, then move it anew"
        )


def _return(work: Work, move: Move) -> Cutover:
    return Cutover(
        backward_stream(move),
        None,
        {unit: epoch + 2 for unit, epoch in move.facts["epochs"].items()},
        tuple(sharded_tables(work.places.shard_map)),
        str(move.facts.get("timeline_back")),
    )


async def return_home(work: Work, move: Move) -> Move:
    """The source is home again, with everything that was written since; nothing is left over.

    Raises:
        PauseTooLong: No attempt was short enough; the target is home as before.
        WayBackLost: The stream back is gone with a server; the target stays home.
    """
    await _refuse_without_way_back(work, move)
    cutover = _return(work, move)
    try:
        pause_s = await _decide(work, move, cutover)
    except FailedOver:
        return await work.journal.step(move, State.ROLLING_BACK)
    except Newcomers as newcomers:
        tenants = newcomers.tenants
        return await work.patiently(lambda: admit(work, move, tenants, cutover.stream))
    await _publish_map(work, move, cutover)
    await take_down(work.places, backward_stream(move))
    await forget(work, move, move.target)
    return await work.journal.step(
        move, State.ROLLED_BACK, {"pause_back_s": pause_s} if pause_s is not None else {}
    )


async def _decide(work: Work, move: Move, cutover: Cutover) -> float | None:
    """The new home is open. How long writers waited; None when a mover before us did it."""
    if await is_decided(work, cutover):
        async with work.places.primary(cutover.new_home) as session:
            await work.patiently(lambda: opened(session, cutover))
        return None
    wait_s = FIRST_AGAIN_S
    for number in range(1, work.limits.attempts + 1):
        try:
            return await attempt(work.places, cutover)
        except PauseTooLong as error:
            if number == work.limits.attempts:
                raise
            work.tell(move, note=f"attempt {number}: {error}")
        await asyncio.sleep(wait_s * random.uniform(0.5, 1))  # noqa: S311 - writers get in between
        wait_s = min(1.5 * wait_s, LAST_AGAIN_S)
    raise PauseTooLong("no attempt was made")


async def is_decided(work: Work, cutover: Cutover) -> bool:
    """Whether the units have left their old home; the new one may say so without it."""
    async with work.places.primary(cutover.new_home) as session:
        if await is_open(session, cutover):
            return True
    async with work.places.primary(cutover.old_home) as session:
        return await work.patiently(lambda: decided(session, cutover))


async def _publish_map(work: Work, move: Move, cutover: Cutover) -> None:
    epochs = {_unit(name): epoch for name, epoch in cutover.epochs.items()}
    async with work.places.catalog() as session:
        await CatalogSource(session).apply_move(
            epochs, cutover.new_home, author=work.author, reason=f"move {move.id}: {move.title}"
        )


def _unit(name: str) -> Unit:
    unit = read_unit(name)
    if unit is None:
        raise AssertionError(f"{name} was a unit when it was written")
    return unit


async def forget(work: Work, move: Move, shard: ShardId) -> None:
    """Take the rows away where they are not at home any more; the fences stay, without tenants.

    A router with a very old map has to be refused there for ever.
    """
    async with work.places.primary(shard) as session:
        await take_rows_away(work, session, move, shard)

        async def without_tenants() -> None:
            async with session.transaction():
                for unit, fence in sorted((await claim(session, move)).items()):
                    if fence.tenants and fence.state == "gone":
                        await set_fence(
                            session,
                            unit,
                            epoch=fence.epoch,
                            state=fence.state,
                            moved_to=fence.moved_to,
                            lease=move.lease,
                            tenants=None,
                        )

        await work.patiently(without_tenants)
