"""Those who wait for a connection of one endpoint: in a fair queue, handed one when it is free.

Whose turn it is depends on what each party has: but only what was handed over here is known, since
nobody is counted who finds a connection idle. While many wait, that is all of them.
"""

import asyncio
import time
from collections.abc import Callable, Hashable

from router.errors import RouterError
from router.fair_queue import FairQueue
from router.live.connection import HeldConnection

Handed = HeldConnection | None
"""A connection, or None: a place in the budget, to open one in."""


class Waiting:
    """Whoever waits here is handed something, fails, or leaves; nothing handed over is lost.

    `full` makes the error of those for whom there is no room, told whether it is the first since
    the queue was empty; `returned` takes back what was handed to a caller that left in the same
    moment.
    """

    def __init__(
        self, most: int, full: Callable[[bool], RouterError], returned: Callable[[Handed], None]
    ) -> None:
        self._queue: FairQueue[asyncio.Future[Handed]] = FairQueue(most)
        self._having: dict[Hashable, int] = {}
        """How many connections each party has that it waited for."""
        self._full = full
        self._overflowed = False
        self._returned = returned
        self.waits = 0
        """How often somebody waited, …"""
        self.waited_s = 0.0
        """… for how long in all, …"""
        self.turned_away = 0
        """… and how often there was no room for it."""

    def __len__(self) -> int:
        return len(self._queue)

    async def turn(self, party: Hashable) -> Handed:
        """What the caller is handed when it is its party's turn.

        Raises:
            RouterError: There is no room, or `fail` was called.
        """
        waiter: asyncio.Future[Handed] = asyncio.get_running_loop().create_future()
        if not self._queue:
            self._overflowed = False
        leaving = self._queue.push(party, waiter)
        if leaving is not None:
            self.turned_away += 1
            first, self._overflowed = not self._overflowed, True
            if leaving is waiter:
                raise self._full(first)
            leaving.set_exception(self._full(first))
        self.waits += 1
        began = time.monotonic()
        try:
            return await waiter
        except asyncio.CancelledError:
            self._withdraw(party, waiter)
            raise
        finally:
            self.waited_s += time.monotonic() - began

    def hand(self, what: Handed) -> bool:
        """Give it to whose turn it is; False: nobody waits."""
        following = self._queue.pop_next(self._having)
        while following is not None:
            party, waiter = following
            if not waiter.done():
                if what is not None:
                    self.has(party, what)
                waiter.set_result(what)
                return True
            following = self._queue.pop_next(self._having)
        return False

    def has(self, party: Hashable, held: HeldConnection) -> None:
        """The connection is the party's, until `left`."""
        held.waited_for = (party,)
        self._having[party] = self._having.get(party, 0) + 1

    def left(self, held: HeldConnection) -> None:
        """The party that waited for the connection does not have it any more."""
        (party,), held.waited_for = held.waited_for, ()
        if self._having[party] > 1:
            self._having[party] -= 1
        else:
            del self._having[party]

    def fail(self, error: Callable[[], RouterError]) -> None:
        """Tell everybody that there is nothing to wait for."""
        waiter = self._queue.pop()
        while waiter is not None:
            if not waiter.done():
                waiter.set_exception(error())
            waiter = self._queue.pop()

    def _withdraw(self, party: Hashable, waiter: "asyncio.Future[Handed]") -> None:
        if self._queue.remove(party, waiter):
            return
        if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
            self._returned(waiter.result())
