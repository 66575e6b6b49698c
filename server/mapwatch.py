"""Following the catalog: a running server adopts each new map, told by NOTIFY and by looking.

The same session hears of migrations, so that their tables are looked at soon.
"""

import asyncio
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from server.catalog import Session, recovering
from server.migrate.channel import SCHEMA_CHANNEL
from shardmap import (
    CHANNEL,
    CatalogSource,
    CredentialsUnavailable,
    InvalidMap,
    LastGoodCopy,
    MapUnavailable,
    Pooling,
    ShardMap,
)

POLL_INTERVAL_S: Final = 5.0
"""How long a new map may go unnoticed when its notification is lost (a pooler, a fail-over)."""
FIRST_BACKOFF_S: Final = 0.2
LAST_BACKOFF_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class CatalogLost:
    """The catalog does not answer; the map in use stays. Reported once per outage."""

    reason: str


@dataclass(frozen=True, slots=True)
class CatalogFound:
    """The catalog answers again."""


@dataclass(frozen=True, slots=True)
class MapUnusable:
    """The catalog has a newer map that this instance cannot use; the one in use stays."""

    reason: str


@dataclass(frozen=True, slots=True)
class CopyFailed:
    """The new map is in use, but could not be kept on disk."""

    reason: str


@dataclass(frozen=True, slots=True)
class WatchFailed:
    """The watch has ended by an error of its own: no more maps will be adopted."""

    error: BaseException


WatchReport = CatalogLost | CatalogFound | MapUnusable | CopyFailed | WatchFailed

Connect = Callable[[ShardMap], AbstractAsyncContextManager[Session]]
"""Opens a session on the catalog that the map names."""


def _nothing() -> None:
    """For those who need not know."""


class MapWatch:
    """Calls `adopt` with every newer map of the same cluster, in ascending epochs, on the loop.

    Owns one task, from entering the context to leaving it. While the catalog is away it tries
    again with a growing pause; each adopted map is kept in `copy`. `schema_changed` is called when
    a migration has changed a database, or may have while nobody listened. None of `adopt`, `report`
    and `schema_changed` may wait or raise.
    """

    def __init__(  # noqa: PLR0913 - its collaborators
        self,
        current: ShardMap,
        connect: Connect,
        *,
        adopt: Callable[[ShardMap], None],
        report: Callable[[WatchReport], None],
        schema_changed: Callable[[], None] = _nothing,
        copy: LastGoodCopy | None = None,
        poll_interval_s: float = POLL_INTERVAL_S,
    ) -> None:
        self._current = current
        self._connect = connect
        self._adopt = adopt
        self._report = report
        self._schema_changed = schema_changed
        self._listened = False
        self._copy = copy
        self._poll_interval_s = poll_interval_s
        self._wake = asyncio.Event()
        self._away = False
        self._unusable: str | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def current(self) -> ShardMap:
        """The map that was adopted last."""
        return self._current

    @property
    def away(self) -> bool:
        """Whether the catalog does not answer."""
        return self._away

    def look_now(self) -> None:
        """Look for a newer map at once: a shard has just said that ours is old."""
        self._wake.set()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="map watch")
        self._task.add_done_callback(self._ended)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._report(WatchFailed(error))

    async def _run(self) -> None:
        backoff_s = FIRST_BACKOFF_S
        while True:
            try:
                async with self._connect(self._current) as session:
                    if self._away:
                        self._away = False
                        self._report(CatalogFound())
                    backoff_s = FIRST_BACKOFF_S
                    await self._follow(session)
            except (MapUnavailable, CredentialsUnavailable) as error:
                if not self._away:
                    self._away = True
                    self._report(CatalogLost(str(error)))
                await asyncio.sleep(backoff_s * random.uniform(0.5, 1))  # noqa: S311 - spreads instances
                backoff_s = min(2 * backoff_s, LAST_BACKOFF_S)

    async def _follow(self, session: Session) -> None:
        """Look, wait to be woken or for the poll interval, and so on.

        Returns when another server should be asked: this one is a standby, or the new map names
        another catalog.
        """
        standby = await recovering(session)
        if not standby and self._can_listen():  # a standby refuses LISTEN
            await session.add_listener(CHANNEL, self._woken)
            await session.add_listener(SCHEMA_CHANNEL, self._heard)
            if self._listened:  # on a session that has ended since
                self._schema_changed()
            self._listened = True
        session.add_termination_listener(self._woken)
        catalog = (self._current.catalog, self._current.catalog_replicas)
        while True:
            self._wake.clear()
            await self._look(session)
            if catalog != (self._current.catalog, self._current.catalog_replicas):
                return
            try:
                async with asyncio.timeout(self._poll_interval_s):
                    await self._wake.wait()
            except TimeoutError:
                if standby:
                    return

    def _can_listen(self) -> bool:
        """Whether the session is its own: what a pooler hands out in turn hears nothing."""
        catalog = (self._current.catalog, *self._current.catalog_replicas)
        return all(one.straight.pooling is not Pooling.TRANSACTION for one in catalog)

    def _woken(self, *_: object) -> None:
        self._wake.set()

    def _heard(self, *_: object) -> None:
        self._schema_changed()

    async def _look(self, session: Session) -> None:
        try:
            newer = await CatalogSource(session).newer_than(self._current.epoch)
        except InvalidMap as error:
            self._refuse(str(error))
            return
        if newer is None:
            return
        if newer.cluster_id != self._current.cluster_id:
            self._refuse(
                f"epoch {newer.epoch} is of cluster {newer.cluster_id}, "
                f"not of {self._current.cluster_id}"
            )
            return
        self._unusable = None
        self._current = newer
        self._adopt(newer)
        if self._copy is not None:
            try:
                await asyncio.to_thread(self._copy.keep, newer)
            except OSError as error:
                self._report(CopyFailed(f"{self._copy.path}: {error.strerror}"))

    def _refuse(self, reason: str) -> None:
        """Report it, once for as long as it stays the same."""
        if reason != self._unusable:
            self._unusable = reason
            self._report(MapUnusable(reason))
