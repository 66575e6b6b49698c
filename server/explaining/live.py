"""A router on the servers of the map in force, opened for one explanation or statement."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from router import (
    BackendSettings,
    EndpointStatus,
    PostgresBackends,
    Router,
    Schema,
    ShardStatus,
    SharedFloors,
)
from shardmap import Endpoint, Login, ShardMap, resolve

_CONNECTIONS: Final = 2
"""Beside the probe: one statement at a time, and the schema."""


@dataclass(frozen=True, slots=True)
class Live:
    """A router over real servers, and what is known of them."""

    router: Router
    _backends: PostgresBackends

    def schema(self) -> Schema:
        """The tables as last read."""
        return self._backends.schema()

    def endpoints(self, document: dict[str, Any]) -> list[dict[str, Any]]:
        """Who would answer on each shard of an explanation's document, and why."""
        found = {status.shard: status for status in self._backends.status()}
        writes = document["access"] == "write"
        return [
            choice(found[shard], writes=writes) for shard in document["shards"] if shard in found
        ]


def choice(status: ShardStatus, *, writes: bool) -> dict[str, Any]:
    """Which endpoint of a shard would be asked now.

    Of several replicas, two are drawn and the one with less to do answers: all that may be drawn
    are named. A session that has seen more than a replica has is answered elsewhere.
    """
    if writes:
        why = "the primary: it writes" if status.primary else "there is no primary at the moment"
        return _choice(status, status.primary, why)
    ready = sorted(_replicas(status), key=lambda each: (each.in_flight, each.latency_s))
    if ready:
        names = ", ".join(each.endpoint for each in ready)
        lag = f"{ready[0].lag_bytes or 0} bytes behind"
        return _choice(
            status, ready[0].endpoint, f"a replica {lag}, the least busy of those that may: {names}"
        )
    why = "the primary: no replica may answer" if status.primary else "nobody can answer"
    return _choice(status, status.primary, why)


def _replicas(status: ShardStatus) -> Iterator[EndpointStatus]:
    for endpoint in status.endpoints:
        if endpoint.state == "replica":
            yield endpoint


def _choice(status: ShardStatus, endpoint: str | None, why: str) -> dict[str, Any]:
    return {
        "shard": status.shard,
        "endpoint": endpoint or "none",
        "why": why,
        "states": {each.endpoint: each.state for each in status.endpoints},
    }


@asynccontextmanager
async def open_live(shard_map: ShardMap, environ: Mapping[str, str]) -> AsyncIterator[Live]:
    """Connect to the shards as a server would, with next to no connections.

    Raises:
        RouterError: The schema cannot be read.
    """

    def login(endpoint: Endpoint) -> Login:
        return resolve(endpoint, environ)

    settings = BackendSettings(max_connections=_CONNECTIONS, min_connections=0)
    with SharedFloors(None, 0, 1) as floors:
        async with PostgresBackends(shard_map, settings, login, floors, lambda _: None) as backends:
            backends.schema()
            yield Live(Router(backends, lambda: shard_map, backends.schema), backends)
