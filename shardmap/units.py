"""Units as text: how a shard's fences name the entries of the map that route tenants."""

import re
from typing import Final

from shardmap.ids import TenantId
from shardmap.map import PinUnit, SlotUnit, Unit
from shardmap.slots import SLOTS

_UNIT: Final = re.compile(r"slot:([0-9]{1,4})|pin:(.*)", re.ASCII | re.DOTALL)


def unit_text(unit: Unit) -> str:
    """`slot:<number>`, or `pin:<tenant key in canonical text>`."""
    match unit:
        case PinUnit(tenant):
            return f"pin:{tenant}"
        case SlotUnit(slot):
            return f"slot:{slot}"


def read_unit(text: str) -> Unit | None:
    """The unit of a text that `unit_text` made; None: it names none."""
    found = _UNIT.fullmatch(text)
    if found is None:
        return None
    if found[1] is None:
        return PinUnit(TenantId(found[2]))
    return SlotUnit(int(found[1])) if int(found[1]) < SLOTS else None
