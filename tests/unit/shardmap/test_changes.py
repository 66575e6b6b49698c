"""What differs between two maps."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings

from shardmap import (
    Edit,
    Pin,
    PinChanged,
    Reference,
    Sharded,
    SlotsMoved,
    changes_between,
    changes_document,
    changes_text,
)

HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("shardmap_maps", HERE / "maps.py")
maps = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(maps)
A, B, C = maps.A, maps.B, maps.C


@settings(max_examples=15, deadline=None)
@given(maps.shard_maps())
def test_a_map_does_not_differ_from_itself_whatever_its_epoch(shard_map):
    changes = changes_between(shard_map, replace(shard_map, epoch=shard_map.epoch + 1))

    assert not changes
    assert changes_text(changes) == "no changes\n"


def test_slots_are_counted_by_where_they_go():
    old = maps.two_shards()
    new = replace(old, slots=(B, *old.slots[1:4095], A))

    assert changes_between(old, new).slots == (SlotsMoved(A, B, (0,)), SlotsMoved(B, A, (4095,)))


def test_pins_tell_whether_their_tenant_moves():
    old = maps.two_shards(pins={"1": Pin(A), "7": Pin(B), "42": Pin(B)})
    new = replace(old, pins={"1": Pin(B), "42": Pin(B, 2), "1000000": Pin(A)})

    changes = changes_between(old, new)

    assert changes.pins == (
        PinChanged("1", A, B, A, B),
        PinChanged("7", B, None, B, B),
        PinChanged("1000000", None, A, A, A),
    )
    assert [pin.moves for pin in changes.pins] == [True, False, False]
    assert changes.edits == (Edit("pin_epochs.42", None, 2),)


def test_every_other_setting_is_told_by_its_path():
    old = maps.two_shards(slot_epochs={3: 2})
    shards = {
        A: replace(old.shards[A], weight=2),
        B: replace(old.shards[B], replicas=(maps.endpoint(B, 1),)),
        C: maps.shard(C),
    }
    tables = {**old.tables, "public.orders": Reference()}
    del tables["public.plans"]
    new = replace(old, shards=shards, tables=tables, slot_epochs={3: 4, 5: 2})

    text = changes_text(changes_between(old, new))

    assert text.splitlines() == [
        "~ shards.shard_0.weight: 1 -> 2",
        (
            "+ shards.shard_1.replicas: [{host: shard-1-1, port: 5432, database: app, user: flux, "
            "credentials: env:PASSWORD}]"
        ),
        (
            "+ shards.shard_2: {primary: {host: shard-2-0, port: 5432, database: app, user: flux, "
            "credentials: env:PASSWORD}, weight: 1, durability: async}"
        ),
        "~ tables.public.orders: {sharded: tenant_id} -> reference",
        "- tables.public.plans: global",
        "+ shard_numbers.shard_2: 3",
        "~ slot_epochs.3: 2 -> 4",
        "+ slot_epochs.5: 2",
    ]


def test_the_text_says_first_what_moves_data():
    old = maps.two_shards()
    new = replace(
        old, slots=(A,) * 4096, pins={"1": Pin(B)}, tables={"public.orders": Sharded("tenant_id")}
    )

    lines = changes_text(changes_between(old, new)).splitlines()

    assert lines[0] == "! slots: 2048 of shard_1 move to shard_0: 2048-4095"
    assert lines[1] == "! pins.1: pinned to shard_1, moves from shard_0 to shard_1"


def test_many_pins_are_shortened_but_never_those_that_move():
    old = maps.two_shards()
    pins = {str(number): Pin(old.owner(str(number))) for number in range(100)}
    new = replace(old, pins={**pins, "7": Pin(A), "8": Pin(A), "42": Pin(A)})

    lines = changes_text(changes_between(old, new)).splitlines()

    movers = [tenant for tenant in ("7", "8", "42") if old.owner(tenant) == B]
    assert len([line for line in lines if line.startswith("!")]) == len(movers)
    assert lines[-1] == f"… and {100 - len(movers) - 20} more pins"


def test_programs_get_everything_as_json():
    old = maps.two_shards()
    new = replace(old, slots=(B, *old.slots[1:]), pins={"7": Pin(B)}, default_placement=None)

    document = json.loads(json.dumps(changes_document(changes_between(old, new))))

    assert document["slots"] == [{"source": A, "target": B, "count": 1, "slots": "0"}]
    assert document["pins"][0]["tenant"] == "7"
    assert document["pins"][0]["moves"] is False
    assert document["edits"] == []
