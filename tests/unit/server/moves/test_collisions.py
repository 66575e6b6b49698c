"""Moves of the same tenants do not run at the same time, whichever unit names them."""

import pytest

from server.moves.collisions import collisions
from shardmap import PinUnit, SlotUnit, TenantId, slot_of
from tests.unit.server.moves.journalled import a_map, a_move

TENANT = TenantId("7")
PIN, SLOT = PinUnit(TENANT), SlotUnit(slot_of(TENANT))
ELSEWHERE = SlotUnit((slot_of(TENANT) + 1) % 4096)
NEIGHBOUR = PinUnit(
    TenantId(next(str(key) for key in range(8, 90_000) if slot_of(str(key)) == SLOT.slot))
)


@pytest.mark.parametrize(
    ("asked", "under_way"),
    [
        pytest.param(SLOT, SLOT, id="the slot twice"),
        pytest.param(PIN, PIN, id="the tenant twice"),
        pytest.param(PIN, SLOT, id="a tenant whose slot moves"),
        pytest.param(SLOT, PIN, id="a slot whose tenant moves"),
    ],
)
def test_a_tenant_without_a_pin_and_its_slot_are_in_one_move_at_a_time(asked, under_way):
    found = collisions(a_map(), [asked], [a_move(under_way, number=3)])

    assert len(found) == 1
    assert "is in move 3 already (copying)" in found[0]


@pytest.mark.parametrize(("asked", "under_way"), [(PIN, SLOT), (SLOT, PIN)])
def test_a_tenant_with_a_pin_moves_whatever_its_slot_does(asked, under_way):
    assert collisions(a_map(t7="shard_0"), [asked], [a_move(under_way)]) == ()


@pytest.mark.parametrize("under_way", [ELSEWHERE, NEIGHBOUR])
def test_what_is_in_other_units_is_in_nobodys_way(under_way):
    assert collisions(a_map(), [PIN], [a_move(under_way)]) == ()
