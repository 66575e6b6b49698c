"""What probes said of fences: which reads they send away, and which of several tellers is believed."""

import json
from dataclasses import replace
from types import MappingProxyType

import pytest

from router.fences import Entry, Fence, ShardFences, left, picture, unsettled
from router.live.known_fences import FENCES, read_fences
from shardmap import Endpoint, KeyType, Pin, Shard, ShardId, ShardMap, TenantId, Unsharded, slot_of

SLOTS = 4096
A, B = ShardId("shard_0"), ShardId("shard_1")
SEVEN = TenantId("7")
ENDPOINT = Endpoint("a", "db", 5432, "app", "app", "env:DATABASE_URL")
MAP = ShardMap(
    cluster_id="c",
    epoch=1,
    key_type=KeyType.INTEGER,
    shards={shard: Shard(shard, ENDPOINT) for shard in (A, B)},
    catalog=ENDPOINT,
    catalog_replicas=(),
    slots=(A,) * SLOTS,
    default_placement=Unsharded(),
)


def fences(*rows, version=1):
    return ShardFences(version, MappingProxyType({row.unit: row for row in rows}))


def test_a_read_is_at_home_where_its_unit_is_open_at_the_epoch_of_the_map():
    slot = Fence("slot:9", 3, "open")
    lifted = Fence("pin:7", 3, "gone", A)
    moved_away_once = Fence("pin:7", 2, "gone", B)

    assert left(fences(slot, lifted), (Entry("slot:9", 3),), SEVEN) is None
    assert left(fences(slot, moved_away_once), (Entry("slot:9", 3),), SEVEN) is None


def test_a_pin_that_is_newer_than_the_map_says_where_the_tenant_is_before_its_slot():
    slot = Fence("slot:9", 3, "open")
    gone = Fence("pin:7", 4, "gone", B)

    assert left(fences(slot, gone), (Entry("slot:9", 2),), SEVEN) is gone
    assert left(fences(gone), (Entry("slot:9", 1),), SEVEN) is gone
    at_home = fences(Fence("slot:9", 4, "gone", B), Fence("pin:7", 3, "open"))
    assert left(at_home, (Entry("slot:9", 2),), SEVEN) is None


def test_a_unit_that_is_elsewhere_is_not_at_home_at_any_epoch():
    gone = Fence("slot:9", 4, "gone", B)
    other = Fence("slot:8", 1, "open")

    assert left(fences(gone), (Entry("slot:9", 4),), SEVEN) is gone
    assert left(fences(gone, other), (Entry("slot:8", 1), Entry("slot:9", 4)), None) is gone
    assert left(fences(gone, other), (Entry("slot:8", 1),), None) is None
    lifted = Fence("pin:7", 3, "gone", A)
    assert left(fences(lifted), (Entry("pin:7", 2),), SEVEN) is lifted


def test_a_probe_is_told_nothing_that_grows_with_the_tenants_of_a_move():
    rows = json.dumps([["slot:9", 4, "gone", B, True], ["pin:7", 2, "open", None, False]])

    known = read_fences(5, rows)

    assert known == fences(
        Fence("slot:9", 4, "gone", B, peopled=True), Fence("pin:7", 2, "open"), version=5
    )
    assert known.strangers
    assert FENCES.count("tenants") == FENCES.count("cardinality(f.tenants)") == 1


@pytest.mark.parametrize(
    ("unit", "slots", "pins", "open_question"),
    [
        ("slot:9", {9: B}, {}, False),
        ("slot:9", {9: A}, {}, True),
        ("pin:7", {}, {SEVEN: Pin(B, 4)}, False),
        ("pin:7", {}, {SEVEN: Pin(A, 3)}, True),
        ("pin:7", {slot_of(SEVEN): B}, {}, False),
        ("pin:7", {slot_of(SEVEN): A}, {}, True),
    ],
)
def test_a_unit_that_has_left_waits_for_the_map_that_has_it_there(unit, slots, pins, open_question):
    shard_map = replace(MAP, slots=tuple(slots.get(slot, B) for slot in range(SLOTS)), pins=pins)
    gone = Fence(unit, 4, "gone", B, peopled=True)
    known = {A: fences(gone), B: fences(Fence(unit, 4, "open"))}

    found = unsettled(known, shard_map)

    assert found == ((A, gone, False) if open_question else None)


def test_a_home_has_opened_only_when_the_one_before_is_known_to_have_closed():
    stays, arriving = fences(), fences(Fence("pin:7", 2, "arriving", A, peopled=True))
    gone, opened = (
        fences(Fence("pin:7", 2, "gone", B, peopled=True)),
        fences(Fence("pin:7", 2, "open"), version=2),
    )
    before = {A: stays, B: arriving}

    assert picture(before, {A: stays, B: opened}) == before
    assert picture(before, {A: gone, B: opened}) == {A: gone, B: opened}
    assert picture({A: stays}, {A: stays, B: opened}) == {A: stays, B: opened}
    back = fences(Fence("pin:7", 3, "open"), version=3)
    assert picture(before, {A: back, B: opened}) == {A: back, B: opened}
    dropped = fences(version=2)
    assert picture(before, {A: stays, B: dropped}) == {A: stays, B: dropped}
    assert picture(before, {B: opened}) == {B: opened}
