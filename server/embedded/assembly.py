"""Bringing a shard to what the record says: one primary, and standbys that stream from it."""

import asyncio
from collections.abc import Collection
from enum import IntEnum
from typing import Final

from server.embedded import postmaster, questions, replication
from server.embedded.errors import (
    ServerFailed,
    ServerSlow,
    ServerTrouble,
    ServerUnreachable,
    StandbyAhead,
)
from server.embedded.postmaster import Works
from server.embedded.record import ServerRecord, ShardRecord
from server.embedded.together import together

PROMOTE_LIMIT_S: Final = 60
STUCK_S: Final = 5.0
"""A standby that has neither connected nor replayed anything for so long will not by itself."""
STRAYED: Final = "is not a child of this server's history"
"""What PostgreSQL says when it sees at its start that its own way leads off the primary's."""
STREAM_POLL_S: Final = 0.05


class Repair(IntEnum):
    """How hard we try to make a standby follow, each step taking longer."""

    NONE = 0
    REWIND = 1
    COPY = 2


async def assemble(works: Works, shard: ShardRecord, standbys: Collection[ServerRecord]) -> None:
    """Start the shard's primary and these standbys, making or mending what is needed.

    `shard.primary` is already settled (see `truth`): no other server of the shard is a primary.

    Raises:
        EmbeddedError: Some of `errors`, by name.
    """
    await raise_primary(works, shard)
    await together(raise_standby(works, shard, standby) for standby in standbys)
    await follow(works, shard, standbys)


async def raise_primary(works: Works, shard: ShardRecord) -> None:
    """Start the primary, making it first in a new shard, promoting it if that is unfinished."""
    server = shard.server(shard.primary)
    if not replication.usable(works.site, server):
        works.progress(f"{server.name}: making its data directory")
        await replication.make_primary(works, shard, server)
    await postmaster.start(works, shard, server)
    if (await questions.state(works.site, server)).in_recovery:
        works.progress(f"{server.name}: promoting it to primary of {shard.id}")
        if not await questions.promote(works.site, server, PROMOTE_LIMIT_S):
            raise ServerSlow(server.name, "promoted", PROMOTE_LIMIT_S)
    await questions.make_database(works.site, server)
    works.progress(f"{server.name}: running, primary of {shard.id}")


async def raise_standby(
    works: Works, shard: ShardRecord, server: ServerRecord, repair: Repair = Repair.NONE
) -> None:
    """Start a standby, copying or rewinding its data first if needed.

    Raises:
        ServerUnreachable: That is needed, and the primary does not run.
    """
    usable = replication.usable(works.site, server)
    strayed = usable and not works.site.is_standby(server)
    primary_runs = postmaster.pid_of(works.site, shard.server(shard.primary)) is not None
    if (strayed or not usable) and not primary_runs:
        raise ServerUnreachable(
            f"{server.name} can join only while {shard.primary} runs",
            hint=f"Start {shard.primary} first, or promote a replica.",
        )
    if usable and repair is not Repair.COPY and (strayed or repair is Repair.REWIND):
        works.progress(f"{server.name}: rewinding it to follow {shard.primary}")
        usable = await replication.rewind(works, shard, server)
    if not usable or repair is Repair.COPY:
        works.progress(f"{server.name}: copying {shard.primary}")
        await replication.copy_primary(works, shard, server)
    try:
        await postmaster.start(works, shard, server)
    except ServerFailed as error:
        if repair is Repair.NONE and STRAYED in error.message and primary_runs:
            await raise_standby(works, shard, server, Repair.REWIND)
        else:
            raise


async def follow(works: Works, shard: ShardRecord, standbys: Collection[ServerRecord]) -> None:
    """Wait until the standbys stream, mending those that cannot.

    Raises:
        StandbyAhead: One has what its primary lacks; mending it would lose that.
        ServerSlow: One does not follow even as a fresh copy.
    """
    for repair in Repair:
        stuck = await _stuck(works, shard, standbys)
        if not stuck:
            return
        if repair is Repair.COPY:
            break
        await together(_mend(works, shard, standby, Repair(repair + 1)) for standby in stuck)
    raise ServerSlow(stuck[0].name, f"streaming from {shard.primary}", STUCK_S)


async def _mend(works: Works, shard: ShardRecord, server: ServerRecord, repair: Repair) -> None:
    await postmaster.stop(works.site, works.children, server)
    await raise_standby(works, shard, server, repair)


async def _stuck(
    works: Works, shard: ShardRecord, standbys: Collection[ServerRecord]
) -> list[ServerRecord]:
    """The standbys that neither stream nor get any further; empty once all stream.

    One that has gone its own way streams for moments, up to where the ways part: only the
    primary's present timeline counts.

    Raises:
        StandbyAhead: One has more of that timeline than the primary. PostgreSQL would not notice
            when both are in the same WAL file, nor would pg_rewind.
    """
    clock = asyncio.get_running_loop()
    primary = shard.server(shard.primary)
    timeline = replication.timeline(works.site, primary)
    waiting = {standby.name: standby for standby in standbys}
    seen: dict[str, int | None] = {}
    moved_at = clock.time()
    while waiting and clock.time() - moved_at < STUCK_S:
        states = await together(_state(works, standby) for standby in waiting.values())
        end = (await questions.state(works.site, primary)).lsn
        for (name, standby), state in zip(tuple(waiting.items()), states, strict=True):
            more = state is not None and state.replayed > end
            if more and replication.timeline(works.site, standby) == timeline:
                raise StandbyAhead(name, primary.name)
            lsn = state.lsn if state is not None else None
            if name not in seen or seen[name] != lsn:
                seen[name] = lsn
                moved_at = clock.time()
            if state is not None and state.streaming == timeline:
                works.progress(f"{name}: running, replica of {shard.id}")
                del waiting[name]
        if waiting:
            await asyncio.sleep(STREAM_POLL_S)
    return list(waiting.values())


async def _state(works: Works, server: ServerRecord) -> questions.State | None:
    """What the standby says of itself; None when it says nothing."""
    try:
        return await questions.state(works.site, server)
    except ServerTrouble:
        return None
