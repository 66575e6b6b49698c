"""`NOTIFY pgrst, 'reload schema'`, in any database of the cluster: heard, and done.

A session of its own listens on the primary of each shard and of the catalog. What was said while
nobody listened is not known, so the schema is read anew when a session is made again.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from router import TaskOwner
from server.catalog import Session, catalog_session, recovering
from shardmap import (
    CATALOG,
    CredentialsUnavailable,
    Endpoint,
    MapUnavailable,
    Pooling,
    ShardId,
    ShardMap,
)

SCHEMA: Final = "reload schema"
CONFIG: Final = "reload config"
LOOK_S: Final = 5.0
"""How often a session is tried, and the map looked at for databases that are new."""
FIRST_PAUSE_S: Final = 0.2
LAST_PAUSE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class ReloadAsked:
    """Somebody asks for the schema, or the configuration, to be read anew. `by` says who or where."""

    what: str
    by: str


@dataclass(frozen=True, slots=True)
class ChannelLost:
    """Nobody listens in a database; reported once until somebody does."""

    shard: ShardId
    reason: str


@dataclass(frozen=True, slots=True)
class ConfigReloaded:
    """The configuration was read anew. Settings that need a restart are named."""

    waiting: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConfigUnusable:
    """The configuration was read anew and is wrong; the one in use stays."""

    reason: str


ReloadFact = ReloadAsked | ChannelLost | ConfigReloaded | ConfigUnusable

Place = tuple[ShardId, tuple[Endpoint, ...]]


class ReloadChannels:
    """Listens in every database of the map, from entering the context to leaving it.

    `schema` and `config` are called on the loop, must not wait and must not raise.
    """

    def __init__(  # noqa: PLR0913 - its collaborators
        self,
        shard_map: Callable[[], ShardMap],
        environ: Mapping[str, str],
        channel: str,
        *,
        schema: Callable[[], None],
        config: Callable[[], None],
        report: Callable[[ReloadFact], None],
    ) -> None:
        self._map = shard_map
        self._environ = environ
        self._channel = channel
        self._schema = schema
        self._config = config
        self._report = report
        self._tasks = TaskOwner()
        self._listeners: dict[Place, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._tasks.start(self._keep(), name="reload channels")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._tasks.__aexit__(kind, error, trace)

    async def _keep(self) -> None:
        """Have a listener for each database of the map, for ever."""
        while True:
            wanted = set(_places(self._map()))
            for gone in self._listeners.keys() - wanted:
                self._listeners.pop(gone).cancel()
            for place in wanted - self._listeners.keys():
                task = self._tasks.start(self._listen(*place), name=f"listen on {place[0]}")
                if task is not None:
                    self._listeners[place] = task
            await asyncio.sleep(LOOK_S)

    async def _listen(self, shard: ShardId, endpoints: Sequence[Endpoint]) -> None:
        pause_s, lost, listened = FIRST_PAUSE_S, False, False
        while True:
            try:
                async with catalog_session(endpoints, self._environ, writable=True) as session:
                    if not await recovering(session):
                        ended = asyncio.Event()
                        session.add_termination_listener(lambda _, ended=ended: ended.set())
                        await session.add_listener(self._channel, self._heard(shard))
                        if listened:
                            self._schema()
                        pause_s, lost, listened = FIRST_PAUSE_S, False, True
                        await _while_it_lasts(session, ended)
            except (MapUnavailable, CredentialsUnavailable) as error:
                if not lost:
                    lost = True
                    self._report(ChannelLost(shard, str(error)))
            await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311 - spreads instances
            pause_s = min(2 * pause_s, LAST_PAUSE_S)

    def _heard(self, shard: ShardId) -> Callable[..., None]:
        def heard(_session: object, _process: int, _channel: str, payload: object) -> None:
            # an empty payload is how PostgREST has always been told to read the schema
            if payload in {SCHEMA, ""}:
                self._report(ReloadAsked(SCHEMA, shard))
                self._schema()
            elif payload == CONFIG:
                self._report(ReloadAsked(CONFIG, shard))
                self._config()

        return heard


async def _while_it_lasts(session: Session, ended: asyncio.Event) -> None:
    """Until the session has ended; a server that is gone without a word is noticed by asking."""
    while not ended.is_set():
        try:
            async with asyncio.timeout(LOOK_S):
                await ended.wait()
        except TimeoutError:
            await session.fetchval("SELECT 1")


def _places(shard_map: ShardMap) -> list[Place]:
    """Every database once, where a session of its own can be had: LISTEN is lost on others."""
    found: dict[tuple[str, int, str], Place] = {}
    catalog = (CATALOG, (shard_map.catalog, *shard_map.catalog_replicas))
    for shard, endpoints in (
        *((one.id, tuple(one.endpoints)) for one in shard_map.shards.values()),
        catalog,
    ):
        if all(one.straight.pooling is not Pooling.TRANSACTION for one in endpoints):
            found.setdefault(endpoints[0].address, (shard, endpoints))
    return list(found.values())
