"""Everything that a worker keeps open, in the order in which it is opened."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from router import (
    BackendSettings,
    Counts,
    Deadline,
    Documentation,
    Ejecting,
    Following,
    MapOutdated,
    PostgresBackends,
    PullUpLimits,
    Router,
    Schema,
    ShardStatus,
    SharedFloors,
    TaskOwner,
)
from server.catalog import catalog_session
from server.mapfollow import MapFollow
from server.mapuse import MapInUse
from server.mapwatch import MapWatch
from server.observe.facts import FactObserver
from server.settings import Settings
from server.shared import open_floors
from server.state import last_good_copy
from shardmap import CATALOG, Endpoint, Login, Sharded, ShardMap, TableName, resolve

CATCH_UP_S: Final = 1.0
"""To get a map that is known to exist; then the client is told to try again."""
PROBES: Final = 1
"""Connections of a worker to an endpoint besides its pool, see `router.budget`."""


@dataclass(frozen=True, slots=True)
class Services:
    """What features are built on."""

    router: Router
    _backends: PostgresBackends
    _in_use: MapInUse
    _watch: MapWatch | None
    """None: there is no catalog, and one map for ever."""
    tasks: TaskOwner
    """Owns what goes on behind a request's answer; ended before everything that it uses."""

    def schema(self) -> Schema:
        """The tables as last read.

        Raises:
            ShardDown: They could not be read yet.
        """
        return self._backends.schema()

    def status(self) -> tuple[ShardStatus, ...]:
        """Every shard with its endpoints at this moment, the catalog included."""
        return self._backends.status()

    async def documentation(self, role: str, deadline: Deadline) -> Documentation:
        """What the role is told of tables and functions; read at each call.

        Raises:
            ShardUnavailable: Nobody can be asked.
            DeadlineExceeded: The time ran out.
        """
        return await self._backends.documentation(role, deadline)

    def analyses(self) -> Counts:
        """How the analyses of statements were found."""
        return self.router.analyses.counts

    def current_map(self) -> ShardMap:
        """The map that requests are planned with."""
        return self._in_use.current()

    async def catch_up(self, epoch: int, deadline: Deadline) -> None:
        """Wait until a map of that epoch is in use, since somebody was answered by one already.

        Raises:
            MapOutdated: It did not come in time.
        """
        if self._watch is not None:
            self._watch.look_now()
        if not await self._in_use.at_least(epoch, min(CATCH_UP_S, deadline.remaining_s())):
            raise MapOutdated(
                CATALOG, f"the shard map of epoch {epoch} is in use elsewhere, and not here yet"
            )

    def schema_changed(self) -> None:
        """Read the tables anew soon: somebody says that they have changed."""
        self._backends.schema_changed()

    def prepare_with(self, preparing: Sequence[Callable[[Schema], None]]) -> None:
        """Call these, and no others, with each new schema, in a thread, before it is given out."""
        self._backends.prepare_with(preparing)

    def expose(self, schemas: Sequence[str]) -> None:
        """Let clients use these schemas from the next reading of the tables on, which is soon."""
        self._backends.expose(tuple(schemas))

    def tenant_column(self, table: TableName) -> str | None:
        """The column that the table is sharded by; None for other tables."""
        placement = self.current_map().placement(table)
        return placement.column if isinstance(placement, Sharded) else None


@dataclass(frozen=True, slots=True)
class Share:
    """What one of several workers has of what they share."""

    index: int = 0
    count: int = 1
    directory: Path | None = None
    """Where the freshness of sessions is kept for all workers; None: there is one worker."""


@asynccontextmanager
async def open_services(
    settings: Settings, shard_map: ShardMap, observe: FactObserver, share: Share
) -> AsyncIterator[Services]:
    """Connections to every shard, the map kept up to date, and the router over them.

    Endpoints that are down keep nothing from opening; what needs them fails by name.
    """
    environ = settings.environ
    async with AsyncExitStack() as opened:
        floors = opened.enter_context(SharedFloors(share.directory, share.index, share.count))
        exchange = open_floors(settings, floors, lambda: shard_map, observe)
        if exchange is not None:
            await opened.enter_async_context(exchange)
        backends = await opened.enter_async_context(
            PostgresBackends(
                shard_map,
                backend_settings(settings, share.count),
                login_source(settings),
                floors,
                observe,
                exchange,
            )
        )
        in_use = await opened.enter_async_context(MapInUse(shard_map, backends.adopt))
        watch = None
        if not settings.postgrest.standalone:
            watch = await opened.enter_async_context(
                MapWatch(
                    shard_map,
                    lambda current: catalog_session(
                        (current.catalog, *current.catalog_replicas), environ, writable=False
                    ),
                    adopt=in_use.adopt,
                    report=observe,
                    schema_changed=backends.schema_changed,
                    copy=last_good_copy(settings),
                )
            )
        limits = PullUpLimits(settings.database.pull_up_rows, settings.database.pull_up_bytes)
        following = None
        if watch is not None:
            following = Following(
                backends,
                MapFollow(in_use, watch),
                observe,
                pause_limit_s=settings.database.move_pause_limit_s,
                most_held=settings.database.held_writes,
            )
        router = Router(backends, in_use.current, backends.schema, limits, following)
        tasks = await opened.enter_async_context(TaskOwner())
        yield Services(router, backends, in_use, watch, tasks)


def backend_settings(settings: Settings, workers: int) -> BackendSettings:
    """The router's settings for one of so many workers.

    `FLUXBASE_DATABASE_MAX_CONNECTIONS` holds for all workers together, probes included.
    """
    database, replicas = settings.database, settings.replicas
    most = max(1, database.max_connections // workers - PROBES)
    return BackendSettings(
        max_connections=most,
        min_connections=min(most, -(-database.min_connections // workers)),
        max_lifetime_s=database.max_conn_lifetime_s,
        idle_time_s=database.max_conn_idle_time_s,
        acquire_timeout_s=database.acquire_timeout_s,
        queue_length=database.pool_queue,
        least_in_flight=database.least_in_flight,
        direct_connections=database.direct_connections,
        total_connections=database.total_connections,
        statement_timeout_s=settings.http.request_timeout_s,
        probe_interval_s=database.probe_interval_s,
        proof_age_s=max(1.0, 4 * database.probe_interval_s),
        choice=replicas.choice,
        zone=replicas.zone or None,
        slow_start_s=replicas.slow_start_s,
        ejecting=Ejecting(
            failures_in_row=replicas.ejection_failures,
            failed_share=replicas.ejection_percent / 100,
            window_s=replicas.ejection_window_s,
            first_s=replicas.ejection_first_s,
            longest_s=replicas.ejection_longest_s,
            most_share=replicas.ejection_most_percent / 100,
        ),
        hedge_after=replicas.hedge_after,
        hedge_share=replicas.hedge_most_percent / 100,
        discover=replicas.discover,
        discover_port=replicas.discover_port or None,
        max_lag_bytes=replicas.max_lag_bytes,
        max_lag_s=database.max_lag_s,
        freshness_wait_s=database.freshness_wait_s,
        quorum_grace_s=database.quorum_grace_s,
        write_hold_s=database.write_hold_s,
        held_writes=database.held_writes,
        write_keys_kept_s=database.idempotency_ttl_s,
        exposed_schemas=settings.api.exposed_schemas,
        extra_search_path=settings.postgrest.extra_search_path,
        bare=settings.postgrest.standalone,
        schema_refresh_s=database.schema_refresh_s,
    )


def login_source(settings: Settings) -> Callable[[Endpoint], Login]:
    """Who logs in to an endpoint, looked up at each connect, so that a password may be changed."""
    environ = settings.environ

    def login(endpoint: Endpoint) -> Login:
        return resolve(endpoint, environ)

    return login
