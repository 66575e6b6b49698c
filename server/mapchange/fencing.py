"""Pins set and lifted at home: their fences change before the map does, while nobody is inside.

No row moves, but the tenant's writers enter another unit from then on. Whoever still has the older
map has to be refused by the shard; else its writers and a later mover would never meet.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from server.catalog import Session
from server.moves import Places
from server.moves.fences import LOCK_TIMEOUT_S, read_fences, set_fence
from shardmap import PinUnit, ShardId, ShardMap, SlotUnit, Unit, slot_of, unit_text


@dataclass(frozen=True, slots=True)
class FenceChange:
    """What one unit's fence becomes on the shard that is its home and stays so."""

    unit: Unit
    epoch: int
    open: bool


def fence_changes(old: ShardMap, new: ShardMap) -> Mapping[ShardId, tuple[FenceChange, ...]]:
    """By home: the fences of pins that are set or lifted where their tenants are. Pure."""
    found: defaultdict[ShardId, dict[str, FenceChange]] = defaultdict(dict)
    for tenant in old.pins.keys() ^ new.pins.keys():
        home = old.owner(tenant)
        if home != new.owner(tenant):
            continue
        slot, pin = SlotUnit(slot_of(tenant)), PinUnit(tenant)
        if tenant in new.pins:
            changes = [FenceChange(pin, new.unit_epoch(pin), open=True)]
        else:  # whoever has the pin in its map is told so, for ever
            changes = [FenceChange(pin, old.unit_epoch(pin) + 1, open=False)]
        if new.slots[slot.slot] == home:
            changes.append(FenceChange(slot, new.unit_epoch(slot), open=True))
        found[home].update({unit_text(change.unit): change for change in changes})
    return {
        home: tuple(change for _, change in sorted(changes.items()))
        for home, changes in sorted(found.items())
    }


@asynccontextmanager
async def fenced(
    places: Places, changes: Mapping[ShardId, tuple[FenceChange, ...]]
) -> AsyncIterator[None]:
    """The fences changed, and kept from everybody until the context ends: publish the map in it.

    A shard that has no fences was never served from: nobody writes there by an older map.

    Raises:
        MoveAway: A shard does not answer.
        LockNotAvailableError: Writers were inside for too long; nothing was changed.
    """
    async with AsyncExitStack() as stack:
        for home, ours in changes.items():
            session = await stack.enter_async_context(places.primary(home))
            await stack.enter_async_context(session.transaction())
            await _set(session, home, ours)
        yield


async def _set(session: Session, home: ShardId, changes: tuple[FenceChange, ...]) -> None:
    if await session.fetchval("select pg_catalog.to_regclass('fluxshard.fence') is null"):
        return
    await session.execute(f"set local lock_timeout = '{int(LOCK_TIMEOUT_S * 1000)}ms'")
    present = await read_fences(session, [change.unit for change in changes])
    for change in changes:
        name = unit_text(change.unit)
        fence = present.get(name)
        await set_fence(
            session,
            name,
            epoch=max(change.epoch, fence.epoch if fence is not None else 1),
            state="open" if change.open else "gone",
            moved_to=None if change.open else home,
            lease=fence.lease if fence is not None else 0,
            tenants=None,
        )
