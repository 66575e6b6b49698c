"""A change of homes taken apart: what may be in force at once, what moves, and what comes last."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from shardmap.changes import changes_between
from shardmap.ids import ShardId, TenantId
from shardmap.map import Pin, ShardMap
from shardmap.slots import slot_of


@dataclass(frozen=True, slots=True)
class TenantMove:
    """One tenant leaves `source` for `target`; it is pinned from then on."""

    tenant: TenantId
    source: ShardId
    target: ShardId


@dataclass(frozen=True, slots=True)
class SlotsMove:
    """The unpinned tenants of these slots leave `source` for `target`."""

    slots: tuple[int, ...]
    source: ShardId
    target: ShardId


Relocation = TenantMove | SlotsMove


@dataclass(frozen=True, slots=True)
class Staged:
    """The change from one map to another, in three steps. Without moves it is `first` alone.

    `first` has every tenant where the old map has it, so it may follow at once. `moves` are to be
    made in this order. `finished` makes of the map that they leave the one that was asked for.
    """

    old: ShardMap
    asked: ShardMap
    first: ShardMap
    moves: tuple[Relocation, ...]

    def finished(self, moved: ShardMap) -> ShardMap:
        """What is asked for, as the map after `moved`: pins are lifted, and shards let go.

        Only pins that the old map had are lifted: whoever was pinned meanwhile stays so.
        """
        lifted = self.old.pins.keys() - self.asked.pins.keys()
        pins = {
            tenant: pin
            for tenant, pin in moved.pins.items()
            if tenant not in lifted or moved.slots[slot_of(tenant)] != pin.shard
        }
        kept = {*self.asked.shards, *moved.slots, *(pin.shard for pin in pins.values())}
        gone = self.old.shards.keys() - kept
        shards = {shard.id: shard for shard in moved.shards.values() if shard.id not in gone}
        return replace(moved, shards=shards, pins=pins)


def staged(old: ShardMap, asked: ShardMap) -> Staged:
    """Take the change apart.

    Tenants move before slots do: else one that is to be pinned elsewhere would move twice.
    """
    changes = changes_between(old, asked)
    moving = {pin.tenant: pin for pin in changes.pins if pin.moves}
    pins = dict(_pins_of_first(old, asked, moving.keys()))
    tenants = tuple(
        TenantMove(pin.tenant, pin.home_before, pin.home_after)
        for pin in changes.pins
        if pin.moves and not _goes_with_its_slot(old, asked, pin.tenant)
    )
    slots = tuple(SlotsMove(moved.slots, moved.source, moved.target) for moved in changes.slots)
    needed = {*old.slots, *(pin.shard for pin in pins.values())}
    shards = {
        shard: asked.shards.get(shard) or old.shards[shard]
        for shard in sorted({*asked.shards, *(needed & old.shards.keys())})
    }
    first = replace(asked, shards=shards, slots=old.slots, pins=pins)
    return Staged(old, asked, first, (*tenants, *slots))


def moved_map(shard_map: ShardMap, moves: Iterable[Relocation]) -> ShardMap:
    """The map as it is when these moves have been made; epochs of units rise by one each."""
    slots, slot_epochs = list(shard_map.slots), dict(shard_map.slot_epochs)
    pins = dict(shard_map.pins)
    for move in moves:
        match move:
            case SlotsMove():
                for slot in move.slots:
                    slots[slot] = move.target
                    slot_epochs[slot] = slot_epochs.get(slot, 1) + 1
            case TenantMove():
                slot = slot_of(move.tenant)
                pin = pins.get(move.tenant)
                if pin is None:
                    slot_epochs[slot] = slot_epochs.get(slot, 1) + 1
                epoch = slot_epochs[slot] if pin is None else pin.epoch
                pins[move.tenant] = Pin(move.target, epoch + 1)
    return replace(shard_map, slots=tuple(slots), slot_epochs=slot_epochs, pins=pins)


def moving_tenants(
    moves: Sequence[Relocation], keys: Iterable[TenantId], shard_map: ShardMap
) -> Mapping[TenantId, Relocation]:
    """Which of the keys move, and in which move: in the first one, if there are two."""
    tenants = {move.tenant: move for move in moves if isinstance(move, TenantMove)}
    slots = {slot: move for move in moves if isinstance(move, SlotsMove) for slot in move.slots}
    found: dict[TenantId, Relocation] = {}
    for key in keys:
        move: Relocation | None = tenants.get(key)
        if move is None and key not in shard_map.pins:
            move = slots.get(slot_of(key))
        if move is not None:
            found[key] = move
    return found


def _pins_of_first(
    old: ShardMap, asked: ShardMap, moving: Iterable[TenantId]
) -> Iterator[tuple[TenantId, Pin]]:
    """The pins that keep every tenant at home while the slots are as they were."""
    moves = frozenset(moving)
    for tenant in {*old.pins, *asked.pins}:
        before, after = old.pins.get(tenant), asked.pins.get(tenant)
        home = old.owner(tenant)
        if after is not None and after.shard == home:
            yield tenant, after
        elif before is not None and (after is not None or old.slots[slot_of(tenant)] != home):
            yield tenant, before
        elif before is None and after is not None and tenant not in moves:
            raise AssertionError("a new pin that moves nothing is at home")


def _goes_with_its_slot(old: ShardMap, asked: ShardMap, tenant: TenantId) -> bool:
    """Whether the pin can be lifted at once, and its slot then takes the tenant along."""
    slot = slot_of(tenant)
    return tenant not in asked.pins and old.slots[slot] == old.owner(tenant)


def reverted(current: ShardMap, older: ShardMap) -> ShardMap:
    """The map that has what `older` had, to be applied after `current`.

    Epochs of units never go back, so that no writer of the old epoch is let in again; numbers of
    shards stay taken.
    """
    slot_epochs = {
        slot: max(current.slot_epochs.get(slot, 1), older.slot_epochs.get(slot, 1))
        for slot in {*current.slot_epochs, *older.slot_epochs}
    }
    pins = {
        tenant: Pin(pin.shard, max(pin.epoch, current.pins[tenant].epoch))
        if tenant in current.pins
        else pin
        for tenant, pin in older.pins.items()
    }
    return replace(
        older,
        epoch=current.epoch,
        slot_epochs=slot_epochs,
        pins=pins,
        numbers={**older.numbers, **current.numbers},
    )
