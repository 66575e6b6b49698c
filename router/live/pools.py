"""The held connections of one endpoint, within a budget: the only place that acquires any.

Idle ones lie on a stack per role, so that the warmest is taken next and the coldest ages out. A
connection is taken and given back without a message to the server.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Final

from router.backend_settings import BackendSettings
from router.errors import PoolTimeout, ShardUnavailable, StatementFailed
from router.live.cap import ConnectionCap
from router.live.connection import HeldConnection
from router.live.failures import DRIVER_ERRORS, EndpointLost
from router.live.pool_standing import PoolStanding
from router.live.preamble import LOGIN, ROLES, rollback_and_clean
from router.live.waiting import Handed, Waiting
from router.observe import Observer, QueueOverflowed
from router.pooling_errors import PoolQueueFull
from router.tasks import TaskOwner
from shardmap import ShardId

Opener = Callable[[str, float], Awaitable[HeldConnection]]
"""Opens a session that runs as a role; the second argument is its share of the lifetime."""

WARM_ROLE: Final = "authenticated"  # what connections run as that are opened ahead of need
_ALWAYS: Final = (
    *ROLES,
    LOGIN,
)  # their stacks stay while they are empty; of others there may be many
TIDY_TIMEOUT_S: Final = 1.0
SWITCH_TIMEOUT_S: Final = 2.0
MAX_TICK_S: Final = 30.0
MIN_TICK_S: Final = 0.02


class EndpointPool:
    """Connections to one endpoint, at most `max_connections` for all roles together.

    When a role has no idle connection it opens one; when the budget is used up, an idle one of
    another role is switched over; else the caller waits its turn: one of each tenant after the
    other, so that a tenant with many requests waits for itself. Nothing is kept free for anybody.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - a pool is put together in one place
        self,
        shard: ShardId,
        name: str,
        opener: Opener,
        settings: BackendSettings,
        owner: TaskOwner,
        cap: ConnectionCap,
        observe: Observer,
        *,
        limit: int,
        pooled: bool = False,
    ) -> None:
        """`pooled`: the sessions are behind a pooler, and no role's but in a transaction."""
        self._shard = shard
        self._name = name
        self._opener = opener
        self._settings = settings
        self._owner = owner
        self._cap = cap
        self._observe = observe
        self._limit = limit
        self._pooled = pooled
        self._warm_role = LOGIN if pooled or settings.bare else WARM_ROLE
        self._idle: dict[str, list[HeldConnection]] = {role: [] for role in _ALWAYS}
        self._in_use: set[HeldConnection] = set()
        self._leaving: set[HeldConnection] = set()  # being closed, by a task each
        # Places for connections that a slow client may occupy: never all of them.
        self.cursors = asyncio.Semaphore(max(1, self._limit // 2))
        self._size = 0  # open, opening and closing ones: what the server may count
        self._waiting = Waiting(settings.queue_length, self._no_room, self._returned)
        self._overflowing = False  # a full queue has been told of, and it was not empty since
        self._closed = False
        cap.join(self)
        self._generation = 0  # grows when prepared statements must be made anew

    def take(self, role: str) -> HeldConnection | None:
        """An idle connection of the role, at once and without a message, or None."""
        stack = self._idle.get(LOGIN if self._pooled else role)
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

    async def acquire(self, role: str, timeout_s: float, party: Hashable = None) -> HeldConnection:
        """A connection that runs as the role. `party` is who waits its turn, if that is needed.

        Raises:
            PoolTimeout: None came free in time.
            PoolQueueFull: Too many wait.
            EndpointLost: The endpoint cannot be reached.
            IdentityMismatch: Another server answers there.
            StatementFailed: The login role cannot become the role.
        """
        role = LOGIN if self._pooled else role
        held = self.take(role)
        if held is not None:
            return held
        try:
            async with asyncio.timeout(timeout_s):
                return await self._obtain(role, party)
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

    def displace(self) -> None:
        """Another server answers at the address: connections end, those in use when they are back."""
        for held in self._in_use:
            held.expires_at = float("-inf")
        self._close_idle()

    def abandon_reads(self) -> None:
        """Cut off the reads in flight: the endpoint gives no sign of life."""
        for held in tuple(self._in_use):
            if held.abandonable:
                held.drop()

    def fail_waiting(self, reason: str) -> None:
        """Tell everybody in the queue that the endpoint is down, and close what is idle."""
        self._waiting.fail(lambda: EndpointLost(self._shard, self._name, reason))
        self._close_idle()

    def standing(self) -> PoolStanding:
        """The connections at this moment."""
        line, in_use = self._waiting, len(self._in_use)
        counts = (line.waits, line.waited_s, line.turned_away)
        return PoolStanding(self._size, self.idle, in_use, len(line), self._limit, *counts)

    @property
    def idle(self) -> int:
        """How many idle connections there are."""
        return sum(map(len, self._idle.values()))

    def spare_one(self) -> None:
        """Close the coldest idle connection of the role that has most: others need its place."""
        stack = max(self._idle.values(), key=len)
        if stack:
            self._close_later(stack.pop(0))

    def grant(self) -> bool:
        """A place under the cap, claimed already: for who waits, if there is room in the budget."""
        if self._size >= self._limit or not self._waiting.hand(None):
            return False
        self._size += 1
        return True

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
        self._cap.leave(self)
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

    async def _obtain(self, role: str, party: Hashable) -> HeldConnection:
        if self._closed:
            raise EndpointLost(self._shard, self._name, f"{self._name} is no longer in use")
        capped = self._size < self._limit
        if capped and self._cap.claim():
            self._size += 1
            return await self._open(role)
        other = self._take_other(role)
        if other is not None:
            return await self._switched(other, role)
        held = await (self._beyond_cap(party) if capped else self._waiting.turn(party))
        if held is None:  # a place in the budget, ours already
            return await self._open(role)
        self._renew(held)
        if held.role != role:
            return await self._switched(held, role)
        return held

    async def _beyond_cap(self, party: Hashable) -> Handed:
        """Wait where there is room in the budget, and none under the cap of the process."""
        self._cap.short += 1
        try:
            self._cap.make_room()
            return await self._waiting.turn(party)
        finally:
            self._cap.short -= 1

    def _no_room(self) -> PoolQueueFull:
        """The error of those who cannot even wait; a full queue is told of once."""
        waiting = len(self._waiting)
        if not self._overflowing:
            self._overflowing = True
            self._observe(QueueOverflowed(self._shard, self._name, waiting))
        return PoolQueueFull(
            self._shard,
            f"connection pool of {self._name}: {waiting} requests wait for a connection already"
            f" ({len(self._in_use)} of {self._limit} in use)",
        )

    def _returned(self, what: Handed) -> None:
        """Who was handed this has left in that moment: it goes to the next."""
        if what is None:
            self._vacate()
        else:
            self.give_back(what)

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
        except StatementFailed:  # there is no such role
            switched = True
            self.give_back(held)
            raise
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
        for other in sorted(self._idle, key=lambda name: len(self._idle[name]), reverse=True):
            if other != role and self._idle[other]:
                self._idle[other].reverse()
                held = self.take(other)
                self._idle[other].reverse()
                if held is not None:
                    return held
        return None

    def _offer(self, held: HeldConnection) -> None:
        """To whose turn it is, else onto its role's stack."""
        if self._waiting and self._waiting.hand(held):
            self._in_use.add(held)
            return
        self._overflowing = False
        if self._cap.short:  # somebody waits for a place, elsewhere
            self._close_later(held)
            return
        held.idle_since = time.monotonic()
        self._idle.setdefault(held.role, []).append(held)

    def _vacate(self) -> None:
        """A place in the budget is free: for whose turn it is, with the place kept for it."""
        if self._waiting.hand(None):
            return
        self._size -= 1
        self._cap.release()

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

    def _close_idle(self) -> None:
        for stack in self._idle.values():
            while stack:
                self._close_later(stack.pop())

    def _age_out(self) -> None:
        now = time.monotonic()
        surplus = self._size - self._settings.min_connections
        for role, stack in tuple(self._idle.items()):
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
            if not keep and role not in _ALWAYS:
                del self._idle[role]

    async def _fill(self) -> None:
        minimum = min(self._settings.min_connections, self._limit)
        while self._size < minimum and not self._closed and self._cap.claim():
            self._size += 1
            try:
                self.give_back(await self._open(self._warm_role))
            except (ShardUnavailable, StatementFailed):
                return  # probes say what is wrong; the next round tries again
