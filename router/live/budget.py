"""Whether the servers have room for all connections that we may open, before the first opens."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from router.backend_settings import BackendSettings
from router.live.connection import LoginSource, log_in
from router.live.failures import EndpointLost
from router.setup_errors import ConnectionBudgetExceeded
from shardmap import CATALOG, Endpoint, ShardId, ShardMap

PROBES: Final = 1
"""Each process probes each endpoint on a connection of its own."""

_LIMITS: Final = """
SELECT current_setting('max_connections')::int
     - current_setting('superuser_reserved_connections')::int
     - coalesce(current_setting('reserved_connections', true)::int, 0)
"""

Server = tuple[str, int]


@dataclass(frozen=True, slots=True)
class ServerBudget:
    """The connections that one server may see from us, and those that it allows."""

    host: str
    port: int
    endpoints: tuple[str, ...]
    """Names of the endpoints on it: several databases of one server share its limit."""
    wanted: int
    allowed: int | None
    """None: it did not say, because it is down."""


def wanted_connections(settings: BackendSettings, workers: int, endpoints: int) -> int:
    """What one server may see: workers x (limit + probe), for each endpoint on it."""
    return workers * (settings.max_connections + PROBES) * endpoints


async def connection_budget(
    shard_map: ShardMap,
    settings: BackendSettings,
    login: LoginSource,
    *,
    workers: int,
    others: int = 0,
) -> tuple[ServerBudget, ...]:
    """The budget of every server of the map, checked against its own limit.

    `others` counts what else we may open on each server (the watch on the map, command lines).
    A server that is down is not checked.

    Raises:
        ConnectionBudgetExceeded: Some server has too little room; names the sum.
    """
    servers = _servers(shard_map)
    async with asyncio.TaskGroup() as tasks:
        asked = {
            server: tasks.create_task(_allowed(*found[0], login, settings))
            for server, found in servers.items()
        }
    budgets = tuple(
        ServerBudget(
            host=server[0],
            port=server[1],
            endpoints=tuple(endpoint.name for _, endpoint in found),
            wanted=wanted_connections(settings, workers, len(found)) + others,
            allowed=asked[server].result(),
        )
        for server, found in servers.items()
    )
    over = [one for one in budgets if one.allowed is not None and one.wanted > one.allowed]
    if over:
        raise ConnectionBudgetExceeded(_sums(over, settings, workers, others))
    return budgets


def _servers(shard_map: ShardMap) -> dict[Server, list[tuple[ShardId, Endpoint]]]:
    """The distinct databases of the map by the server that holds them."""
    every: list[tuple[ShardId, Endpoint]] = [
        (shard.id, endpoint) for shard in shard_map.shards.values() for endpoint in shard.endpoints
    ]
    every += [(CATALOG, one) for one in (shard_map.catalog, *shard_map.catalog_replicas)]
    servers: dict[Server, list[tuple[ShardId, Endpoint]]] = {}
    seen: set[tuple[str, int, str]] = set()
    for shard, endpoint in every:
        if endpoint.address not in seen:
            seen.add(endpoint.address)
            servers.setdefault((endpoint.host, endpoint.port), []).append((shard, endpoint))
    return servers


async def _allowed(
    shard: ShardId, endpoint: Endpoint, login: LoginSource, settings: BackendSettings
) -> int | None:
    try:
        async with log_in(shard, endpoint, login, settings) as session:
            allowed = await session.fetchval(_LIMITS)
    except EndpointLost:
        return None
    return int(allowed)


def _sums(
    over: Iterable[ServerBudget], settings: BackendSettings, workers: int, others: int
) -> str:
    return "; ".join(
        f"{one.host}:{one.port} allows {one.allowed} connections, and {workers} worker(s) x"
        f" ({settings.max_connections} + {PROBES} probe) x {len(one.endpoints)} endpoint(s)"
        f" ({', '.join(one.endpoints)})"
        + (f" + {others} other(s)" if others else "")
        + f" = {one.wanted}"
        for one in over
    )
