"""Skewed choices: the zipfian distribution, as YCSB draws from it.

After Gray et al., "Quickly Generating Billion-Record Synthetic Databases" (SIGMOD 1994), with YCSB's
constant 0.99: item 0 is the most popular one. `scattered` spreads the popular items over all keys
by a hash, as YCSB's scrambled generator does.
"""

import random
from collections.abc import Callable
from typing import Final

YCSB_CONSTANT: Final = 0.99

_FNV_OFFSET: Final = 0xCBF29CE484222325
_FNV_PRIME: Final = 0x100000001B3
_MASK: Final = (1 << 64) - 1


class Zipf:
    """Items `0 … n - 1`, each drawn with a chance proportional to `1 / (item + 1) ** skew`."""

    def __init__(self, items: int, skew: float, chance: random.Random) -> None:
        if not (items > 0 and 0 < skew < 1):
            raise ValueError("a zipfian choice needs items, and a skew between 0 and 1")
        self._items = items
        self._skew = skew
        self._random = chance.random
        self._zeta = sum(1 / (i + 1) ** skew for i in range(items))
        two = 1 + 0.5**skew
        self._alpha = 1 / (1 - skew)
        self._eta = (1 - (2 / items) ** (1 - skew)) / (1 - two / self._zeta) if items > 2 else 0.0
        self._two = two

    def __call__(self) -> int:
        """One item."""
        u = self._random()
        uz = u * self._zeta
        if uz < 1 or self._items == 1:
            return 0
        if uz < self._two or self._items == 2:
            return 1
        return min(
            self._items - 1, int(self._items * (self._eta * u - self._eta + 1) ** self._alpha)
        )

    def share(self, item: int) -> float:
        """The chance of an item."""
        return float(1 / (item + 1) ** self._skew / self._zeta)


def scattered(draw: Callable[[], int], items: int) -> Callable[[], int]:
    """The same choice with the popular items anywhere among `items`."""

    def scatter() -> int:
        return fnv(draw()) % items

    return scatter


def fnv(value: int) -> int:
    """FNV-1a of the eight bytes of a number, in [0, 2**64)."""
    found = _FNV_OFFSET
    for _ in range(8):
        found = ((found ^ (value & 0xFF)) * _FNV_PRIME) & _MASK
        value >>= 8
    return found
