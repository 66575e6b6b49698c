"""Units of the map as text."""

import pytest

from shardmap import PinUnit, SlotUnit, TenantId, read_unit, unit_text


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        (SlotUnit(0), "slot:0"),
        (SlotUnit(4095), "slot:4095"),
        (PinUnit(TenantId("7")), "pin:7"),
        (PinUnit(TenantId("")), "pin:"),
        (PinUnit(TenantId("slot:7\npin:8")), "pin:slot:7\npin:8"),
    ],
)
def test_a_unit_is_read_back_from_its_text(unit, text):
    assert unit_text(unit) == text
    assert read_unit(text) == unit


@pytest.mark.parametrize("text", ["", "*", "slot:", "slot:4096", "slot:-1", "slot:1 ", "7"])
def test_other_texts_are_no_units(text):
    assert read_unit(text) is None
