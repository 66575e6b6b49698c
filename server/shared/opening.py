"""Which store the settings name."""

from collections.abc import Callable

from router import Floors
from server.catalog import catalog_session
from server.settings import Settings
from server.shared.facts import SharedFact
from server.shared.floors import StoredFloors
from server.shared.postgres_floors import PostgresFloors
from server.shared.redis_floors import RedisFloors
from server.shared.store import FloorStore
from shardmap import ShardMap


def open_floors(
    settings: Settings,
    near: Floors,
    shard_map: Callable[[], ShardMap],
    report: Callable[[SharedFact], None],
) -> StoredFloors | None:
    """The floors of all instances, to be entered; None: those of this host's port are all."""
    shared = settings.shared
    store: FloorStore
    match shared.chosen:
        case "postgres":

            def connect():  # type: ignore[no-untyped-def]  # noqa: ANN202 - as catalog_session
                current = shard_map()
                endpoints = (current.catalog, *current.catalog_replicas)
                return catalog_session(endpoints, settings.environ, writable=True)

            store = PostgresFloors(connect, retention_s=shared.retention_s)
        case "redis":
            store = RedisFloors(
                shared.address,
                f"fluxshard:{shard_map().cluster_id}",
                timeout_s=shared.timeout_s,
                retention_s=shared.retention_s,
            )
        case _:
            return None
    return StoredFloors(
        near,
        store,
        shard_map().cluster_id,
        timeout_s=shared.timeout_s,
        retention_s=shared.retention_s,
        report=report,
    )
