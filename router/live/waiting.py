"""Those who wait for a connection of one endpoint: in a fair queue, handed one when it is free."""

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

    `full` makes the error of those for whom there is no room; `returned` takes back what was
    handed to a caller that left in the same moment.
    """

    def __init__(
        self, most: int, full: Callable[[], RouterError], returned: Callable[[Handed], None]
    ) -> None:
        self._queue: FairQueue[asyncio.Future[Handed]] = FairQueue(most)
        self._full = full
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
        leaving = self._queue.push(party, waiter)
        if leaving is not None:
            self.turned_away += 1
            if leaving is waiter:
                raise self._full()
            leaving.set_exception(self._full())
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
        waiter = self._queue.pop()
        while waiter is not None:
            if not waiter.done():
                waiter.set_result(what)
                return True
            waiter = self._queue.pop()
        return False

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
