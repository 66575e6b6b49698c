"""The shard map that requests are planned with; a newer one is taken when its servers are."""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from router import TaskOwner
from shardmap import ShardMap


class MapInUse:
    """Hands newer maps to the backends first, and to the planner when they know its shards.

    Owns one task, from entering the context to leaving it. Of several maps that arrive while one
    is being taken, only the newest counts.
    """

    def __init__(self, first: ShardMap, prepare: Callable[[ShardMap], Awaitable[None]]) -> None:
        self._current = first
        self._prepare = prepare
        self._next: ShardMap | None = None
        self._arrived = asyncio.Event()
        self._taken = asyncio.Event()
        """Set when a map is taken that was not when waiting for it began."""
        self._tasks = TaskOwner()

    def current(self) -> ShardMap:
        """The map to plan with."""
        return self._current

    def adopt(self, newer: ShardMap) -> None:
        """Use this map as soon as its servers were looked at."""
        self._next = newer
        self._arrived.set()

    async def at_least(self, epoch: int, timeout_s: float) -> bool:
        """Wait until a map of that epoch, or a newer one, is in use; whether it came in time."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._current.epoch < epoch:
                    await self._taken.wait()
        except TimeoutError:
            return False
        return True

    async def changed(self, known: ShardMap, timeout_s: float) -> bool:
        """Wait until another map than `known` is in use; whether it came in time."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._current is known:
                    await self._taken.wait()
        except TimeoutError:
            return False
        return True

    async def __aenter__(self) -> Self:
        self._tasks.start(self._run(), name="map in use")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._tasks.__aexit__(kind, error, trace)

    async def _run(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            newer, self._next = self._next, None
            if newer is not None:
                await self._prepare(newer)
                self._current = newer
                self._taken.set()
                self._taken = asyncio.Event()
