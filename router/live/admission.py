"""How many of a pool's connections may be in use: its limit, what does not count, and who is told.

The limit is for statements of which there are many. Whoever has a connection for longer (a report,
a stream to a slow client, a transaction that waits for another shard) does not count any more: else
a few of them would keep everybody out, or wait for each other. This takes a look now and then, but
only while there is a limit; without one nothing runs.
"""

import asyncio
from collections.abc import Callable, Collection, Hashable
from typing import Final

from router.live.connection import HeldConnection
from router.live.in_flight import InFlightLimit
from router.observe import InFlightLimited, InFlightLimitEnded, Observer
from router.tasks import TaskOwner
from shardmap import ShardId

LOOK_S: Final = 0.25
"""Who had its connection at the last look, and since, does not count: after twice this at most."""
FORGOTTEN_S: Final = 60.0
"""A limit that nobody met for so long says nothing of the endpoint as it is now."""
ENDED_S: Final = 10.0
"""Limiting has ended when all connections could be used for so long: it is told once, not often."""


class Admission:
    """The admission to one pool. `most` is all that there is to it while nothing is limited."""

    __slots__ = (
        "_changed",
        "_free_s",
        "_in_use",
        "_limit",
        "_limiting",
        "_long",
        "_name",
        "_observe",
        "_owner",
        "_seen",
        "_shard",
        "_unmet_s",
        "most",
        "times",
    )

    def __init__(  # noqa: PLR0913 - a part of the pool, put together there
        self,
        shard: ShardId,
        name: str,
        limit: InFlightLimit,
        in_use: Collection[HeldConnection],
        *,
        owner: TaskOwner,
        observe: Observer,
        changed: Callable[[], None],
    ) -> None:
        """`changed` is called when more may be in use than before."""
        self._shard = shard
        self._name = name
        self._limit = limit
        self._in_use = in_use
        self._owner = owner
        self._observe = observe
        self._changed = changed
        self.most = limit.ceiling
        """So many may be in use."""
        self.times = 0
        """How often limiting began."""
        self._limiting = False
        self._seen: dict[HeldConnection, float] = {}
        """Who was in use at the last look, and since when at the latest."""
        self._long = 0
        self._unmet_s = 0.0
        self._free_s = 0.0

    def answered(self, text: Hashable, seconds: float, among: int, ended: float) -> None:
        """A statement ran so long, the `among`-th in use when it began."""
        if self._limit.answered(text, seconds, among, ended):
            self._moved()

    def unanswered(self, text: Hashable, seconds: float, among: int, ended: float) -> None:
        """A statement was given up after so long; `among` 0: before it began."""
        if among:
            self.answered(text, seconds, among, ended)

    def met(self) -> None:
        """Somebody has to wait, which may be for the limit."""
        self._unmet_s = 0.0

    def _moved(self) -> None:
        limit = self._limit
        if not self._limiting and limit.most < limit.ceiling:
            task = self._owner.start(self._watch(), name=f"limit {self._name}")
            if task is None:
                return  # the process is about to leave
            self._limiting = True
            self.times += 1
            self._observe(
                InFlightLimited(self._shard, self._name, limit.most, limit.ceiling, limit.inflation)
            )
        self._apply()

    def _apply(self) -> None:
        before = self.most
        self.most = min(self._limit.ceiling, self._limit.most + self._long)
        if self.most > before:
            self._changed()

    async def _watch(self) -> None:
        """Look after those that do not count, until limiting has ended."""
        self._unmet_s = self._free_s = 0.0
        try:
            while self._free_s < ENDED_S:
                await asyncio.sleep(LOOK_S)
                self._look()
        finally:
            self._limiting = False
            self._seen, self._long = {}, 0
            self._limit.lift()
            self._apply()
        self._observe(InFlightLimitEnded(self._shard, self._name))

    def _look(self) -> None:
        now = {held: held.idle_since for held in self._in_use}
        seen, self._seen = self._seen, now
        self._long = sum(seen.get(held) == since for held, since in now.items())
        if self._limit.most < self._limit.ceiling:
            self._free_s = 0.0
            self._unmet_s += LOOK_S
            if self._unmet_s >= FORGOTTEN_S:
                self._limit.lift()
        else:
            self._free_s += LOOK_S
        self._apply()
