"""The first steps: whose fences these are, and a pin for a tenant that has none."""

from collections.abc import Mapping
from typing import Any, Final

from server.moves.enumerating import tenants_of_slots
from server.moves.errors import MoveRefused, WrongState
from server.moves.fences import LOCK_TIMEOUT_S, Fence, claim, read_fences, set_fence, texts
from server.moves.pinning import newest_map, pin_at_home
from server.moves.preflight import foreign_rows
from server.moves.request import Move, State
from server.moves.work import Work
from shardmap import (
    PinUnit,
    ShardId,
    ShardMap,
    SlotUnit,
    TenantId,
    Unit,
    read_unit,
    slot_of,
    unit_text,
)

_ONCE_PINNED: Final = """\
SELECT DISTINCT pg_catalog.jsonb_object_keys(document -> 'pins') AS tenant FROM fluxshard.maps
WHERE pg_catalog.jsonb_typeof(document -> 'pins') = 'object'"""


async def begin(work: Work, move: Move) -> Move:
    """Units of their own, and fences under this lease on both sides: home here, arriving there.

    Raises:
        WrongState: The map says that a unit is at home elsewhere by now.
        MoveRefused: A tenant that came into a slot since the plan has rows on the target.
    """
    shard_map = await newest_map(work.places)
    for unit in move.units:
        _at_home(shard_map, unit, move.source)
    if move.of_slots:
        move = await _with_tenants_of_now(work, move, shard_map)
    pinned = [
        unit.tenant
        for unit in move.units
        if isinstance(unit, PinUnit) and unit.tenant not in shard_map.pins
    ]
    if pinned:
        move = await work.journal.step(move, State.PLANNED, {"pinned": pinned})
        for tenant in pinned:
            shard_map = await pin_at_home(
                work.places, tenant, author=work.author, reason=f"move {move.id}: a pin at home"
            )
    epochs = {unit_text(unit): shard_map.unit_epoch(unit) for unit in move.units}
    await work.patiently(lambda: _shut_out_old_maps(work, move, shard_map))
    await work.patiently(lambda: _fenced(work, move, move.source, epochs, "open"))
    async with work.places.primary(move.target) as session:
        before = await read_fences(session, move.units)
    kept = {unit: fence.document() for unit, fence in before.items() if fence.state != "arriving"}
    facts: dict[str, Any] = {"epochs": epochs}
    if "before" not in move.facts:
        facts["before"] = kept
    move = await work.journal.step(move, State.PLANNED, facts)
    await work.patiently(lambda: _fenced(work, move, move.target, epochs, "arriving"))
    return await work.journal.step(move, State.COPYING)


async def _with_tenants_of_now(work: Work, move: Move, shard_map: ShardMap) -> Move:
    """The move with the tenants that the slots have by the map in force.

    Since the plan tenants may have come, and others may have got a pin: those do not move with their
    slot. From here on no map changes that, since the journal has the move.
    """
    places = work.places.on(shard_map)
    tenants = await tenants_of_slots(places, move.source, move.of_slots)
    if tenants == move.tenants:
        return move
    come = tuple(tenant for tenant in tenants if tenant not in move.tenants)
    foreign = await foreign_rows(places, move.target, come)
    if foreign:
        raise MoveRefused(
            [f"{move.target}: {name} has rows of tenants that came meanwhile" for name in foreign]
        )
    return await work.journal.list_tenants(move, tenants)


async def _shut_out_old_maps(work: Work, move: Move, shard_map: ShardMap) -> None:
    """Writers whose map routes these tenants by another unit enter no fence of this move.

    Maps from before a pin have its slot, those from before it was lifted have the pin. A map that
    moves no row is applied without the shards: so what it changed is put on the fences now.
    """
    wanted: dict[str, tuple[int, str]] = {}
    for pinned in move.units:
        if isinstance(pinned, PinUnit):
            slot = SlotUnit(slot_of(pinned.tenant))
            if shard_map.slots[slot.slot] == move.source:
                wanted[unit_text(slot)] = (shard_map.unit_epoch(slot), "open")
    if move.of_slots:
        for tenant in await _once_pinned(work, shard_map, frozenset(move.of_slots)):
            slot = SlotUnit(slot_of(tenant))
            wanted[unit_text(PinUnit(tenant))] = (shard_map.unit_epoch(slot), "gone")
    units = [unit for text in wanted if (unit := read_unit(text)) is not None]
    async with work.places.primary(move.source) as session, session.transaction():
        await session.execute(f"SET LOCAL lock_timeout = '{int(LOCK_TIMEOUT_S * 1000)}ms'")
        present = await read_fences(session, units)
        for text, (epoch, state) in sorted(wanted.items()):
            fence = present.get(text)
            opposed = state == "gone" and fence is not None and fence.state == "open"
            if fence is not None and fence.epoch >= epoch and not opposed:
                continue
            await set_fence(
                session,
                text,
                epoch=max(epoch, fence.epoch if fence is not None else 0),
                state=state,
                moved_to=move.source if state == "gone" else None,
                lease=fence.lease if fence is not None else 0,
                tenants=None,
            )


async def _once_pinned(
    work: Work, shard_map: ShardMap, slots: frozenset[int]
) -> tuple[TenantId, ...]:
    """Tenants of these slots that an earlier map had a pin for, and this one has not."""
    async with work.places.catalog() as session:
        rows = await session.fetch(_ONCE_PINNED)
    tenants = (TenantId(row["tenant"]) for row in rows)
    return tuple(
        sorted(key for key in tenants if key not in shard_map.pins and slot_of(key) in slots)
    )


def _at_home(shard_map: ShardMap, unit: Unit, source: ShardId) -> None:
    home = shard_map.owner(unit.tenant) if isinstance(unit, PinUnit) else shard_map.slots[unit.slot]
    if home != source:
        raise WrongState(f"{unit_text(unit)} is at home on {home}, not on {source}")


async def _fenced(
    work: Work, move: Move, shard: ShardId, epochs: Mapping[str, int], state: str
) -> None:
    arriving = state == "arriving"
    async with work.places.primary(shard) as session, session.transaction():
        await claim(session, move)
        for unit, epoch in sorted(epochs.items()):
            await set_fence(
                session,
                unit,
                epoch=epoch,
                state=state,
                moved_to=move.source if arriving else None,
                lease=move.lease,
                tenants=move.tenants_of(unit) if arriving else None,
            )


async def take_over(work: Work, move: Move) -> None:
    """Put this lease on the fences of both sides: older movers change nothing from then on.

    Where a mover is in the middle of its cutover, this waits until PostgreSQL has ended it.

    Raises:
        LeaseLost: A newer mover has been here.
        MoveAway: A side does not answer.
    """
    for shard in (move.source, move.target):
        await work.patiently(lambda shard=shard: _taken_over(work, move, shard))  # type: ignore[misc]


async def _taken_over(work: Work, move: Move, shard: ShardId) -> None:
    async with work.places.primary(shard) as session:
        if _ours(await read_fences(session, move.units), move):
            return
        async with session.transaction():
            for unit, fence in sorted((await claim(session, move)).items()):
                if fence.lease < move.lease:
                    await set_fence(
                        session,
                        unit,
                        epoch=fence.epoch,
                        state=fence.state,
                        moved_to=fence.moved_to,
                        lease=move.lease,
                        tenants=fence.tenants or None,
                    )


def _ours(fences: Mapping[str, Fence], move: Move) -> bool:
    return bool(fences) and all(
        unit in fences and fences[unit].lease == move.lease for unit in texts(move.units)
    )
