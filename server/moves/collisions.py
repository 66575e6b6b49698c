"""Which moves may not run at the same time: those whose tenants are the same, now or after a pin. Decides only."""

from collections.abc import Iterable

from server.moves.request import Move
from shardmap import PinUnit, ShardMap, SlotUnit, Unit, slot_of


def collisions(
    shard_map: ShardMap, units: Iterable[Unit], unfinished: Iterable[Move]
) -> tuple[str, ...]:
    """What of these units is in a move that has not ended, in words.

    A tenant without a pin is in its slot: it cannot move by itself while the slot moves, nor the slot
    while the tenant is about to leave it.
    """
    asked = frozenset(units)
    return tuple(
        f"{move.title} is in move {move.id} already ({move.state}): see `fluxshard moves`"
        for move in unfinished
        if asked & frozenset(move.units)
        or asked & _slots_left(shard_map, move.units)
        or _slots_left(shard_map, asked) & frozenset(move.units)
    )


def _slots_left(shard_map: ShardMap, units: Iterable[Unit]) -> frozenset[Unit]:
    """The slots of those tenants among the units that have no pin yet."""
    return frozenset(
        SlotUnit(slot_of(unit.tenant))
        for unit in units
        if isinstance(unit, PinUnit) and unit.tenant not in shard_map.pins
    )
