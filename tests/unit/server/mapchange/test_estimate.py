from dataclasses import replace

import pytest

from server.mapchange.estimate import (
    COPY_BYTES_PER_S,
    PAUSE_S,
    UNIT_S,
    MovedBefore,
    Pace,
    duration_text,
    estimated,
)
from server.tenants.sizes import Extent, TableCount, sizes_of
from shardmap import Pin, SlotsMove, TableName, TenantId, TenantMove, slot_of
from tests.unit.shardmap.maps import A, B, two_shards

MAP = two_shards()
KEYS = [TenantId(str(number)) for number in range(40)]
AT_A = [key for key in KEYS if MAP.owner(key) == A]
SIZES = sizes_of(
    [TableCount(A, TableName("public.orders"), {key: Extent(10, 1_000_000) for key in AT_A})], MAP
)


def test_slots_take_their_tenants_but_not_those_that_are_pinned():
    pinned = replace(MAP, pins={AT_A[0]: Pin(A)})
    moves = [SlotsMove(tuple(range(2048)), A, B), TenantMove(AT_A[0], A, B)]

    slots, tenant = estimated(moves, pinned, SIZES, Pace()).moves

    assert (slots.tenants, slots.extent) == (
        len(AT_A) - 1,
        Extent(10 * (len(AT_A) - 1), 1_000_000 * (len(AT_A) - 1)),
    )
    assert (tenant.tenants, tenant.extent) == (1, Extent(10, 1_000_000))
    assert tenant.seconds == pytest.approx(UNIT_S + 1_000_000 / COPY_BYTES_PER_S)


def test_a_tenant_that_moves_itself_is_not_counted_with_its_slot():
    moves = [TenantMove(AT_A[0], A, B), SlotsMove((slot_of(AT_A[0]),), A, B)]

    tenant, slots = estimated(moves, MAP, SIZES, Pace()).moves

    assert (tenant.extent.rows, slots.extent.rows) == (10, 0)


def test_the_pace_is_the_median_of_the_moves_before():
    pace = Pace.of(
        [
            MovedBefore(20_000_000, UNIT_S + 1, 0.1),
            MovedBefore(40_000_000, UNIT_S + 1, 0.3),
            MovedBefore(60_000_000, UNIT_S + 1, 0.2),
            MovedBefore(10, 5.0, 0.2),
        ]
    )

    assert (pace.bytes_per_s, pace.pause_s, pace.measured) == (40_000_000, 0.2, 4)
    assert Pace.of([]) == Pace(COPY_BYTES_PER_S, UNIT_S, PAUSE_S)
    assert Pace.of([MovedBefore(10, 5.0, 0.2)]).bytes_per_s == COPY_BYTES_PER_S


def test_the_text_says_what_was_not_counted_and_how_the_speed_is_known():
    unknown = replace(SIZES, unknown=("public.lines on shard_0: too slow",), sampled=True)

    text = estimated([TenantMove(AT_A[0], A, B)], MAP, unknown, Pace(measured=3)).text()

    assert text.splitlines() == [
        "moves:",
        f"  tenant {AT_A[0]} from shard_0 to shard_1: 10 rows, 1.0 MB, about 2 s",
        "in all 1 tenants, 10 rows, 1.0 MB, about 2 s; writes of a unit wait for about 0.12 s",
        "(rows estimated from samples; speed as 3 moves before went: 10 MB/s)",
        "not counted: public.lines on shard_0: too slow",
    ]


def test_durations_are_written_as_people_say_them():
    assert [duration_text(seconds) for seconds in (0.2, 80, 200, 9000)] == [
        "about 1 s",
        "about 80 s",
        "about 3 minutes",
        "about 2.5 hours",
    ]
