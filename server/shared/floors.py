"""The floors of all instances: near ones in memory, and what others raised, asked for when needed.

What several requests want or raise at the same time is one round trip: while one is on its way the
next is collected. When the store does not answer, readers are told that nothing is known, writes
are acknowledged, and what they raised waits to be published. Afterwards, and whenever the store
has forgotten, replicas must prove anew that they have all that was there.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Final, Self

from router import Floors, Position, TaskOwner, join, pack, unpack
from server.shared.facts import (
    FloorNotLearned,
    FloorUnpublished,
    SharedFact,
    SharedFound,
    SharedLost,
)
from server.shared.store import FloorStore, StoreAway
from shardmap import ShardId

RETRY_S: Final = 0.1
"""While the store is away: between two attempts that nobody asked for."""
LOOK_S: Final = 1.0
"""While nobody asks: how often it is looked whether the store is the one that it was."""
TIDY_S: Final = 60.0
MAX_WAITING: Final = 200_000
"""Floors that wait to be published, some 20 MB; further ones are only known here."""


class StoredFloors:
    """Learns and publishes floors; `FloorExchange` for the router.

    Owns one task, from entering the context to leaving it.
    """

    def __init__(  # noqa: PLR0913 - what it stands on
        self,
        near: Floors,
        store: FloorStore,
        cluster_id: str,
        *,
        timeout_s: float,
        retention_s: float,
        report: Callable[[SharedFact], None],
    ) -> None:
        self.retention_s = retention_s
        self._near = near
        self._store = store
        self._cluster = cluster_id.encode()
        self._timeout_s = timeout_s
        self._report = report
        self._wanted: dict[bytes, asyncio.Future[int]] = {}
        self._raised: dict[bytes, int] = {}
        self._published: asyncio.Future[bool] | None = None
        """Of what is collected now: whether the next round trip took it along."""
        self._wake = asyncio.Event()
        self._away = False
        self._memory: str | None = None
        self._forgotten: list[Callable[[], None]] = []
        self._tasks = TaskOwner()

    @property
    def reachable(self) -> bool:
        """Whether the last round trip was answered."""
        return not self._away

    def on_forgotten(self, callback: Callable[[], None]) -> None:
        """Call back whenever floors may have been lost, or kept from others for a while."""
        self._forgotten.append(callback)

    async def learn(self, owners: Sequence[str], shard: ShardId) -> bool:
        """Join what others raised for the owners into the near floors; False: nobody knows."""
        if self._away:  # the primary can answer meanwhile
            self._report(FloorNotLearned())
            return False
        asked = [self._want(self._name(owner, shard)) for owner in owners]
        try:
            async with asyncio.timeout(self._timeout_s):
                cells = [await asyncio.shield(one) for one in asked]
        except (TimeoutError, StoreAway):
            self._report(FloorNotLearned())
            return False
        for owner, cell in zip(owners, cells, strict=True):
            if cell:
                self._near.raise_to(owner, shard, unpack(cell))
        return True

    async def publish(self, owners: Sequence[str], shard: ShardId, position: Position) -> bool:
        """Let every later `learn` find the position; False: it could not be told yet."""
        cell = pack(position)
        for owner in owners:
            name = self._name(owner, shard)
            if name in self._raised or len(self._raised) < MAX_WAITING:
                self._raised[name] = join(cell, self._raised.get(name, 0))
        if self._published is None:
            self._published = asyncio.get_running_loop().create_future()
        published = self._published
        self._wake.set()
        try:
            async with asyncio.timeout(self._timeout_s):
                told = await asyncio.shield(published)
        except TimeoutError:
            told = False
        if not told:
            self._report(FloorUnpublished())
        return told

    async def __aenter__(self) -> Self:
        self._tasks.start(self._keep(), name="shared floors")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._tasks.__aexit__(kind, error, trace)
        await self._store.close()

    def _name(self, owner: str, shard: ShardId) -> bytes:
        """A digest, so that the store holds no names of people. None has the name of another."""
        digest = hashlib.blake2b(self._cluster, digest_size=16, person=b"floor")
        for part in (shard, owner):
            text = part.encode("utf-8", "surrogatepass")
            digest.update(len(text).to_bytes(4) + text)
        return digest.digest()

    def _want(self, name: bytes) -> asyncio.Future[int]:
        found = self._wanted.get(name)
        if found is None:
            found = self._wanted[name] = asyncio.get_running_loop().create_future()
            found.add_done_callback(_taken_note_of)
            self._wake.set()
        return found

    async def _keep(self) -> None:
        this: Any = asyncio.current_task()
        tidied_at = time.monotonic()
        # A client of a store may lose a cancel that comes together with the answer: so does
        # asyncio.wait_for before Python 3.12. Then there is only this that tells of it.
        while not this.cancelling():
            await self._round_trip()
            if not self._away and time.monotonic() - tidied_at > TIDY_S:
                tidied_at = time.monotonic()
                await self._tidy()
            try:
                async with asyncio.timeout(RETRY_S if self._away else LOOK_S):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _round_trip(self) -> None:
        """Take along all that was collected."""
        self._wake.clear()
        wanted, self._wanted = self._wanted, {}
        raised, self._raised = self._raised, {}
        published, self._published = self._published, None
        try:
            async with asyncio.timeout(self._timeout_s):
                kept = await self._store.exchange(list(wanted), raised)
        except (StoreAway, TimeoutError) as error:
            if isinstance(error, TimeoutError):
                await self._store.close()
            for name, cell in raised.items():  # they wait; what was raised meanwhile is higher
                self._raised[name] = join(cell, self._raised.get(name, 0))
            self._lost(str(error) or "no answer in time")
            cells: Sequence[int] | None = None
        else:
            known = self._remembered(kept.memory, len(raised))
            cells = kept.cells if known else None
        if published is not None and not published.done():
            published.set_result(not self._away)
        _tell(wanted.values(), cells)

    def _remembered(self, memory: str, waiting: int) -> bool:
        """Whether the store knows all that was ever published; proof is demanded if it may not."""
        lost = self._away or (self._memory is not None and memory != self._memory)
        self._memory = memory
        if self._away:
            self._away = False
            self._report(SharedFound(waiting))
        if lost:
            for callback in self._forgotten:
                callback()
        return not lost

    def _lost(self, reason: str) -> None:
        if not self._away:
            self._away = True
            self._report(SharedLost(reason))

    async def _tidy(self) -> None:
        try:
            async with asyncio.timeout(self._timeout_s * 4):
                await self._store.tidy()
        except (StoreAway, TimeoutError) as error:
            self._lost(str(error) or "no answer in time")
            await self._store.close()


def _tell(waiting: Iterable[asyncio.Future[int]], cells: Sequence[int] | None) -> None:
    """Give those who wait their cells, or the news that nobody knows them."""
    if cells is None:
        unknown = StoreAway("the store is away, or has forgotten")
        for one in waiting:
            if not one.done():
                one.set_exception(unknown)
        return
    for one, cell in zip(waiting, cells, strict=True):
        if not one.done():
            one.set_result(cell)


def _taken_note_of(wanted: asyncio.Future[int]) -> None:
    """Retrieve the failure, in case nobody waits any more."""
    if not wanted.cancelled():
        wanted.exception()
