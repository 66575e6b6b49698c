"""The held connections of one endpoint, within a budget: the only place that acquires any.

Idle ones lie on a stack per role, so that the warmest is taken next and the coldest ages out. A
connection is taken and given back without a message to the server.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from router.backend_settings import BackendSettings
from router.errors import PoolTimeout, ShardDown, ShardUnavailable
from router.live.connection import HeldConnection
from router.live.failures import DRIVER_ERRORS, EndpointLost
from router.live.preamble import ROLES, rollback_and_clean
from router.tasks import TaskOwner
from shardmap import ShardId

Opener = Callable[[str, float], Awaitable[HeldConnection]]
"""Opens a session that runs as a role; the second argument is its share of the lifetime."""

WARM_ROLE: Final = "authenticated"
"""What connections run as that are opened ahead of need."""
TIDY_TIMEOUT_S: Final = 1.0
SWITCH_TIMEOUT_S: Final = 2.0
MAX_TICK_S: Final = 30.0
MIN_TICK_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class PoolStanding:
    """The connections of a pool at this moment."""

    open: int
    idle: int
    in_use: int
    waiting: int
    limit: int


class EndpointPool:
    """Connections to one endpoint, at most `max_connections` for all roles together.

    When a role has no idle connection it opens one; when the budget is used up, an idle one of
    another role is switched over; else the caller waits its turn, first come, first served.
    """

    def __init__(
        self,
        shard: ShardId,
        name: str,
        opener: Opener,
        settings: BackendSettings,
        owner: TaskOwner,
    ) -> None:
        self._shard = shard
        self._name = name
        self._opener = opener
        self._settings = settings
        self._owner = owner
        self._limit = settings.max_connections
        self._idle: dict[str, list[HeldConnection]] = {role: [] for role in ROLES}
        self._in_use: set[HeldConnection] = set()
        self._leaving: set[HeldConnection] = set()
        """Being closed, by a task each."""
        self.cursors = asyncio.Semaphore(max(1, self._limit // 2))
        """Places for connections that a slow client may occupy: never all of them."""
        self._size = 0
        """Open, opening and closing ones: what the server may count."""
        self._waiting: deque[asyncio.Future[HeldConnection | None]] = deque()
        self._closed = False
        self._generation = 0
        """Grows when prepared statements must be made anew."""

    def take(self, role: str) -> HeldConnection | None:
        """An idle connection of the role, at once and without a message, or None."""
        stack = self._idle.get(role)
        while stack:
            held = stack.pop()
            if held.raw.is_closed():
                self._vacate()
                continue
            self._in_use.add(held)
            if held.generation != self._generation:
                self._renew(held)
            return held
        return None

    async def acquire(self, role: str, timeout_s: float) -> HeldConnection:
        """A connection that runs as the role.

        Raises:
            PoolTimeout: None came free in time.
            EndpointLost: The endpoint cannot be reached.
            IdentityMismatch: Another server answers there.
        """
        held = self.take(role)
        if held is not None:
            return held
        try:
            async with asyncio.timeout(timeout_s):
                return await self._obtain(role)
        except TimeoutError as error:
            raise PoolTimeout(
                self._shard,
                f"connection pool of {self._name}: no connection within {max(timeout_s, 0):.3g} s"
                f" ({len(self._in_use)} of {self._limit} in use, {len(self._waiting)} waiting)",
            ) from error

    def give_back(self, held: HeldConnection) -> None:
        """Return a connection whose session is as it was: no transaction, same role."""
        self._in_use.discard(held)
        held.abandonable = True
        if held.raw.is_closed():
            self._vacate()
        elif self._closed or held.expires_at <= time.monotonic():
            self._close_later(held)
        else:
            self._offer(held)

    def tidy(self, held: HeldConnection) -> None:
        """Return a connection with an open or failed transaction: it is cleaned on the way."""
        if held.raw.is_closed():
            self.give_back(held)
        elif self._owner.start(self._clean(held), name=f"tidy {self._name}") is None:
            self.drop(held)

    def discard(self, held: HeldConnection) -> None:
        """Return a connection in an unknown state: what it runs is cancelled, and it is closed."""
        self._in_use.discard(held)
        if held.raw.is_closed():
            self._vacate()
        else:
            self._close_later(held)

    def drop(self, held: HeldConnection) -> None:
        """Cut off a connection whose statement must not be cancelled."""
        self._in_use.discard(held)
        held.drop()
        self._vacate()

    def outdate(self, held: HeldConnection) -> None:
        """A prepared statement of this connection is outdated: so may be everybody's."""
        if held.generation == self._generation:
            self._generation += 1

    def abandon_reads(self) -> None:
        """Cut off the reads in flight: the endpoint gives no sign of life."""
        for held in tuple(self._in_use):
            if held.abandonable:
                held.drop()

    def fail_waiting(self, reason: str) -> None:
        """Tell everybody in the queue that the endpoint is down, and close what is idle."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_exception(EndpointLost(self._shard, self._name, reason))
        for stack in self._idle.values():
            while stack:
                self._close_later(stack.pop())

    def standing(self) -> PoolStanding:
        """The connections at this moment."""
        idle = sum(map(len, self._idle.values()))
        waiting = sum(not waiter.done() for waiter in self._waiting)
        return PoolStanding(self._size, idle, len(self._in_use), waiting, self._limit)

    async def keep(self, wanted: Callable[[], bool]) -> None:
        """Close what is too old or idle for too long, and keep the minimum open, for ever.

        `wanted` says whether the endpoint is fit for new connections.
        """
        settings = self._settings
        tick_s = min(settings.idle_time_s, settings.max_lifetime_s) / 4
        while True:
            self._age_out()
            if wanted():
                await self._fill()
            await asyncio.sleep(min(max(tick_s, MIN_TICK_S), MAX_TICK_S))

    def close(self) -> None:
        """Close idle connections now, those in use when they come back; refuse everybody else."""
        self._closed = True
        self.fail_waiting(f"{self._name} is no longer in use")

    def cut(self) -> None:
        """Cut off whatever is still open: the process is about to leave."""
        self._closed = True
        for stack in self._idle.values():
            while stack:
                self.drop(stack.pop())
        for held in (*self._in_use, *self._leaving):
            held.drop()
        self.fail_waiting(f"{self._name} is no longer in use")

    async def _obtain(self, role: str) -> HeldConnection:
        if self._closed:
            raise ShardDown(self._shard, f"{self._name} is no longer in use")
        if self._size < self._limit:
            self._size += 1
            return await self._open(role)
        other = self._take_other(role)
        if other is not None:
            return await self._switched(other, role)
        waiter: asyncio.Future[HeldConnection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            held = await waiter
        except asyncio.CancelledError:
            self._withdraw(waiter)
            raise
        if held is None:  # a place in the budget, ours already
            return await self._open(role)
        self._renew(held)
        if held.role != role:
            return await self._switched(held, role)
        return held

    def _renew(self, held: HeldConnection) -> None:
        if held.generation != self._generation:
            held.forget_statements()
            held.generation = self._generation

    async def _open(self, role: str) -> HeldConnection:
        """Open a connection; its place in the budget is taken already."""
        held = None
        try:
            held = await self._opener(role, random.uniform(0.9, 1.0))  # noqa: S311 - no secret
        finally:
            if held is None:
                self._vacate()
        held.generation = self._generation
        self._in_use.add(held)
        return held

    async def _switched(self, held: HeldConnection, role: str) -> HeldConnection:
        switched = False
        try:
            await held.set_role(role, SWITCH_TIMEOUT_S)
            switched = True
        except DRIVER_ERRORS as error:
            raise EndpointLost(
                self._shard, self._name, f"cannot switch roles on {self._name}"
            ) from error
        finally:
            if not switched:
                self.discard(held)
        return held

    def _take_other(self, role: str) -> HeldConnection | None:
        """The coldest idle connection of the role that has most of them."""
        for other in sorted(ROLES, key=lambda name: len(self._idle[name]), reverse=True):
            if other != role and self._idle[other]:
                self._idle[other].reverse()
                held = self.take(other)
                self._idle[other].reverse()
                if held is not None:
                    return held
        return None

    def _withdraw(self, waiter: "asyncio.Future[HeldConnection | None]") -> None:
        """Leave the queue; what was handed over meanwhile goes to the next."""
        if not waiter.done() or waiter.cancelled():
            if waiter in self._waiting:
                self._waiting.remove(waiter)
        elif waiter.exception() is None:
            held = waiter.result()
            if held is None:
                self._vacate()
            else:
                self.give_back(held)

    def _offer(self, held: HeldConnection) -> None:
        """To the first in the queue, else onto its role's stack."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                self._in_use.add(held)
                waiter.set_result(held)
                return
        held.idle_since = time.monotonic()
        self._idle[held.role].append(held)

    def _vacate(self) -> None:
        """A place in the budget is free: to the first in the queue, with the place kept for it."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._size -= 1

    async def _clean(self, held: HeldConnection) -> None:
        cleaned = False
        try:
            await held.execute(rollback_and_clean(held.role), TIDY_TIMEOUT_S)
            cleaned = True
        except DRIVER_ERRORS:
            pass  # it is closed instead
        finally:
            if cleaned:
                self.give_back(held)
            else:
                self.discard(held)

    def _close_later(self, held: HeldConnection) -> None:
        self._leaving.add(held)
        if self._owner.start(self._closing(held), name=f"close {self._name}") is None:
            self._leaving.discard(held)
            held.drop()
            self._vacate()

    async def _closing(self, held: HeldConnection) -> None:
        try:
            await held.close()
        finally:
            self._leaving.discard(held)
            held.drop()
            self._vacate()

    def _age_out(self) -> None:
        now = time.monotonic()
        surplus = self._size - self._settings.min_connections
        for stack in self._idle.values():
            keep = []
            for held in stack:  # the coldest first
                unused = surplus > 0 and now - held.idle_since > self._settings.idle_time_s
                if held.raw.is_closed():
                    self._vacate()
                elif held.expires_at <= now or unused:
                    self._close_later(held)
                else:
                    keep.append(held)
                    continue
                surplus -= 1
            stack[:] = keep

    async def _fill(self) -> None:
        minimum = min(self._settings.min_connections, self._limit)
        while self._size < minimum and not self._closed:
            self._size += 1
            try:
                self.give_back(await self._open(WARM_ROLE))
            except ShardUnavailable:
                return  # probes say what is wrong; the next round tries again
