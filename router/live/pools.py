"""The held connections of one endpoint, within a budget: the only place that acquires any.

Idle ones lie on a stack per role, so that the warmest is taken next and the coldest ages out. A
connection is taken and given back without a message to the server. How many may be in use at a time
is the affair of `admission`: while the endpoint is slow that is less than could be open.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Hashable
from contextlib import nullcontext
from typing import Final

from router.backend_settings import BackendSettings
from router.errors import PoolTimeout, ShardUnavailable, StatementFailed
from router.live.admission import Admission
from router.live.cap import ConnectionCap
from router.live.connection import HeldConnection
from router.live.endings import Endings
from router.live.failures import DRIVER_ERRORS, EndpointLost
from router.live.idle import IdleConnections
from router.live.in_flight import InFlightLimit
from router.live.pool_standing import PoolStanding
from router.live.preamble import LOGIN
from router.live.waiting import Handed, Waiting
from router.observe import Observer, QueueOverflowed
from router.pooling_errors import PoolQueueFull
from router.tasks import TaskOwner
from shardmap import ShardId

Opener = Callable[[str, float], Awaitable[HeldConnection]]
"""Opens a session that runs as a role; the second argument is its share of the lifetime."""

WARM_ROLE: Final = "authenticated"
"""What connections run as that are opened ahead of need."""
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
        self._idle = IdleConnections()
        self.in_use: set[HeldConnection] = set()
        """By somebody; only the pool changes it."""
        self._opening = 0
        """Those about to be in use."""
        self._endings = Endings(name, owner, self._vacate)
        self.cursors = asyncio.Semaphore(max(1, self._limit // 2))
        """Places for connections that a slow client may occupy: never all of them."""
        self._size = 0
        """Open, opening and closing ones: what the server may count."""
        at_a_time = InFlightLimit(limit, settings.least_in_flight or limit)
        self.admission = Admission(
            shard, name, at_a_time, self.in_use, owner=owner, observe=observe, changed=self._admit
        )
        self._waiting = Waiting(settings.queue_length, self._no_room, self._returned)
        self._closed = False
        cap.join(self)
        self._generation = 0  # grows when prepared statements must be made anew

    def take(self, role: str) -> HeldConnection | None:
        """An idle connection of the role, at once and without a message, or None."""
        if len(self.in_use) >= self.admission.most:
            return None
        stack = self._idle.by_role.get(LOGIN if self._pooled else role)
        while stack:
            held = stack.pop()
            if held.raw.is_closed():
                self._vacate()
                continue
            self.in_use.add(held)
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
                self._shard, self.standing().took_too_long(self._name, timeout_s)
            ) from error

    def give_back(self, held: HeldConnection) -> None:
        """Return a connection whose session is as it was: no transaction, same role."""
        self._left(held)
        held.abandonable = True
        if held.raw.is_closed():
            self._vacate()
        elif self._closed or held.expires_at <= time.monotonic():
            self._end(held)
        else:
            self._offer(held)

    def tidy(self, held: HeldConnection) -> None:
        """Return a connection with an open or failed transaction: it is cleaned on the way."""
        if held.raw.is_closed():
            self.give_back(held)
        elif not self._endings.clean(held, self.give_back, self.discard):
            self.drop(held)

    def discard(self, held: HeldConnection) -> None:
        """Return a connection in an unknown state: what it runs is cancelled, and it is closed."""
        self._left(held)
        if held.raw.is_closed():
            self._vacate()
        else:
            self._end(held)

    def drop(self, held: HeldConnection) -> None:
        """Cut off a connection whose statement must not be cancelled."""
        self._left(held)
        held.drop()
        self._vacate()

    def outdate(self, held: HeldConnection) -> None:
        """A prepared statement of this connection is outdated: so may be everybody's."""
        if held.generation == self._generation:
            self._generation += 1

    def displace(self) -> None:
        """Another server answers at the address: connections end, those in use when they are back."""
        for held in self.in_use:
            held.expires_at = float("-inf")
        self._close_idle()

    def abandon_reads(self) -> None:
        """Cut off the reads in flight: the endpoint gives no sign of life."""
        for held in tuple(self.in_use):
            if held.abandonable:
                held.drop()

    def fail_waiting(self, reason: str) -> None:
        """Tell everybody in the queue that the endpoint is down, and close what is idle."""
        self._waiting.fail(lambda: EndpointLost(self._shard, self._name, reason))
        self._close_idle()

    def standing(self) -> PoolStanding:
        """The connections at this moment."""
        line, admission = self._waiting, self.admission
        sizes = (self._size, self.idle, len(self.in_use), len(line), self._limit)
        counts = (admission.times, line.waits, line.waited_s, line.turned_away)
        return PoolStanding(*sizes, admission.most, *counts)

    @property
    def idle(self) -> int:
        """How many idle connections there are."""
        return len(self._idle)

    def spare_one(self) -> None:
        """Close the coldest idle connection of the role that has most: others need its place."""
        held = self._idle.coldest()
        if held is not None:
            self._end(held)

    def grant(self) -> bool:
        """A place under the cap, claimed already: for who waits, if there is room in the budget."""
        if self._size >= self._limit or not self._has_room() or not self._waiting.hand(None):
            return False
        self._size += 1
        self._opening += 1
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
        for held in self._idle.all():
            self.drop(held)
        for held in (*self.in_use, *self._endings):
            held.drop()
        self.fail_waiting(f"{self._name} is no longer in use")

    async def _obtain(self, role: str, party: Hashable) -> HeldConnection:
        if self._closed:
            raise EndpointLost(self._shard, self._name, f"{self._name} is no longer in use")
        room = self._has_room()
        capped = room and self._size < self._limit
        if capped and self._claim():
            return await self._open(role)
        other = self._take_other(role) if room else None
        if other is not None:
            return await self._switched(other, role)
        self.admission.met()
        with self._cap.wanting() if capped else nullcontext():
            held = await self._waiting.turn(party)
        if held is None:  # a place in the budget, ours already
            held = await self._open(role)
            self._waiting.has(party, held)
            return held
        self._renew(held)
        if held.role != role:
            return await self._switched(held, role)
        return held

    def _no_room(self, first: bool) -> PoolQueueFull:  # noqa: FBT001 - as `Waiting` calls it
        """The error of those who cannot even wait."""
        now = self.standing()
        if first:
            self._observe(QueueOverflowed(self._shard, self._name, now.waiting))
        return PoolQueueFull(self._shard, now.queue_is_full(self._name))

    def _returned(self, what: Handed) -> None:
        """Who was handed this has left in that moment: it goes to the next."""
        if what is None:
            self._opening -= 1
            self._vacate()
        else:
            self.give_back(what)

    def _renew(self, held: HeldConnection) -> None:
        if held.generation != self._generation:
            held.forget_statements()
            held.generation = self._generation

    async def _open(self, role: str) -> HeldConnection:
        """Open a connection; its place in the budget is taken already, and counted as opening."""
        held = None
        try:
            held = await self._opener(role, random.uniform(0.9, 1.0))  # noqa: S311 - no secret
        finally:
            self._opening -= 1
            if held is None:
                self._vacate()
        held.generation = self._generation
        self.in_use.add(held)
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

    def _take_other(self, role: str | None) -> HeldConnection | None:
        """The coldest idle connection of the role that has most of them, and is another."""
        while (held := self._idle.coldest(other_than=role)) is not None:
            if not held.raw.is_closed():
                self.in_use.add(held)
                self._renew(held)
                return held
            self._vacate()
        return None

    def _left(self, held: HeldConnection) -> None:
        """It is not in use any more; also called for one that never was."""
        self.in_use.discard(held)
        if held.waited_for:
            self._waiting.left(held)

    def _has_room(self) -> bool:
        return len(self.in_use) + self._opening < self.admission.most

    def _claim(self) -> bool:
        """Take a place in the budget, to open a connection in."""
        if not self._cap.claim():
            return False
        self._size += 1
        self._opening += 1
        return True

    def _end(self, held: HeldConnection) -> None:
        """Close it; its place is free when it is closed, and who may have another need not wait."""
        self._endings.close(held)
        if self._waiting:
            self._admit()

    def _offer(self, held: HeldConnection) -> None:
        """To whose turn it is, else onto its role's stack."""
        if self._waiting and self._has_room() and self._waiting.hand(held):
            held.idle_since = time.monotonic()
            self.in_use.add(held)
            return
        if self._cap.short:  # somebody waits for a place, elsewhere
            self._end(held)
            return
        self._idle.put(held)

    def _vacate(self) -> None:
        """A place in the budget is free: for whose turn it is, with the place kept for it."""
        if self._waiting and not self._idle and self._has_room() and self._waiting.hand(None):
            self._opening += 1
            return
        self._size -= 1
        self._cap.release()
        if self._waiting:
            self._admit()

    def _admit(self) -> None:
        """Let in who waits though there are connections, because more of them may be in use."""
        while self._waiting and self._has_room():
            held = self._take_other(None)
            if held is not None:
                self._left(held)
                self._offer(held)
            elif self._size < self._limit and self._claim():
                if not self._waiting.hand(None):
                    self._returned(None)
            else:
                return

    def _close_idle(self) -> None:
        for held in self._idle.all():
            self._end(held)

    def _age_out(self) -> None:
        surplus = self._size - self._settings.min_connections
        for held in self._idle.aged(time.monotonic(), self._settings.idle_time_s, surplus):
            if held.raw.is_closed():
                self._vacate()
            else:
                self._end(held)

    async def _fill(self) -> None:
        minimum = min(self._settings.min_connections, self._limit)
        while self._size < minimum and not self._closed and self._claim():
            try:
                self.give_back(await self._open(self._warm_role))
            except (ShardUnavailable, StatementFailed):
                return  # probes say what is wrong; the next round tries again
