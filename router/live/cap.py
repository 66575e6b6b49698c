"""The most connections that one process opens to all endpoints together.

Pools claim a place before they open a connection. When none is left, the pool with most idle
connections closes one for whoever waits, and what comes free goes round among the pools.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Pool(Protocol):
    """A pool, as far as the cap is concerned."""

    @property
    def idle(self) -> int:
        """How many idle connections it has."""
        ...

    def spare_one(self) -> None:
        """Close an idle connection; its place is released when it is closed."""
        ...

    def grant(self) -> bool:
        """Take a place, claimed already, for somebody who waits; False: nobody does."""
        ...


class ConnectionCap:
    """Counts the connections of all pools of a process; `most` 0: there is no cap."""

    __slots__ = ("_most", "_pools", "open", "short")

    def __init__(self, most: int) -> None:
        self._most = most
        self._pools: deque[Pool] = deque()
        self.open = 0
        """Open, opening and closing ones."""
        self.short = 0
        """How many callers wait because there is no place left."""

    def join(self, pool: Pool) -> None:
        """Take part."""
        self._pools.append(pool)

    def leave(self, pool: Pool) -> None:
        """Take part no more; what is open is released as it closes."""
        if pool in self._pools:
            self._pools.remove(pool)

    def claim(self) -> bool:
        """Take a place; False: there is none."""
        if self._most and self.open >= self._most:
            return False
        self.open += 1
        return True

    @contextmanager
    def wanting(self) -> Iterator[None]:
        """While somebody waits in a pool that has room, because there is no place left."""
        self.short += 1
        try:
            self.make_room()
            yield
        finally:
            self.short -= 1

    def make_room(self) -> None:
        """Have the pool with most idle connections close one."""
        fullest = max(self._pools, key=_idle, default=None)
        if fullest is not None and fullest.idle:
            fullest.spare_one()

    def release(self) -> None:
        """Give a place back: to a pool where somebody waits for one, each pool in its turn."""
        if self.short:
            for _ in range(len(self._pools)):
                pool = self._pools[0]
                self._pools.rotate(-1)
                if pool.grant():
                    return
        self.open -= 1


def _idle(pool: Pool) -> int:
    return pool.idle
