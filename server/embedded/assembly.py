"""Bringing a shard to what the record says: one primary, and standbys that stream from it."""

import asyncio
from collections.abc import Collection
from enum import IntEnum
from typing import Final

from server.embedded import postmaster, questions, replication
from server.embedded.errors import ServerSlow, ServerTrouble, ServerUnreachable
from server.embedded.postmaster import Works
from server.embedded.record import ServerRecord, ShardRecord
from server.embedded.together import together

PROMOTE_LIMIT_S: Final = 60
STUCK_S: Final = 5.0
"""A standby that has neither connected nor replayed anything for so long will not by itself."""
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
        works.progress(f"{server.name}: finishing its promotion")
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
    await postmaster.start(works, shard, server)


async def follow(works: Works, shard: ShardRecord, standbys: Collection[ServerRecord]) -> None:
    """Wait until the standbys stream, mending those that cannot.

    Raises:
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
    """The standbys that neither stream nor get any further; empty once all stream."""
    clock = asyncio.get_running_loop()
    seen: dict[str, int] = {}
    moved_at = clock.time()
    told: set[str] = set()
    while True:
        streaming = {
            follower.name
            for follower in await questions.followers(works.site, shard.server(shard.primary))
            if follower.streaming
        }
        for standby in standbys:
            if standby.name in streaming - told:
                works.progress(f"{standby.name}: running, replica of {shard.id}")
                told.add(standby.name)
                moved_at = clock.time()
        missing = [standby for standby in standbys if standby.name not in streaming]
        if not missing:
            return []
        for standby in missing:
            lsn = await _lsn(works, standby)
            if seen.get(standby.name) != lsn:
                seen[standby.name] = lsn
                moved_at = clock.time()
        if clock.time() - moved_at > STUCK_S:
            return missing
        await asyncio.sleep(STREAM_POLL_S)


async def _lsn(works: Works, server: ServerRecord) -> int:
    """How far the standby is; -1 when it does not say."""
    try:
        return (await questions.state(works.site, server)).lsn
    except ServerTrouble:
        return -1
