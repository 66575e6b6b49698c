"""A map does not change what is moving: neither the units of a move, nor who is in a slot of it."""

from dataclasses import replace

import pytest

from shardmap import Pin, ShardId, TenantId, slot_of, succeed
from shardmap.moving import Moving, moving_problems
from tests.unit.shardmap.maps import A, B, two_shards

TENANT = TenantId("7")
SLOT = slot_of(TENANT)


@pytest.fixture
def without():
    return two_shards()


@pytest.fixture
def pinned(without):
    pin = Pin(without.owner(TENANT))
    return succeed(without, replace(without, pins={TENANT: pin}))


def problems(old, new, state, *units):
    moving = Moving(3, state, units, (A, B))
    return [str(one) for one in moving_problems(old, new, moving)]


@pytest.mark.parametrize("state", ["planned", "copying", "aborting", "moved", "returning"])
def test_a_tenant_gets_no_pin_while_its_slot_is_in_a_move(without, pinned, state):
    found = problems(without, pinned, state, f"slot:{SLOT}")

    assert any(
        one.startswith(f"pins.7: its slot {SLOT} is in move 3, which is {state}") for one in found
    )


@pytest.mark.parametrize(("state", "refused"), [("copying", True), ("moved", False)])
def test_a_tenant_comes_into_its_slot_only_when_fences_and_map_agree_where_that_is(
    without, state, refused
):
    low = Pin(without.owner(TENANT), 0)  # lifting it does not raise the slot's epoch
    pinned = replace(without, pins={TENANT: low})
    lifted = succeed(pinned, replace(pinned, pins={}))

    assert bool(problems(pinned, lifted, state, f"slot:{SLOT}")) is refused


def test_a_pin_at_home_may_come_before_its_own_move_and_go_with_its_abort(without, pinned):
    assert problems(without, pinned, "planned", "pin:7") == []
    assert problems(pinned, without, "aborting", "pin:7") == []
    assert problems(pinned, without, "copying", "pin:7") != []


def test_pins_of_other_slots_are_free(without, pinned):
    other = (SLOT + 1) % 4096

    assert problems(without, pinned, "copying", f"slot:{other}") == []


def test_a_unit_in_a_move_keeps_its_home(without):
    other = next(shard for shard in without.shards if shard != without.slots[SLOT])
    slots = tuple(
        ShardId(other) if slot == SLOT else home for slot, home in enumerate(without.slots)
    )

    found = problems(without, replace(without, slots=slots), "moved", f"slot:{SLOT}")

    assert found == [
        f"slots.{SLOT}: is in move 3, which is moved: clean it up, abort it or roll it back first"
    ]


@pytest.mark.parametrize("state", ["moved", "aborting"])
def test_a_shard_that_a_move_has_rows_on_stays(without, state):
    left = replace(without, shards={A: without.shards[A]}, slots=(A,) * 4096)

    found = problems(without, left, state, "pin:7")

    assert f"shards.{B}: is needed by move 3, which is {state}" in found[0]
