"""Giving a tenant a pin of its own where it is at home, and taking it away: no row moves.

Both change the tenant's unit, and with it which fence its writers enter. The fences change first, and
wait for those inside; then the map is published, before the transaction with the fences ends, so that
writers wait for it instead of being refused.
"""

import asyncio
from dataclasses import replace
from typing import Final

import asyncpg

from server.moves.errors import MoveAway, PauseTooLong, WrongState
from server.moves.fences import LOCK_TIMEOUT_S, read_fences, set_fence
from server.moves.sessions import Places, Session
from shardmap import (
    CatalogSource,
    MapConflict,
    Pin,
    PinUnit,
    ShardId,
    ShardMap,
    SlotUnit,
    TenantId,
    Unit,
    slot_of,
    succeed,
    unit_text,
)

ATTEMPTS: Final = 40
AGAIN_S: Final = 0.2


async def newest_map(places: Places) -> ShardMap:
    """The map in force.

    Raises:
        MoveAway: The catalog does not answer, or has no map.
    """
    async with places.catalog() as session:
        found = await CatalogSource(session).newest()
    if found is None:
        raise MoveAway("no map has been applied")
    return found


async def pin_at_home(places: Places, tenant: TenantId, *, author: str, reason: str) -> ShardMap:
    """The map with a pin for the tenant where it is at home. Safe to repeat.

    Raises:
        PauseTooLong: Writers of its slot were inside all the time.
        MoveAway: The shard or the catalog does not answer.
    """

    def changed(old: ShardMap) -> ShardMap | None:
        if tenant in old.pins:
            return None
        return replace(old, pins={**old.pins, tenant: Pin(old.owner(tenant))})

    for _ in range(ATTEMPTS):
        old = await newest_map(places)
        new = changed(old)
        if new is None:
            return old
        new = succeed(old, new)
        units: tuple[Unit, ...] = (SlotUnit(slot_of(tenant)), PinUnit(tenant))
        if await _published(places, old, new, units, author=author, reason=reason):
            return new
        await asyncio.sleep(AGAIN_S)
    raise PauseTooLong(f"writers of slot {slot_of(tenant)} were inside for all of the time")


async def unpin_at_home(places: Places, tenant: TenantId, *, author: str, reason: str) -> ShardMap:
    """The map without the tenant's pin, which is where its slot is. Safe to repeat.

    Raises:
        WrongState: The slot is at home elsewhere: that needs a move first.
        PauseTooLong: Writers were inside all the time.
        MoveAway: The shard or the catalog does not answer.
    """
    slot = slot_of(tenant)
    for _ in range(ATTEMPTS):
        old = await newest_map(places)
        if tenant not in old.pins:
            return old
        home = old.pins[tenant].shard
        if old.slots[slot] != home:
            raise WrongState(
                f"tenant {tenant} is on {home}, and its slot {slot} on {old.slots[slot]}: move it there first"
            )
        pins = {key: pin for key, pin in old.pins.items() if key != tenant}
        new = succeed(old, replace(old, pins=pins))
        units: tuple[Unit, ...] = (PinUnit(tenant), SlotUnit(slot))
        if await _published(places, old, new, units, author=author, reason=reason):
            return new
        await asyncio.sleep(AGAIN_S)
    raise PauseTooLong(f"writers of tenant {tenant} were inside for all of the time")


async def _published(  # noqa: PLR0913 - what it changes, and who says so
    places: Places,
    old: ShardMap,
    new: ShardMap,
    units: tuple[Unit, ...],
    *,
    author: str,
    reason: str,
) -> bool:
    """Whether it went: not when writers stayed inside, or another map came first."""
    tenant = next(unit.tenant for unit in units if isinstance(unit, PinUnit))
    home = old.owner(tenant)
    try:
        async with (
            places.primary(home) as session,
            places.catalog() as catalog,
            session.transaction(),
        ):
            await _fenced(session, new, units, home)
            await CatalogSource(catalog).apply(
                new, expected_epoch=old.epoch, author=author, reason=reason
            )
    except (MapConflict, asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
        return False
    return True


async def _fenced(session: Session, new: ShardMap, units: tuple[Unit, ...], home: ShardId) -> None:
    await session.execute(f"SET LOCAL lock_timeout = '{int(LOCK_TIMEOUT_S * 1000)}ms'")
    present = await read_fences(session, units)
    for unit in units:
        name = unit_text(unit)
        fence = present.get(name)
        lease = fence.lease if fence is not None else 0
        match unit:
            case PinUnit(tenant) if tenant not in new.pins:
                # Whoever still has the pin in its map is told so, for ever.
                epoch = (fence.epoch if fence is not None else 1) + 1
                await set_fence(
                    session,
                    name,
                    epoch=epoch,
                    state="gone",
                    moved_to=home,
                    lease=lease,
                    tenants=None,
                )
            case _:
                await set_fence(
                    session,
                    name,
                    epoch=new.unit_epoch(unit),
                    state="open",
                    moved_to=None,
                    lease=lease,
                    tenants=None,
                )
