"""The way in when a worker is short of CPU: tenants take turns, and a standing queue is cut.

While the event loop keeps up there are no turns: requests go by without being looked at. When it
lags, a few are let in with each of its rounds, of one tenant after the other, before anything
costly is done for them. So the loop stays quick, a tenant that floods waits for itself, and what
cannot be served in time is turned away while that is cheap. Requests that wait for a shard hold
no place here: whoever is in, is in.
"""

import asyncio
import time
from collections.abc import Hashable
from types import TracebackType
from typing import Final, Self

from router import FairQueue
from server.errors import Overloaded
from server.front.pressure import TICK_S, Pressure
from server.observe.facts import FactObserver, OverloadBegan, OverloadEnded

PER_ROUND: Final = 16
"""Requests let in with one round of the event loop: some two milliseconds of work."""
CALM_TICKS: Final = 100
"""Without a limit, in a row, before an overload has ended: in one it comes and goes."""
MOST_WAITING: Final = 100_000
"""Bound of the queue while it is no standing one; each holds a few kilobytes, its body unread."""


class Turnstile:
    """One worker's, entered as a context: within it the lag of the event loop is measured."""

    def __init__(self, target_s: float, observe: FactObserver) -> None:
        self.engaged = False
        """Requests take turns."""
        self.shed = 0
        """How many were turned away."""
        self.lag_s = 0.0
        """The event loop's, at the last tick."""
        self._pressure = Pressure(target_s)
        self._observe = observe
        self._queue: FairQueue[asyncio.Future[None]] = FairQueue(MOST_WAITING)
        self._since: dict[asyncio.Future[None], float] = {}
        """When each began to wait, the one who waits longest first."""
        self._served = 0
        self._pumping = False
        self._told = False
        self._calm = 0
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._queue)

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(TICK_S, self._tick, loop.time() + TICK_S)
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()

    async def turn(self, party: Hashable) -> None:
        """Wait for the party's turn.

        Raises:
            Overloaded: There is no room, or other parties need it more.
        """
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        leaving = self._queue.push(party, waiter)
        if leaving is not None:
            self._turn_away(leaving)
        if leaving is not waiter:
            self._since[waiter] = time.monotonic()
            self._pump_later()
        try:
            await waiter
        except asyncio.CancelledError:
            self._queue.remove(party, waiter)
            raise
        finally:
            self._since.pop(waiter, None)

    def _turn_away(self, waiter: "asyncio.Future[None]") -> None:
        self.shed += 1
        if not waiter.done():
            waiter.set_exception(Overloaded())

    def _pump_later(self) -> None:
        if not self._pumping:
            self._pumping = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        """Let the next few in; the rest with the next round."""
        self._pumping = False
        for _ in range(PER_ROUND):
            waiter = self._queue.pop()
            if waiter is None:
                return
            if not waiter.done():
                waiter.set_result(None)
                self._served += 1
        if self._queue:
            self._pump_later()

    def _tick(self, due: float) -> None:
        loop = asyncio.get_running_loop()
        self.lag_s = max(0.0, loop.time() - due)
        self._timer = loop.call_later(TICK_S, self._tick, loop.time() + TICK_S)
        waiting = len(self._queue)
        pressure = self._pressure
        pressure.tick(self.lag_s, self._longest_s(), self._served, waiting)
        self._served, self.engaged, limit = 0, pressure.engaged, pressure.limit
        self._queue.most = MOST_WAITING if limit is None else limit
        if limit is not None:
            while len(self._queue) > limit:
                leaving = self._queue.drop_newest()
                if leaving is not None:
                    self._turn_away(leaving)
        self._tell(limit is not None, waiting)

    def _longest_s(self) -> float:
        """How long who waits longest has waited by now."""
        oldest = next(iter(self._since.values()), None)
        return time.monotonic() - oldest if oldest is not None else 0.0

    def _tell(self, overloaded: bool, waiting: int) -> None:  # noqa: FBT001 - what is told
        self._calm = 0 if overloaded else self._calm + 1
        if overloaded and not self._told:
            self._told = True
            self._observe(OverloadBegan(waiting, self.lag_s))
        elif self._told and self._calm >= CALM_TICKS:
            self._told = False
            self._observe(OverloadEnded(self.shed))
