"""Rebalancing by measured size."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.mapchange.balancing import LARGE_SHARE, TOLERANCE, balanced, split_slot
from server.tenants.sizes import Extent, TableCount, sizes_of
from shardmap import MapRefused, Pin, TableName, TenantId, slot_of, staged, with_shard
from tests.unit.shardmap.maps import A, B, C, shard, two_shards

ORDERS = TableName("public.orders")


def sizes(shard_map, loads):
    by_shard = {}
    for tenant, load in loads.items():
        by_shard.setdefault(shard_map.owner(tenant), {})[tenant] = Extent(load // 100 + 1, load)
    return sizes_of([TableCount(one, ORDERS, found) for one, found in by_shard.items()], shard_map)


def zipf(count, seed):
    ranks = list(range(1, count + 1))
    Random(seed).shuffle(ranks)
    return {TenantId(str(key)): int(10_000_000 / rank) for key, rank in enumerate(ranks)}


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(60, 300))
def test_shards_are_fair_and_no_more_moves_than_is_too_much(seed, count):
    three = with_shard(two_shards(), shard(C))
    measured = sizes(three, zipf(count, seed))

    found = balanced(three, measured)

    too_much = sum(max(0, found.before[one] - found.fair[one]) for one in three.shards)
    moved = sum(
        one.whole.bytes
        for one in measured.tenants.values()
        if found.wanted.owner(one.tenant) != three.owner(one.tenant)
    )
    largest = max(one.whole.bytes for one in measured.tenants.values())
    after = dict.fromkeys(three.shards, 0)
    for one in measured.tenants.values():
        after[found.wanted.owner(one.tenant)] += one.whole.bytes
    assert after == found.after
    assert moved <= too_much + 1
    for shard_id, load in after.items():
        fair = found.fair[shard_id]
        assert load <= max(fair * (1 + TOLERANCE), found.before[shard_id] if largest > fair else 0)


def test_large_tenants_move_by_pins_and_small_ones_with_their_slots():
    loads = {TenantId(str(key)): 1_000 for key in range(400)}
    giant = next(key for key in loads if two_shards().owner(key) == A)
    loads[giant] = 100_000
    measured = sizes(two_shards(), loads)

    found = balanced(two_shards(), measured)

    total = sum(loads.values())
    assert loads[giant] > LARGE_SHARE * total / 2
    assert set(found.pins) <= {giant}
    assert all(abs(load - total / 2) <= TOLERANCE * total / 2 for load in found.after.values())


def test_what_is_fair_already_stays():
    measured = sizes(two_shards(), {TenantId(str(key)): 1_000 for key in range(2_000)})

    assert staged(two_shards(), balanced(two_shards(), measured).wanted).moves == ()


def test_a_shard_of_weight_0_is_emptied():
    idle = two_shards(shards={A: shard(A, weight=0), B: shard(B)})

    found = balanced(idle, sizes(idle, {TenantId(str(key)): 1_000 for key in range(100)}))

    assert found.after == {A: 0, B: 100_000}


def test_a_hot_slot_is_split_by_pinning_its_largest_tenants():
    slot = slot_of(TenantId("1"))
    keys = (TenantId(str(key)) for key in range(10**7))
    own = [key for key in keys if slot_of(key) == slot][:4]
    loads = dict(zip(own, (40, 30, 20, 10), strict=True))
    here = two_shards()
    other = B if here.slots[slot] == A else A

    after = split_slot(here, sizes(here, loads), slot)

    assert after.pins == {own[0]: Pin(other), own[1]: Pin(other)}
    with pytest.raises(MapRefused, match="has 0 tenants with rows"):
        split_slot(here, sizes(here, {}), slot)
