"""Whether the servers have room for all connections that we may open, before the first opens."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

from router.backend_settings import BackendSettings
from router.live.failures import EndpointLost
from router.live.opening import LoginSource, log_in
from router.setup_errors import ConnectionBudgetExceeded
from shardmap import CATALOG, Endpoint, Pooling, ShardId, ShardMap

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
    limits: tuple[int, ...]
    """How many connections of one worker go to each of them, besides the probe."""
    wanted: int
    allowed: int | None
    """None: it did not say, because it is down."""


def wanted_connections(
    settings: BackendSettings, workers: int, endpoints: Sequence[Endpoint]
) -> int:
    """What one server may see of us: workers x (limit + probe), for each endpoint on it."""
    pools = sum(limit_of(endpoint, settings) for endpoint in endpoints)
    if settings.total_connections:
        pools = min(pools, settings.total_connections)
    return workers * (pools + PROBES * len(endpoints))


def limit_of(endpoint: Endpoint, settings: BackendSettings) -> int:
    """How many connections besides the probe go to the endpoint's server past any pooler."""
    match endpoint.pooling:
        case Pooling.NONE:
            return settings.max_connections
        case Pooling.TRANSACTION:
            return settings.direct_connections
        case Pooling.SESSION:
            return 0
        case _:
            assert_never(endpoint.pooling)


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
            limits=tuple(limit_of(endpoint, settings) for _, endpoint in found),
            wanted=wanted_connections(settings, workers, [one for _, one in found]) + others,
            allowed=asked[server].result(),
        )
        for server, found in servers.items()
    )
    over = [one for one in budgets if one.allowed is not None and one.wanted > one.allowed]
    if over:
        raise ConnectionBudgetExceeded(_sums(over, settings, workers, others))
    return budgets


def _servers(shard_map: ShardMap) -> dict[Server, list[tuple[ShardId, Endpoint]]]:
    """The distinct databases of the map by the server that holds them, as far as we know it."""
    every: list[tuple[ShardId, Endpoint]] = [
        (shard.id, endpoint) for shard in shard_map.shards.values() for endpoint in shard.endpoints
    ]
    every += [(CATALOG, one) for one in (shard_map.catalog, *shard_map.catalog_replicas)]
    servers: dict[Server, list[tuple[ShardId, Endpoint]]] = {}
    seen: set[tuple[str, int, str]] = set()
    for shard, endpoint in every:
        straight = endpoint.straight
        if straight.pooling is not Pooling.NONE:
            continue  # what a pooler opens is its own affair
        if straight.address not in seen:
            seen.add(straight.address)
            servers.setdefault((straight.host, straight.port), []).append((shard, endpoint))
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
        f"{one.host}:{one.port} allows {one.allowed} connections, and "
        + " + ".join(_addends(one, workers))
        + (f" + {others} other(s)" if others else "")
        + (
            f" (at most {workers} x {cap} besides probes)"
            if (cap := settings.total_connections)
            else ""
        )
        + f" = {one.wanted}"
        for one in over
    )


def _addends(one: ServerBudget, workers: int) -> Iterator[str]:
    """The sum of a server, by endpoints with the same limit."""
    for limit in sorted(set(one.limits), reverse=True):
        names = [name for name, its in zip(one.endpoints, one.limits, strict=True) if its == limit]
        yield (
            f"{workers} worker(s) x ({limit} + {PROBES} probe) x {len(names)} endpoint(s)"
            f" ({', '.join(names)})"
        )
