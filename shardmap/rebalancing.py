"""Maps that operators ask for by what they want: fair again, without a shard, with another weight.

Each gives the map that is wanted; what moves between it and the map in force, `staged` says.
"""

from collections import Counter
from dataclasses import replace

from shardmap.endpoint import Shard
from shardmap.endpoints import MAX_WEIGHT
from shardmap.errors import MapRefused, Problem
from shardmap.ids import ShardId
from shardmap.map import Pin, ShardMap
from shardmap.ring import propose
from shardmap.writing import ordered_tenants


def rebalanced(shard_map: ShardMap) -> ShardMap:
    """Slots fair by weight again, with as few moves as that takes. Pins stay.

    Raises:
        MapRefused: No shard has a weight above 0.
    """
    weights = {shard.id: shard.weight for shard in shard_map.shards.values()}
    try:
        return replace(shard_map, slots=propose(weights, shard_map.slots))
    except ValueError as error:
        raise MapRefused([Problem("shards", str(error))]) from error


def drained(shard_map: ShardMap, shard: ShardId) -> ShardMap:
    """Nothing left on the shard: its slots go to the others by weight, and its pins.

    Its weight becomes 0, so that no rebalancing gives it slots again. A pinned tenant goes to the
    shard with the fewest pins for its weight.

    Raises:
        MapRefused: There is no such shard, or none to take over.
    """
    _known(shard_map, shard)
    idle = weighted(shard_map, shard, 0)
    takers = {one.id: one.weight for one in idle.shards.values() if one.weight > 0}
    if not takers:
        path = f"shards.{shard}"
        raise MapRefused([Problem(path, "no other shard has a weight above 0 to take over")])
    held = Counter(pin.shard for pin in shard_map.pins.values())
    pins = dict(shard_map.pins)
    for tenant in ordered_tenants(shard_map.pins, shard_map.key_type):
        if pins[tenant].shard == shard:
            taker = min(takers, key=lambda one: (held[one] / takers[one], one))
            held[taker] += 1
            pins[tenant] = Pin(taker, pins[tenant].epoch)
    return replace(rebalanced(idle), pins=pins)


def weighted(shard_map: ShardMap, shard: ShardId, weight: int) -> ShardMap:
    """The shard with another weight; slots stay until the map is rebalanced.

    Raises:
        MapRefused: There is no such shard, or no such weight.
    """
    found = _known(shard_map, shard)
    if not 0 <= weight <= MAX_WEIGHT:
        raise MapRefused([Problem(f"shards.{shard}.weight", f"must be from 0 to {MAX_WEIGHT}")])
    return replace(shard_map, shards={**shard_map.shards, shard: replace(found, weight=weight)})


def with_shard(shard_map: ShardMap, shard: Shard) -> ShardMap:
    """One shard more, without slots.

    Raises:
        MapRefused: There is one of that name.
    """
    if shard.id in shard_map.shards:
        raise MapRefused([Problem(f"shards.{shard.id}", "is in the map already")])
    return replace(shard_map, shards=dict(sorted({**shard_map.shards, shard.id: shard}.items())))


def without_shard(shard_map: ShardMap, shard: ShardId) -> ShardMap:
    """One shard less.

    Raises:
        MapRefused: There is no such shard, or it is somebody's home.
    """
    _known(shard_map, shard)
    slots = shard_map.slots.count(shard)
    pins = sum(pin.shard == shard for pin in shard_map.pins.values())
    if slots or pins:
        message = f"owns {slots} slots and {pins} pins: drain it first"
        raise MapRefused([Problem(f"shards.{shard}", message)])
    shards = {one.id: one for one in shard_map.shards.values() if one.id != shard}
    return replace(shard_map, shards=shards)


def handed_over(shard_map: ShardMap, old: ShardId, new: ShardId) -> ShardMap:
    """Everything of one shard on another, which takes its weight; the old one has none from then on.

    Raises:
        MapRefused: There is no such shard, or the new one is a home already.
    """
    found = _known(shard_map, old)
    _known(shard_map, new)
    if new in shard_map.homes:
        message = "has slots or pins already, and takes over from nobody"
        raise MapRefused([Problem(f"shards.{new}", message)])
    moved = replace(
        shard_map,
        slots=tuple(new if home == old else home for home in shard_map.slots),
        pins={
            tenant: Pin(new, pin.epoch) if pin.shard == old else pin
            for tenant, pin in shard_map.pins.items()
        },
    )
    return weighted(weighted(moved, new, found.weight), old, 0)


def _known(shard_map: ShardMap, shard: ShardId) -> Shard:
    found = shard_map.shards.get(shard)
    if found is None:
        known = ", ".join(shard_map.shards)
        raise MapRefused([Problem(f"shards.{shard}", f"there is no such shard; there are {known}")])
    return found
