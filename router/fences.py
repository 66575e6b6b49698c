"""Fences as the router sees them: what a write enters, and which tenants a shard says have left.

A `Entry` is what a statement passes on its shard; the shard's own fence decides, see
catalogue/fences.sql. What the router knows of fences comes from probes, and may be old: it makes
reads wait for a newer map, and never lets a write in.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple

from shardmap import PinUnit, ShardId, ShardMap, SlotUnit, TenantId, read_unit, slot_of

ALL: Final = "*"
"""The unit of statements that may touch any tenant of their shard."""
MOST_ENTRIES: Final = 64
"""A statement of more tenants than this enters by that of all: one look instead of many."""


class Entry(NamedTuple):
    """A unit, as text, with the epoch that the map gives it; of all units, the fences' version."""

    unit: str
    epoch: int


Entries = tuple[Entry, ...]


class Fence(NamedTuple):
    """One fence of a shard."""

    unit: str
    epoch: int
    state: str
    """`open`, `held`, `gone` or `arriving`."""
    moved_to: ShardId | None = None
    peopled: bool = False
    """Rows of its tenants may be here though they are not at home: it is gone, or arriving."""

    @property
    def away(self) -> bool:
        """The unit's home is elsewhere."""
        return self.state in {"gone", "arriving"}


@dataclass(frozen=True, slots=True)
class ShardFences:
    """All fences of one shard at one version."""

    version: int
    rows: Mapping[str, Fence]
    away: Mapping[str, Fence] = field(init=False, compare=False)
    """Those of units whose home is elsewhere."""
    strangers: bool = field(init=False, compare=False)
    """There may be rows of tenants that are not at home here, or are about to be."""

    def __post_init__(self) -> None:
        away = {unit: fence for unit, fence in self.rows.items() if fence.away}
        object.__setattr__(self, "away", MappingProxyType(away))
        strange = any(fence.peopled for fence in away.values())
        held = any(fence.state == "held" for fence in self.rows.values())
        object.__setattr__(self, "strangers", strange or held)


NONE: Final = ShardFences(0, MappingProxyType({}))
"""No unit ever moved."""

Fences = Mapping[ShardId, ShardFences]

NO_FENCES: Final[Fences] = MappingProxyType({})


def entries_of(shard_map: ShardMap, tenant: TenantId) -> Entries:
    """What a statement of the tenant enters on the tenant's home."""
    pin = shard_map.pins.get(tenant)
    if pin is not None:
        return (Entry(f"pin:{tenant}", pin.epoch),)
    slot = slot_of(tenant)
    return slot_entries(slot, shard_map.slot_epochs.get(slot, 1))


@lru_cache(maxsize=8192)
def slot_entries(slot: int, epoch: int) -> Entries:
    """What a statement enters that writes what belongs to a slot."""
    return (Entry(f"slot:{slot}", epoch),)


def entries_of_many(
    shard_map: ShardMap, tenants: Iterable[TenantId] | None, shard: ShardId, fences: Fences
) -> Entries:
    """What a statement of these tenants (None: of any) enters on one shard."""
    if tenants is not None:
        found = {
            entry
            for tenant in tenants
            if shard_map.owner(tenant) == shard
            for entry in entries_of(shard_map, tenant)
        }
        if len(found) <= MOST_ENTRIES:
            return tuple(sorted(found))
    return (Entry(ALL, fences.get(shard, NONE).version),)


def left(fences: ShardFences, entries: Entries, tenant: TenantId | None) -> Fence | None:
    """The fence that says that what a read wants is not at home here any more; None: it is.

    A unit that is here at the very epoch of the map is at home, whatever older fences say of the
    tenant: setting and lifting a pin both give the slot a new epoch. Else the tenant's own pin says
    it before the slot: pins may be newer than the map that is in use.
    """
    known = [fences.rows.get(unit) for unit, _ in entries]
    if known and all(
        fence is not None and not fence.away and fence.epoch == entry.epoch
        for fence, entry in zip(known, entries, strict=True)
    ):
        return None
    if tenant is not None:
        own = fences.rows.get(f"pin:{tenant}")
        if own is not None:
            return own if own.away else None
    return next((fence for fence in known if fence is not None and fence.away), None)


def strange(fences: Fences) -> bool:
    """Whether any shard may hold rows of tenants that are not at home there."""
    return any(known.strangers for known in fences.values())


def picture(before: Fences, said: Fences) -> Fences:
    """What shards said, as one picture in which no unit is at home on two of them.

    They say it at different times. One where a unit has opened counts as it was `before` until the
    shard that the unit came from has said that it closed: it closed first.
    """
    return {shard: _in_picture(before.get(shard), known, said) for shard, known in said.items()}


def _in_picture(before: ShardFences | None, known: ShardFences, said: Fences) -> ShardFences:
    if before is None or before is known:
        return known
    for unit, arriving in before.away.items():
        opened = known.rows.get(unit)
        if arriving.state != "arriving" or opened is None or opened.state != "open":
            continue
        if arriving.moved_to is None or arriving.moved_to not in said:
            continue
        left_behind = said[arriving.moved_to].rows.get(unit)
        if left_behind is None or not (left_behind.away or left_behind.epoch > opened.epoch):
            return before
    return known


def unsettled(fences: Fences, shard_map: ShardMap) -> tuple[ShardId, Fence, bool] | None:
    """A fence by which a tenant would have no home in these fences and this map; None: all have one.

    It left a shard; and either (True) the other one does not say yet that it is there, or the map
    still has it where it was.
    """
    for shard, known in fences.items():
        for fence in known.away.values():
            target = fence.moved_to
            if (
                target is None
                or target not in shard_map.shards
                or fence.state != "gone"
                or not fence.peopled
            ):
                continue
            there = fences.get(target, NONE).rows.get(fence.unit)
            if there is None or there.state == "arriving":
                return shard, fence, True
            if shard == _home(fence.unit, shard_map):
                return shard, fence, False
    return None


def _home(unit: str, shard_map: ShardMap) -> ShardId | None:
    """Where the map has the tenants of a unit, which may be newer or older than the map."""
    match read_unit(unit):
        case SlotUnit(slot):
            return shard_map.slots[slot]
        case PinUnit(tenant):
            return shard_map.owner(tenant)
        case None:
            return None
