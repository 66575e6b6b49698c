"""Which map may follow another."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shardmap import (
    Global,
    KeyType,
    MapRefused,
    Pin,
    Reference,
    Sharded,
    ShardId,
    Unsharded,
    refusals,
    refuse_moves,
    slot_of,
    succeed,
)

HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("shardmap_maps", HERE / "maps.py")
maps = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(maps)
A, B, C = maps.A, maps.B, maps.C


def refused(old, new):
    return [str(problem) for problem in refusals(old, succeed(old, new))]


def test_the_first_map_has_epoch_1():
    assert succeed(None, maps.two_shards(epoch=0)).epoch == 1


def test_the_next_map_has_the_next_epoch():
    old = maps.two_shards()

    assert succeed(old, replace(old, epoch=0)).epoch == 6


def test_a_change_of_settings_is_allowed():
    old = maps.two_shards()
    moved_server = replace(old.shards[B], primary=replace(old.shards[B].primary, host="elsewhere"))
    new = replace(
        old,
        shards={A: replace(old.shards[A], weight=9, replicas=()), B: moved_server},
        catalog=replace(old.catalog, host="elsewhere"),
        tables={**old.tables, "public.new": Sharded("tenant_id")},
    )

    refuse_moves(old, succeed(old, new))


def test_a_shard_may_join_without_slots_and_leave_again():
    old = maps.two_shards()
    joined = replace(old, shards={**old.shards, C: maps.shard(C)})

    assert refused(old, joined) == []
    assert refused(joined, old) == []


def test_every_change_of_a_home_is_refused_at_once():
    old = maps.two_shards(pins={"1": Pin(A)})
    new = replace(
        old,
        shards={**old.shards, C: maps.shard(C)},
        slots=(C,) * 10 + old.slots[10:4090] + (C,) * 6,
        pins={"1": Pin(B), "7": Pin(A), "42": Pin(B)},
    )

    assert refused(old, new) == [
        (
            "slots.shard_2: 10 slots would move here from shard_0, and a map alone does not move "
            "data: 0-9"
        ),
        (
            "slots.shard_2: 6 slots would move here from shard_1, and a map alone does not move "
            "data: 4090-4095"
        ),
        (
            "pins.1: the tenant would move from shard_0 to shard_1, and a map alone does not move "
            "data"
        ),
        (
            "pins.7: the tenant would move from shard_1 to shard_0, and a map alone does not move "
            "data"
        ),
    ]


def test_a_tenant_is_pinned_where_it_lives_and_unpinned_there():
    old = maps.two_shards()
    pinned = succeed(old, replace(old, pins={"42": Pin(B), "1": Pin(A)}))

    assert refusals(old, pinned) == ()
    assert refused(pinned, replace(pinned, pins={})) == []


def test_a_tenant_is_not_unpinned_away_from_its_slots_home():
    old = maps.two_shards(pins={"42": Pin(A)})

    assert refused(old, replace(old, pins={})) == [
        (
            "pins.42: the tenant would move from shard_0 to shard_1, and a map alone does not move "
            "data"
        )
    ]


def test_a_shard_with_slots_or_pins_cannot_leave():
    old = maps.two_shards(
        shards={A: maps.shard(A), B: maps.shard(B), C: maps.shard(C)}, pins={"1": Pin(C)}
    )
    new = replace(old, shards={A: old.shards[A]}, slots=(A,) * 4096, pins={})

    problems = refused(old, new)

    assert "shards.shard_1: owns 2048 slots and 0 pins and cannot be left out" in problems
    assert "shards.shard_2: owns 0 slots and 1 pins and cannot be left out" in problems


def test_what_a_cluster_is_never_changes():
    old = maps.two_shards()

    assert refused(old, replace(old, cluster_id="other", key_type=KeyType.TEXT)) == [
        "cluster_id: is test for ever, not other",
        "tenant_key.type: is integer for ever: as text every tenant would hash elsewhere",
    ]


def test_epochs_never_go_back():
    old = maps.two_shards(slot_epochs={7: 3, 8: 2}, pins={"1": Pin(A, 4)})
    new = replace(old, slot_epochs={7: 2}, pins={"1": Pin(A)})

    assert refused(old, new) == [
        "slot_epochs: the epoch of slot 7 goes back: 3 to 2",
        "slot_epochs: the epoch of slot 8 goes back: 2 to 1",
        "pins.1: its epoch goes back: 4 to 1",
    ]


def test_only_the_next_epoch_may_follow():
    old = maps.two_shards()

    with pytest.raises(MapRefused, match="epoch: must be 6, the one after 5"):
        refuse_moves(old, replace(old, epoch=8))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Sharded("tenant_id"), Reference()),
        (Sharded("tenant_id"), Sharded("other")),
        (Reference(), Sharded("tenant_id")),
        (Reference(), Global()),
        (Global(), Sharded("tenant_id")),
    ],
)
def test_a_placed_table_stays_where_its_rows_are(before, after):
    old = maps.two_shards(tables={"public.t": before})

    problems = refused(old, replace(old, tables={"public.t": after}))

    assert len(problems) == 1
    assert problems[0].startswith("tables.public.t: is ")


def test_on_one_shard_an_unsharded_table_becomes_sharded_in_place():
    old = maps.one_shard(tables={"public.t": Unsharded()})

    assert refused(old, replace(old, tables={"public.t": Sharded("tenant_id")})) == []
    assert refused(old, replace(old, tables={"public.t": Reference()})) == []
    assert len(refused(old, replace(old, tables={"public.t": Global()}))) == 1


def test_sharding_a_table_and_joining_a_shard_are_two_steps():
    old = maps.one_shard(tables={"public.t": Unsharded()})
    joined = {A: maps.shard(A), B: maps.shard(B)}
    sharded = {"public.t": Sharded("tenant_id")}
    first = succeed(old, replace(old, tables=sharded, default_placement=None))

    assert len(refused(old, replace(first, shards=joined))) == 1
    assert refusals(old, first) == ()
    assert refused(first, replace(first, shards=joined)) == []


def test_a_new_pin_fences_its_slot_as_well():
    old = maps.two_shards(slot_epochs={slot_of("42"): 4})

    new = succeed(old, replace(old, pins={"42": Pin(B)}))

    assert new.pins["42"] == Pin(B, 5)
    assert new.slot_epochs == {slot_of("42"): 5}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.dictionaries(st.sampled_from(["1", "7", "42"]), st.just(None)), max_size=6),
)
def test_the_epoch_that_fences_a_tenant_grows_with_each_change_of_its_unit(steps):
    old = maps.two_shards()
    for step in steps:
        pins = {tenant: old.pins.get(tenant, Pin(old.owner(tenant))) for tenant in step}
        new = succeed(old, replace(old, pins=pins))

        assert refusals(old, new) == ()
        for tenant in ("1", "7", "42", "1000000"):
            before, after = old.unit(tenant), new.unit(tenant)
            least = old.unit_epoch(before) + (before != after)
            assert new.unit_epoch(after) >= least
        old = new


def test_new_shards_get_numbers_that_nobody_ever_had():
    old = maps.two_shards()
    joined = succeed(old, replace(old, shards={**old.shards, C: maps.shard(C)}))
    left = succeed(joined, replace(joined, shards=old.shards))
    other = ShardId("a_shard")

    again = succeed(left, replace(left, shards={other: maps.shard(other), **left.shards}))

    assert joined.numbers == {A: 1, B: 2, C: 3}
    assert left.numbers == joined.numbers
    assert again.numbers == {A: 1, B: 2, C: 3, other: 4}


def test_a_shard_keeps_its_number():
    old = maps.two_shards()

    assert refused(old, replace(old, numbers={A: 1, B: 7})) == [
        "shard_numbers.shard_1: is 2 for ever, since its ids have it, not 7"
    ]


def test_no_shard_takes_the_number_of_one_that_left():
    old = maps.two_shards(numbers={A: 1, B: 2, C: 3})
    other = ShardId("shard_3")
    new = replace(
        old, shards={**old.shards, other: maps.shard(other)}, numbers={A: 1, B: 2, other: 3}
    )

    assert refused(old, new) == ["shard_numbers.shard_3: 3 is the number of shard_2 for ever"]


def test_the_declared_ids_of_a_table_may_change_where_its_rows_stay():
    old = maps.two_shards()
    orders = {**old.tables, "public.orders": Sharded("tenant_id", (("id",),))}

    assert refused(old, replace(old, tables=orders)) == []
