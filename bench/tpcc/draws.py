"""What a terminal of TPC-C draws: which transaction, and the values in it (clauses 2 and 5.2.3)."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from bench.tpcc.tables import DISTRICTS, SYLLABLES, Scale

MIX: Final[Mapping[str, int]] = {
    "new-order": 45,
    "payment": 43,
    "order-status": 4,
    "delivery": 4,
    "stock-level": 4,
}
C_LAST: Final = 123
C_ID: Final = 259
OL_I_ID: Final = 7_911
"""The constants of the skewed choice; any in the standard's ranges would do."""


@dataclass(frozen=True, slots=True)
class Remote:
    """How often a transaction concerns another warehouse, in per cent."""

    lines: float = 1.0
    """Of an order's lines: supplied by another warehouse."""
    payments: float = 15.0
    """Of payments: by a customer of another warehouse."""


class Line(NamedTuple):
    """A line of an order."""

    item: int
    supplier: int
    quantity: int


class Terminal:
    """One terminal, with its home warehouse and its chance."""

    def __init__(self, warehouse: int, scale: Scale, remote: Remote, chance: random.Random) -> None:
        self.warehouse = warehouse
        self._scale = scale
        self._remote = remote
        self.chance = chance

    def kind(self) -> str:
        """The next transaction."""
        return self.chance.choices(tuple(MIX), tuple(MIX.values()))[0]

    def district(self) -> int:
        """Any of the ten."""
        return self.chance.randint(1, DISTRICTS)

    def customer(self) -> int:
        """The number of a customer."""
        return self._skewed(1023, 1, self._scale.customers, C_ID)

    def last_name(self) -> str:
        """The last name of some customers."""
        number = self._skewed(255, 0, min(999, self._scale.customers - 1), C_LAST)
        return last_name(number)

    def elsewhere(self) -> int:
        """Another warehouse; the own if there is no other."""
        others = self._scale.warehouses - 1
        if not others:
            return self.warehouse
        drawn = self.chance.randint(1, others)
        return drawn + (drawn >= self.warehouse)

    def paying_warehouse(self) -> int:
        """Where the customer who pays is from."""
        return self.elsewhere() if self._happens(self._remote.payments) else self.warehouse

    def lines(self) -> list[Line]:
        """5 to 15 lines, each item once, in the order in which stock is locked."""
        number = self.chance.randint(5, 15)
        items: set[int] = set()
        while len(items) < number:
            items.add(self._skewed(8191, 1, self._scale.items, OL_I_ID))
        found = [
            Line(
                item,
                self.elsewhere() if self._happens(self._remote.lines) else self.warehouse,
                self.chance.randint(1, 10),
            )
            for item in items
        ]
        return sorted(found, key=lambda line: (line.supplier, line.item))

    def mistaken(self) -> bool:
        """One order of a hundred names an item that does not exist, and is rolled back."""
        return self._happens(1)

    def by_name(self) -> bool:
        """Sixty of a hundred customers are looked up by their last name."""
        return self._happens(60)

    def _happens(self, per_cent: float) -> bool:
        return self.chance.random() * 100 < per_cent

    def _skewed(self, a: int, low: int, high: int, constant: int) -> int:
        """NURand of clause 2.1.6."""
        mixed = self.chance.randint(0, a) | self.chance.randint(low, high)
        return (mixed + constant) % (high - low + 1) + low


def last_name(number: int) -> str:
    """Three syllables for three digits (clause 4.3.2.3)."""
    return "".join(SYLLABLES[number // power % 10] for power in (100, 10, 1))
