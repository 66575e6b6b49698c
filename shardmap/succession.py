"""Which map may follow another: epochs that only grow, and no tenant without its rows."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from shardmap.changes import changes_between
from shardmap.errors import MapRefused, Problem
from shardmap.ids import ShardId
from shardmap.map import Pin, PinUnit, ShardMap, SlotUnit, Unit
from shardmap.markup import dotted
from shardmap.placement import Global, Placement, Sharded
from shardmap.ranges import format_ranges
from shardmap.slots import slot_of


def succeed(old: ShardMap | None, new: ShardMap) -> ShardMap:
    """`new` with the epochs that it has as the map after `old`, or as the first.

    The map's epoch is the next one. A tenant whose unit changes, by a new pin or a lifted one,
    gets a unit epoch above the one it had, and so does the slot that it leaves: otherwise a
    writer of the slot and a mover of the tenant would never meet at one fence. Shards that leave
    keep their numbers.
    """
    if old is None:
        return replace(new, epoch=1)
    slot_epochs = dict(new.slot_epochs)
    pins = dict(new.pins)
    for tenant in new.pins.keys() - old.pins.keys():
        slot = slot_of(tenant)
        epoch = old.slot_epochs.get(slot, 1) + 1
        pins[tenant] = Pin(new.pins[tenant].shard, max(new.pins[tenant].epoch, epoch))
        slot_epochs[slot] = max(slot_epochs.get(slot, 1), epoch)
    for tenant in old.pins.keys() - new.pins.keys():
        slot = slot_of(tenant)
        slot_epochs[slot] = max(slot_epochs.get(slot, 1), old.pins[tenant].epoch + 1)
    numbers = {**old.numbers, **new.numbers}
    return replace(new, epoch=old.epoch + 1, pins=pins, slot_epochs=slot_epochs, numbers=numbers)


def rehomed(old: ShardMap, epochs: Mapping[Unit, int], home: ShardId) -> ShardMap:
    """`old` with these units at home elsewhere, at these epochs, as a mover has found them.

    Raises:
        MapRefused: There is no such shard, or a unit is at home elsewhere at as high an epoch.
    """
    if home not in old.shards:
        raise MapRefused([Problem("shards", f'there is no shard "{home}"')])
    slots, slot_epochs, pins = list(old.slots), dict(old.slot_epochs), dict(old.pins)
    problems = []
    for unit, epoch in epochs.items():
        match unit:
            case PinUnit(tenant):
                path, now = dotted("pins", tenant), pins.get(tenant, Pin(home, 0))
                at, before = now.shard, now.epoch
                pins[tenant] = Pin(home, epoch)
            case SlotUnit(slot):
                path, at, before = f"slots.{home}", slots[slot], slot_epochs.get(slot, 1)
                slots[slot], slot_epochs[slot] = home, epoch
        if (before, at) != (epoch, home) and before >= epoch:
            problems.append(
                Problem(path, f"is on {at} at epoch {before}, which is not below {epoch}")
            )
    if problems:
        raise MapRefused(problems)
    return replace(old, slots=tuple(slots), slot_epochs=slot_epochs, pins=pins)


def refuse_moves(old: ShardMap, new: ShardMap) -> None:
    """Let the new map follow the old one only if that needs no row to change its place.

    Raises:
        MapRefused: With everything that a map alone cannot carry out.
    """
    problems = refusals(old, new)
    if problems:
        raise MapRefused(problems)


def refusals(old: ShardMap, new: ShardMap) -> tuple[Problem, ...]:
    """Everything that keeps `new` from following `old`; `new` has its epochs from `succeed`."""
    return tuple(
        problem
        for check in (_identity, _homes, _leavers, _numbers, _epochs, _tables)
        for problem in check(old, new)
    )


def _identity(old: ShardMap, new: ShardMap) -> Iterator[Problem]:
    if new.cluster_id != old.cluster_id:
        yield Problem("cluster_id", f"is {old.cluster_id} for ever, not {new.cluster_id}")
    if new.key_type is not old.key_type:
        yield Problem(
            "tenant_key.type",
            f"is {old.key_type} for ever: as {new.key_type} every tenant would hash elsewhere",
        )
    if new.epoch != old.epoch + 1:
        yield Problem("epoch", f"must be {old.epoch + 1}, the one after {old.epoch}")


def _homes(old: ShardMap, new: ShardMap) -> Iterator[Problem]:
    changes = changes_between(old, new)
    for moved in changes.slots:
        yield Problem(
            f"slots.{moved.target}",
            f"{len(moved.slots)} slots would move here from {moved.source}, and a map alone "
            f"does not move data: {format_ranges(moved.slots)}",
        )
    for pin in changes.pins:
        if pin.moves:
            yield Problem(
                dotted("pins", pin.tenant),
                f"the tenant would move from {pin.home_before} to {pin.home_after}, and a map "
                f"alone does not move data",
            )


def _leavers(old: ShardMap, new: ShardMap) -> Iterator[Problem]:
    for shard in old.homes:
        if shard not in new.shards:
            slots = old.slots.count(shard)
            pins = sum(pin.shard == shard for pin in old.pins.values())
            yield Problem(
                f"shards.{shard}", f"owns {slots} slots and {pins} pins and cannot be left out"
            )


def _numbers(old: ShardMap, new: ShardMap) -> Iterator[Problem]:
    owners = {number: shard for shard, number in old.numbers.items()}
    for shard, number in new.numbers.items():
        path = f"shard_numbers.{shard}"
        before = old.numbers.get(shard)
        if before is not None and before != number:
            yield Problem(path, f"is {before} for ever, since its ids have it, not {number}")
        elif owners.get(number, shard) != shard:
            yield Problem(path, f"{number} is the number of {owners[number]} for ever")


def _epochs(old: ShardMap, new: ShardMap) -> Iterator[Problem]:
    for slot, before in sorted(old.slot_epochs.items()):
        after = new.slot_epochs.get(slot, 1)
        if after < before:
            yield Problem("slot_epochs", f"the epoch of slot {slot} goes back: {before} to {after}")
    for tenant, pin in sorted(old.pins.items()):
        kept = new.pins.get(tenant)
        if kept is not None and kept.epoch < pin.epoch:
            yield Problem(
                dotted("pins", tenant), f"its epoch goes back: {pin.epoch} to {kept.epoch}"
            )


def _tables(old: ShardMap, new: ShardMap) -> Iterator[Problem]:
    for table, before in sorted(old.tables.items()):
        after = new.tables.get(table)
        if after is not None and _relocates(before, after, old.shards, new.shards):
            yield Problem(
                dotted("tables", table),
                f"is {_word(before)} and cannot become {_word(after)}: its rows would be "
                f"elsewhere, and this release does not move data",
            )


def _relocates(
    before: Placement,
    after: Placement,
    old_shards: Mapping[ShardId, object],
    new_shards: Mapping[ShardId, object],
) -> bool:
    """Whether the rows would have to be somewhere else. On one shard they are where they are."""
    if before == after:
        return False
    if isinstance(before, Sharded) and isinstance(after, Sharded) and before.column == after.column:
        return False
    one_shard = len(old_shards) == len(new_shards) == 1
    return not one_shard or isinstance(before, Global) or isinstance(after, Global)


def _word(placement: Placement) -> str:
    if isinstance(placement, Sharded):
        return f"sharded by {placement.column}"
    return type(placement).__name__.lower()
