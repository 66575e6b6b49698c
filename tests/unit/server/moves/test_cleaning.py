"""Rows are taken away only where their tenant is not at home, whatever the journal says."""

from dataclasses import replace

import pytest

from server.moves import WrongState
from server.moves.cleaning import listed, refuse_open, refuse_residents
from server.moves.fences import Fence
from shardmap import SlotUnit, TenantId, slot_of
from tests.unit.server.moves.journalled import A, B, a_map, a_move

TENANT = TenantId("7")
SLOT = slot_of(TENANT)


def fences(**states):
    found = {name.replace("_", ":"): state for name, state in states.items()}
    return {unit: Fence(unit, 2, state, None, 1, ()) for unit, state in found.items()}


def test_a_tenant_that_the_map_has_here_keeps_its_rows():
    with pytest.raises(WrongState, match="tenant 7 is at home on shard_0 by the map of epoch 5"):
        refuse_residents(a_map([SLOT], t7="shard_0"), A, [TENANT])


def test_a_tenant_that_the_map_has_elsewhere_does_not():
    refuse_residents(a_map([SLOT]), A, [TENANT])
    refuse_residents(a_map(t7="shard_1"), A, [TENANT])
    refuse_residents(a_map(), B, [TENANT])


@pytest.mark.parametrize(
    "found",
    [
        pytest.param({}, id="no fence"),
        pytest.param({f"slot_{SLOT}": "open"}, id="the slot is open"),
        pytest.param({f"slot_{SLOT}": "gone", "pin_7": "open"}, id="a pin of its own is open"),
    ],
)
def test_a_tenant_whose_fence_is_open_here_keeps_its_rows(found):
    with pytest.raises(WrongState, match="is at home where its rows were to be taken away"):
        refuse_open(fences(**found), [SlotUnit(SLOT)], [TENANT])


@pytest.mark.parametrize("state", ["gone", "arriving"])
def test_a_tenant_whose_fences_say_that_it_is_elsewhere_does_not(state):
    refuse_open(fences(**{f"slot_{SLOT}": state, "pin_7": "gone"}), [SlotUnit(SLOT)], [TENANT])


def test_rows_that_the_fences_list_go_with_those_that_the_journal_lists():
    slot = f"slot:{SLOT}"
    move = a_move(SlotUnit(SLOT), tenants=["7"])
    newcomer = Fence(slot, 1, "arriving", A, 1, ("7", "8"))

    assert listed(move, {slot: newcomer}) == ("7", "8")
    assert listed(move, {slot: replace(newcomer, state="open")}) == ("7",)
    assert listed(move, {}) == ("7",)
