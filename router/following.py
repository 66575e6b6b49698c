"""What a fence refused is held, in order, until the map or the shard lets it go on; and run again.

Of all statements that one unit refuses, the first asks for a newer map and tries again; the others
wait behind it, hold no connection meanwhile, and go on in their order when it got through.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeVar

from router.context import QueryContext
from router.fences import Fence, Fences
from router.move_errors import UnitHeld, UnitRefused
from router.observe import MoveAwaited, Observer, UnitRefusing
from shardmap import ShardId, ShardMap

Answer = TypeVar("Answer")

FIRST_PAUSE_S: Final = 0.005
LONGEST_PAUSE_S: Final = 0.1
"""Between two attempts of the first in line."""
MAP_S: Final = 0.25
"""For a newer map, before the shard is asked again in case nothing has changed."""
MOST_TOLD: Final = 4096
"""Units whose refusal was told of; then all may be told of again."""


class Maps(Protocol):
    """Whoever keeps the map up to date."""

    async def newer(self, known: ShardMap, fence: Fence | None, timeout_s: float) -> None:
        """Come back when another map than `known` is in use, or the time is over.

        `fence` is what a shard said of a unit: it may say what the catalog cannot be asked.
        """
        ...


class KnownFences(Protocol):
    """Whoever knows the shards' fences."""

    def fences(self) -> Fences:
        """Those of all shards, as far as they are known: the same object while they are the same."""
        ...

    async def look_at_fences(self, shard: ShardId) -> None:
        """Know those of the shard as they are now."""
        ...


class Following:
    """Runs again what fences refuse, for at most `pause_limit_s`, at most `most_held` at a time."""

    def __init__(
        self,
        known: KnownFences,
        maps: Maps,
        observe: Observer,
        *,
        pause_limit_s: float,
        most_held: int,
    ) -> None:
        self._known = known
        self._maps = maps
        self._observe = observe
        self._pause_limit_s = pause_limit_s
        self._most_held = most_held
        self._held = 0
        self._lines: dict[str, deque[asyncio.Future[None]]] = {}
        """Who waits behind the first, by unit; a unit that nobody waits for has no line."""
        self._told: set[tuple[str, int]] = set()

    def fences(self) -> Fences:
        """The shards' fences, as far as they are known."""
        return self._known.fences()

    @property
    def held(self) -> int:
        """How many statements wait now."""
        return self._held

    async def again(
        self,
        refusal: UnitRefused,
        shard_map: Callable[[], ShardMap],
        context: QueryContext,
        attempt: Callable[[], Awaitable[Answer]],
    ) -> Answer:
        """What `attempt` gives, once it is not refused any more; `refusal` has happened.

        Each attempt is planned anew, with the map of its moment.

        Raises:
            UnitRefused: It still is when the time is over, or too many wait already.
            Exception: What the attempt raises.
        """
        began = time.monotonic()
        ends = min(began + self._pause_limit_s, context.deadline.at)
        self._note(refusal)
        if self._held >= self._most_held:
            raise refusal
        self._held += 1
        passed = False
        try:
            answer = await self._in_turn(refusal, shard_map, ends, attempt)
            passed = True
            return answer
        finally:
            self._held -= 1
            self._observe(MoveAwaited(refusal.shard, time.monotonic() - began, passed))

    async def _in_turn(
        self,
        refusal: UnitRefused,
        shard_map: Callable[[], ShardMap],
        ends: float,
        attempt: Callable[[], Awaitable[Answer]],
    ) -> Answer:
        while True:
            key = _line_of(refusal)
            line = self._lines.get(key)
            if line is None:
                return await self._leading(key, refusal, shard_map, ends, attempt)
            called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            line.append(called)
            await asyncio.wait((called,), timeout=max(0.0, ends - time.monotonic()))
            if not called.done():
                line.remove(called)
                raise refusal
            try:
                return await attempt()
            except UnitRefused as again:
                self._note(again)
                refusal = again

    async def _leading(
        self,
        key: str,
        refusal: UnitRefused,
        shard_map: Callable[[], ShardMap],
        ends: float,
        attempt: Callable[[], Awaitable[Answer]],
    ) -> Answer:
        """First in line: what it finds out is for all of it."""
        line = self._lines[key] = deque()
        pause_s = 0.0
        known = None
        try:
            while True:
                await self._changed(refusal, known or shard_map(), pause_s, ends)
                pause_s = min(max(FIRST_PAUSE_S, 2 * pause_s), LONGEST_PAUSE_S)
                known = shard_map()
                try:
                    return await attempt()
                except UnitRefused as again:
                    self._note(again)
                    if time.monotonic() >= ends:
                        raise
                    refusal = again
        finally:
            del self._lines[key]
            for called in line:
                if not called.done():
                    called.set_result(None)

    async def _changed(
        self, refusal: UnitRefused, known: ShardMap, pause_s: float, ends: float
    ) -> None:
        """Come back when it is worth trying again."""
        left_s = max(0.0, ends - time.monotonic())
        fence = refusal.fence
        if fence is None or refusal.probed:
            await self._look(refusal.shard, fence)
        if fence is not None and not isinstance(refusal, UnitHeld):
            await self._maps.newer(known, fence, min(MAP_S, left_s))
        await asyncio.sleep(min(pause_s, left_s))

    async def _look(self, shard: ShardId, fence: Fence | None) -> None:
        """Know the fences of the shards concerned as they are now."""
        moved_to = None if fence is None else fence.moved_to
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._known.look_at_fences(shard))
            if moved_to is not None:
                tasks.create_task(self._known.look_at_fences(moved_to))

    def _note(self, refusal: UnitRefused) -> None:
        fence = refusal.fence
        told = (_line_of(refusal), 0 if fence is None else fence.epoch)
        first = told not in self._told
        if first:
            if len(self._told) >= MOST_TOLD:
                self._told.clear()
            self._told.add(told)
        self._observe(UnitRefusing(refusal.shard, told[0], refusal.code, first))


def _line_of(refusal: UnitRefused) -> str:
    return refusal.shard if refusal.fence is None else refusal.fence.unit
