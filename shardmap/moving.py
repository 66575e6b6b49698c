"""What a map may not change while a move is under way: the units in it, and the pins of their tenants."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from shardmap.errors import Problem
from shardmap.ids import ShardId
from shardmap.map import PinUnit, ShardMap, SlotUnit, Unit
from shardmap.markup import dotted
from shardmap.slots import slot_of
from shardmap.units import read_unit

_ABORTING: Final = "aborting"
"""A move whose units anybody may change: the mover itself takes back the pin that it made."""
_MOVED: Final = "moved"
"""The map and the fences agree where the slot is, so a tenant may come into it there."""


@dataclass(frozen=True, slots=True)
class Moving:
    """A move that has not ended, as far as a map is concerned."""

    move: int
    state: str
    units: tuple[str, ...]
    """As text; see `unit_text`."""
    shards: tuple[ShardId, ShardId]
    """Its source and its target."""


def moving_problems(old: ShardMap, new: ShardMap, moving: Moving) -> Iterator[Problem]:
    """What of the change from `old` to `new` the move does not allow.

    A shard that leaves has rows that could not be brought back, nor be taken away. A tenant that
    gets a pin leaves its slot, and the mover of the slot still has it on its list: what it takes
    away later would be the tenant's live rows.
    """
    which = f"move {moving.move}, which is {moving.state}"
    until = "clean it up, abort it or roll it back first"
    leavers = old.shards.keys() - new.shards.keys()
    for shard in sorted(leavers & frozenset(moving.shards)):
        yield Problem(f"shards.{shard}", f"is needed by {which}: {until}")
    changed = sorted(old.pins.keys() ^ new.pins.keys())
    for text in moving.units:
        unit = read_unit(text)
        if unit is None:
            continue
        if moving.state != _ABORTING and not _stays(old, new, unit):
            yield Problem(text.replace(":", "s.", 1), f"is in {which}: {until}")
        if not isinstance(unit, SlotUnit):
            continue
        for tenant in changed:
            comes = tenant not in new.pins
            if slot_of(tenant) == unit.slot and not (comes and moving.state == _MOVED):
                yield Problem(
                    dotted("pins", tenant), f"its slot {unit.slot} is in {which}: {until}"
                )


def _entry(shard_map: ShardMap, unit: Unit) -> tuple[ShardId, int | None]:
    """A unit's home and its epoch; a tenant without a pin has no epoch of its own yet."""
    match unit:
        case PinUnit(tenant):
            pin = shard_map.pins.get(tenant)
            return shard_map.owner(tenant), pin.epoch if pin is not None else None
        case SlotUnit(slot):
            return shard_map.slots[slot], shard_map.unit_epoch(unit)


def _stays(old: ShardMap, new: ShardMap, unit: Unit) -> bool:
    """Whether the unit is as it was; a pin where the tenant is at home may come before its move."""
    (home, epoch), after = _entry(old, unit), _entry(new, unit)
    return after == (home, epoch) or (epoch is None and after[0] == home)
