"""Making another server the primary of a shard, without losing an acknowledged write."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

from server.embedded import postmaster, questions, replication
from server.embedded.assembly import assemble
from server.embedded.errors import PromotionRefused, ServerSlow, ServerTrouble
from server.embedded.postmaster import Works
from server.embedded.record import ServerRecord, ShardRecord
from server.embedded.together import together

SETTLE_LIMIT_S: Final = 60.0
"""A standby that was restarted first replays the WAL that it has."""


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """How far a standby is: all of a timeline comes before any of a newer one."""

    timeline: int
    lsn: int


def most_advanced(positions: Mapping[str, Position]) -> str:
    """The standby that has every write that any of them has confirmed; of equals the first."""
    furthest = max(positions.values())
    return min(name for name, position in positions.items() if position == furthest)


async def promote(
    works: Works, shard: ShardRecord, *, to: str | None = None, accept_loss: bool
) -> str:
    """Promote the shard's most advanced standby, or the one that is named; its name.

    A running primary is stopped first and becomes a standby. One that is down stays down until
    `up` rewinds it. The record is changed before the promotion, so that an interrupted one is
    finished by the next `up`, and the old primary is never started as one again.

    Raises:
        PromotionRefused: There is no standby, or acknowledged writes could be lost.
    """
    site = works.site
    old = shard.server(shard.primary)
    candidates = [
        standby
        for standby in shard.standbys
        if replication.usable(site, standby) and site.is_standby(standby)
    ]
    if not candidates:
        raise PromotionRefused(f"{shard.id} has no replica that could be promoted")
    if to is not None and all(standby.name != to for standby in candidates):
        raise PromotionRefused(f"{to} is no replica of {shard.id} that could be promoted")
    planned = postmaster.pid_of(site, old) is not None
    answers = await together(_wake(works, shard, standby) for standby in candidates)
    awake = [standby for standby, answer in zip(candidates, answers, strict=True) if answer]
    silent = [standby.name for standby in candidates if standby not in awake]
    if not awake or (silent and not planned and not accept_loss):
        raise _refusal(shard, silent)
    if planned:
        works.progress(f"{old.name}: stopping it, as {shard.id} never has two primaries")
    orderly = await postmaster.stop(site, works.children, old)
    positions = await _positions(works, awake)
    heir = most_advanced(positions) if to is None else to
    if heir not in positions or (not accept_loss and positions[heir] < max(positions.values())):
        await assemble(works, shard, awake)
        raise PromotionRefused(f"{heir} lacks what {most_advanced(positions)} has")
    if not accept_loss and not await _complete(
        works, old, positions[heir], silent, orderly=orderly
    ):
        await assemble(works, shard, awake)
        raise _refusal(shard, silent or [heir])
    record = site.record.with_primary(shard.id, heir)
    site.directory.write_record(record)
    works = replace(works, site=replace(site, record=record))
    followers = [standby for standby in awake if standby.name != heir]
    await assemble(works, record.shard(shard.id), [*followers, old] if planned else followers)
    return heir


async def _complete(
    works: Works, old: ServerRecord, heir: Position, silent: Collection[str], *, orderly: bool
) -> bool:
    """Whether the heir surely has all that the old primary acknowledged.

    After an orderly shutdown it must have the old one's last record. After any other, one of all
    standbys has confirmed each acknowledged write, so all of them must have been asked.
    """
    if not orderly:
        return not silent
    last = await replication.shutdown_lsn(works, old)
    return heir > Position(replication.timeline(works.site, old), last)


async def _wake(works: Works, shard: ShardRecord, standby: ServerRecord) -> bool:
    """Start a standby that is down; whether it runs."""
    try:
        await postmaster.start(works, shard, standby)
    except ServerTrouble as error:
        works.progress(f"{standby.name}: {error}")
        return False
    return True


async def _positions(works: Works, standbys: Collection[ServerRecord]) -> dict[str, Position]:
    """How far each standby is, once it has replayed what it has."""
    lsns = await together(_settled(works, standby) for standby in standbys)
    return {
        standby.name: Position(replication.timeline(works.site, standby), lsn)
        for standby, lsn in zip(standbys, lsns, strict=True)
    }


async def _settled(works: Works, standby: ServerRecord) -> int:
    try:
        async with asyncio.timeout(SETTLE_LIMIT_S):
            state = await questions.state(works.site, standby)
            while not state.settled:
                await asyncio.sleep(postmaster.POLL_S)
                state = await questions.state(works.site, standby)
    except TimeoutError as error:
        raise ServerSlow(standby.name, "done with its WAL", SETTLE_LIMIT_S) from error
    return state.lsn


def _refusal(shard: ShardRecord, names: Collection[str]) -> PromotionRefused:
    return PromotionRefused(
        f"{', '.join(names)} of {shard.id} could be the only one that has the last acknowledged"
        " writes, and cannot be asked or does not have them all",
        hint="Bring the shard back with `fluxshard cluster up`, or accept the loss.",
    )
