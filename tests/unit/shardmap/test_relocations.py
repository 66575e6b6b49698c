"""Changes of homes, taken apart and put together again."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from shardmap import (
    KeyType,
    Pin,
    SlotsMove,
    TenantId,
    TenantMove,
    moved_map,
    moving_tenants,
    refusals,
    reverted,
    slot_of,
    staged,
    succeed,
)
from tests.unit.shardmap.maps import A, B, C, shard, tenants, two_shards

KEYS = [TenantId(str(number)) for number in range(14)]


def three_shards(**changes):
    return two_shards(shards={A: shard(A), B: shard(B), C: shard(C)}, **changes)


@st.composite
def homes(draw, shards=(A, B, C)):
    """A map of three shards whose first keys live anywhere, some of them pinned."""
    slots = [A] * 2048 + [B] * 2048
    for key in KEYS:
        if draw(st.booleans()):
            slots[slot_of(key)] = draw(st.sampled_from(shards))
    pinned = draw(st.lists(st.sampled_from(KEYS), max_size=6, unique=True))
    pins = {key: Pin(draw(st.sampled_from(shards)), draw(st.integers(1, 5))) for key in pinned}
    return three_shards(slots=tuple(slots), pins=pins)


@settings(max_examples=60, deadline=None)
@given(homes(), homes(), st.booleans())
def test_no_tenant_is_ever_without_its_rows_on_the_way(old, asked, leaves):
    if leaves and C not in asked.homes:
        asked = replace(asked, shards={A: asked.shards[A], B: asked.shards[B]})

    found = staged(old, asked)
    first = succeed(old, found.first)
    moved = moved_map(first, found.moves)
    last = found.finished(moved)

    assert all(first.owner(key) == old.owner(key) for key in KEYS)
    assert [one for one in refusals(old, first) if "epoch" not in str(one)] == []
    at = {key: old.owner(key) for key in KEYS}
    for move in found.moves:
        for key in KEYS if isinstance(move, SlotsMove) else [move.tenant]:
            if isinstance(move, TenantMove) or (
                key not in first.pins
                and slot_of(key) in move.slots
                and moved_by(found, key) == move
            ):
                assert at[key] == move.source
                at[key] = move.target
    assert at == {key: moved.owner(key) for key in KEYS}
    assert all(last.owner(key) == moved.owner(key) == asked.owner(key) for key in KEYS)
    assert last.shards.keys() == asked.shards.keys()
    assert last.slots == asked.slots


def moved_by(found, key):
    return moving_tenants(found.moves, [key], found.first).get(key)


@settings(max_examples=30, deadline=None)
@given(homes(), homes())
def test_what_moves_is_what_has_another_home(old, asked):
    found = staged(old, asked)

    moving = moving_tenants(found.moves, KEYS, found.first)

    assert moving.keys() == {key for key in KEYS if old.owner(key) != asked.owner(key)}
    assert all(move.target == asked.owner(key) for key, move in moving.items())


def test_without_moves_the_change_is_made_at_once():
    old = two_shards()
    asked = replace(old, pins={TenantId("7"): Pin(old.owner(TenantId("7")))}, tables={})

    found = staged(old, asked)

    assert (found.first, found.moves) == (asked, ())


def test_a_shard_that_leaves_stays_until_it_is_empty():
    old = two_shards()
    asked = replace(old, shards={A: old.shards[A]}, slots=(A,) * 4096)

    found = staged(old, asked)

    assert found.first.shards.keys() == {A, B}
    assert found.moves == (SlotsMove(tuple(range(2048, 4096)), B, A),)
    assert found.finished(moved_map(found.first, found.moves)).shards.keys() == {A}


@settings(max_examples=30, deadline=None)
@given(homes(), homes(), tenants(KeyType.INTEGER))
def test_going_back_takes_the_homes_and_no_epoch_back(old, later, tenant):
    current = succeed(old, replace(later, pins={**later.pins, tenant: Pin(A)}))

    back = succeed(current, reverted(current, old))

    assert back.epoch == current.epoch + 1
    assert all(back.owner(key) == old.owner(key) for key in [*KEYS, tenant])
    assert [one for one in refusals(current, back) if "epoch" in str(one)] == []
