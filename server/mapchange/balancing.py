"""Rebalancing by what tenants weigh: which slots move, and which large tenants deserve a pin.

No hash balances tenants of very different sizes; moving slots by their measured load does, and
tenants that are large by themselves are moved on their own, so that they can be moved again.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from server.tenants.sizes import Sizes
from shardmap import MapRefused, Pin, Problem, ShardId, ShardMap, TenantId, slot_of

TOLERANCE: Final = 0.05
"""How far from its fair load a shard may be: below that, moving costs more than it gives."""
LARGE_SHARE: Final = 0.05
"""A tenant with more than this share of a shard's fair load is moved on its own, by a pin."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """What can move: a slot with its small tenants, or one tenant."""

    load: int
    slot: int | None = None
    tenant: TenantId | None = None


@dataclass(frozen=True, slots=True)
class Balance:
    """What rebalancing gives: the map that is wanted, and the loads before and after, in bytes."""

    wanted: ShardMap
    fair: Mapping[ShardId, float]
    before: Mapping[ShardId, int]
    after: Mapping[ShardId, int]
    pins: tuple[TenantId, ...]
    """Tenants that are pinned anew, because they are large."""


def balanced(shard_map: ShardMap, sizes: Sizes, tolerance: float = TOLERANCE) -> Balance:
    """Shards within `tolerance` of their fair load by weight, as far as the pieces allow.

    Greedy: what is too much on the fullest shard goes to the emptiest, the largest piece that fits
    first; nothing moves twice, and no move makes a shard fuller than it should be. So no more bytes
    move than are too much somewhere.

    Raises:
        MapRefused: No shard has a weight above 0.
    """
    weights = {shard.id: shard.weight for shard in shard_map.shards.values()}
    total_weight = sum(weights.values())
    if not total_weight:
        raise MapRefused([Problem("shards", "no shard has a weight above 0")])
    total = sum(one.whole.bytes for one in sizes.tenants.values())
    fair = {shard: total * weight / total_weight for shard, weight in weights.items()}
    large = LARGE_SHARE * max(fair.values())
    pieces = _pieces(shard_map, sizes, large)
    before = {
        shard: sum(piece.load for piece in pieces.get(shard, ())) for shard in shard_map.shards
    }
    load = dict(before)
    slots, pins, pinned = list(shard_map.slots), dict(shard_map.pins), []
    while (found := _next_move(pieces, load, fair, tolerance)) is not None:
        source, target, piece = found
        pieces[source].remove(piece)
        load[source] -= piece.load
        load[target] += piece.load
        if piece.slot is not None:
            slots[piece.slot] = target
        elif piece.tenant is not None:
            if piece.tenant not in pins:
                pinned.append(piece.tenant)
            epoch = pins[piece.tenant].epoch if piece.tenant in pins else 1
            pins[piece.tenant] = Pin(target, epoch)
    # A large tenant whose slot leaves without it has to be held where it is.
    for tenant in _large(shard_map, sizes, large):
        if tenant not in pins and slots[slot_of(tenant)] != shard_map.owner(tenant):
            pins[tenant] = Pin(shard_map.owner(tenant))
            pinned.append(tenant)
    wanted = replace(shard_map, slots=tuple(slots), pins=pins)
    return Balance(wanted, fair, before, load, tuple(pinned))


def split_slot(shard_map: ShardMap, sizes: Sizes, slot: int) -> ShardMap:
    """The slot's largest tenants pinned elsewhere, until half of its load is gone.

    Each goes to the shard with the least load for its weight.

    Raises:
        MapRefused: The slot has fewer than two tenants with rows, or there is no other shard.
    """
    home = shard_map.slots[slot]
    tenants = [
        one
        for one in sizes.largest()
        if slot_of(one.tenant) == slot and one.tenant not in shard_map.pins
    ]
    takers = {
        shard.id: shard.weight
        for shard in shard_map.shards.values()
        if shard.id != home and shard.weight > 0
    }
    path = f"slots.{home}"
    if len(tenants) < 2:
        raise MapRefused(
            [Problem(path, f"slot {slot} has {len(tenants)} tenants with rows: move it, or pin it")]
        )
    if not takers:
        raise MapRefused([Problem(path, "no other shard has a weight above 0")])
    load: defaultdict[ShardId, int] = defaultdict(int)
    for one in sizes.tenants.values():
        load[one.shard] += one.whole.bytes
    half = sum(one.whole.bytes for one in tenants) / 2
    gone, pins = 0, dict(shard_map.pins)
    for one in tenants[:-1]:
        if gone >= half:
            break
        taker = min(takers, key=lambda shard: (load[shard] / takers[shard], shard))
        pins[one.tenant] = Pin(taker)
        load[taker] += one.whole.bytes
        gone += one.whole.bytes
    return replace(shard_map, pins=pins)


def _large(shard_map: ShardMap, sizes: Sizes, large: float) -> list[TenantId]:
    return [
        one.tenant
        for one in sizes.largest()
        if one.whole.bytes > large and one.tenant not in shard_map.pins
    ]


def _pieces(shard_map: ShardMap, sizes: Sizes, large: float) -> dict[ShardId, list[_Piece]]:
    """By shard: pinned and large tenants, and slots with the rest, the largest first."""
    slots: defaultdict[int, int] = defaultdict(int)
    found: defaultdict[ShardId, list[_Piece]] = defaultdict(list)
    for one in sizes.tenants.values():
        load = one.whole.bytes
        if one.tenant in shard_map.pins or load > large:
            found[one.shard].append(_Piece(load, tenant=one.tenant))
        else:
            slots[slot_of(one.tenant)] += load
    for slot, load in slots.items():
        found[shard_map.slots[slot]].append(_Piece(load, slot=slot))
    for pieces in found.values():
        pieces.sort(key=lambda piece: (-piece.load, piece.slot or 0, piece.tenant or ""))
    return found


def _next_move(
    pieces: Mapping[ShardId, list[_Piece]],
    load: Mapping[ShardId, int],
    fair: Mapping[ShardId, float],
    tolerance: float,
) -> tuple[ShardId, ShardId, _Piece] | None:
    """The largest piece that the fullest shard has too much of and the emptiest has room for."""
    for source in sorted(load, key=lambda shard: (fair[shard] - load[shard], shard)):
        over = load[source] - fair[source]
        if over <= tolerance * fair[source] or over <= 0:
            return None
        for target in sorted(load, key=lambda shard: (load[shard] - fair[shard], shard)):
            room = fair[target] - load[target]
            if room <= 0 or target == source:
                break
            most = min(over, room) if fair[source] else room
            for piece in pieces.get(source, ()):
                if 0 < piece.load <= most:
                    return source, target, piece
    return None
