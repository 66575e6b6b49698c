"""What operators ask for as maps: fair, drained, weighted, handed over."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shardmap import (
    SLOTS,
    MapRefused,
    Pin,
    ShardId,
    TenantId,
    drained,
    fair_shares,
    handed_over,
    propose,
    rebalanced,
    staged,
    weighted,
    with_shard,
    without_shard,
)
from tests.unit.shardmap.maps import A, B, C, shard, two_shards

FEW = settings(max_examples=6, deadline=None)


def of_shards(weights, pins=None):
    shards = {ShardId(f"shard_{number}"): weight for number, weight in enumerate(weights)}
    return two_shards(
        shards={name: shard(name, weight=weight) for name, weight in shards.items()},
        slots=propose({name: max(1, weight) for name, weight in shards.items()}),
        pins=pins or {},
    )


def moved(before, after):
    return sum(old != new for old, new in zip(before.slots, after.slots, strict=True))


@FEW
@given(st.integers(2, 8), st.integers(1, 4))
def test_shards_that_join_get_their_share_and_little_else_moves(before, more):
    grown = of_shards([1] * before)
    for number in range(before, before + more):
        grown = with_shard(grown, shard(ShardId(f"shard_{number}")))

    after = rebalanced(grown)

    fair = SLOTS / (before + more)
    least = SLOTS * more / (before + more)
    assert moved(grown, after) <= 1.1 * least
    assert all(abs(owned - fair) <= 0.05 * fair for owned in Counter(after.slots).values())
    assert len(staged(grown, after).moves) <= before * more


@FEW
@given(st.lists(st.integers(1, 9), min_size=2, max_size=6), st.data())
def test_a_drained_shard_has_nothing_and_the_others_are_fair(weights, data):
    pins = {TenantId(str(key)): Pin(ShardId(f"shard_{key % len(weights)}"), 3) for key in range(12)}
    full = rebalanced(of_shards(weights, pins))
    leaver = data.draw(st.sampled_from(sorted(full.shards)))

    after = drained(full, leaver)

    others = {one.id: one.weight for one in full.shards.values() if one.id != leaver}
    assert leaver not in after.homes
    assert after.shards[leaver].weight == 0
    assert Counter(after.slots) == {
        name: share for name, share in fair_shares(others).items() if share
    }
    assert moved(full, after) == full.slots.count(leaver)
    assert all(after.pins[key] == pin for key, pin in pins.items() if pin.shard != leaver)
    assert without_shard(after, leaver).shards.keys() == others.keys()


def test_a_shard_of_double_weight_gets_double_the_slots():
    heavier = rebalanced(weighted(two_shards(), A, 2))

    assert Counter(heavier.slots) == {A: 2731, B: 1365}


def test_a_shard_hands_everything_over_to_a_new_one():
    pins = {TenantId("1"): Pin(A, 4), TenantId("2"): Pin(B)}
    old = weighted(two_shards(pins=pins), A, 7)

    new = handed_over(with_shard(old, shard(C)), A, C)

    assert new.homes == (B, C)
    assert new.pins == {TenantId("1"): Pin(C, 4), TenantId("2"): Pin(B)}
    assert (new.shards[C].weight, new.shards[A].weight) == (7, 0)
    assert [home == B for home in new.slots] == [home == B for home in old.slots]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (lambda one: drained(one, C), "there is no such shard; there are shard_0, shard_1"),
        (lambda one: drained(weighted(one, B, 0), A), "no other shard has a weight above 0"),
        (lambda one: weighted(one, A, 101), "must be from 0 to 100"),
        (lambda one: with_shard(one, shard(A)), "is in the map already"),
        (lambda one: without_shard(one, A), "owns 2048 slots and 0 pins: drain it first"),
        (lambda one: handed_over(one, A, B), "takes over from nobody"),
        (lambda one: rebalanced(weighted(weighted(one, A, 0), B, 0)), "no shard has a weight"),
    ],
)
def test_what_cannot_be_is_refused(asked, message):
    with pytest.raises(MapRefused, match=message):
        asked(replace(two_shards()))
