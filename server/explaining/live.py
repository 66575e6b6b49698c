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
from server.settings import ReplicaSettings
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

    Named are all replicas that may answer a read, and those that may not, with the reason. A session
    that has seen more than a replica has is answered elsewhere.
    """
    if writes:
        why = "the primary: it writes" if status.primary else "there is no primary at the moment"
        return _choice(status, status.primary, why)
    replicas = [each for each in status.endpoints if each.state == "replica"]
    others = [each for each in replicas if each.endpoint != status.reader]
    chosen = next((each for each in replicas if each.endpoint == status.reader), None)
    if chosen is not None:
        why = f"chosen by {status.choice}, {', '.join(_facts(chosen))}"
    elif status.primary is not None:
        why = "the primary: no replica may answer"
    else:
        why = "nobody can answer"
    fit = [each.endpoint for each in others if not each.unfit]
    unfit = [f"not {each.endpoint}: {each.unfit}" for each in others if each.unfit]
    also = [f"may as well: {', '.join(fit)}"] if fit else []
    return _choice(status, status.reader or status.primary, "; ".join([why, *also, *unfit]))


def _facts(chosen: EndpointStatus) -> Iterator[str]:
    """What speaks for or against the replica that was chosen."""
    yield f"{chosen.lag_bytes or 0} bytes behind"
    if chosen.zone:
        yield f"of zone {chosen.zone}"
    if chosen.share < 1:
        yield f"{chosen.share:.0%} of its weight in its slow start"
    if chosen.in_flight:
        yield f"{chosen.in_flight} reads in flight"
    if chosen.unfit:  # there is nobody better
        yield chosen.unfit


def _choice(status: ShardStatus, endpoint: str | None, why: str) -> dict[str, Any]:
    return {
        "shard": status.shard,
        "endpoint": endpoint or "none",
        "why": why,
        "states": {each.endpoint: each.state for each in status.endpoints},
    }


@asynccontextmanager
async def open_live(
    shard_map: ShardMap, environ: Mapping[str, str], replicas: ReplicaSettings
) -> AsyncIterator[Live]:
    """Connect to the shards as a server would, with next to no connections.

    It chooses among the replicas of the map as a server with these settings would.

    Raises:
        RouterError: The schema cannot be read.
    """

    def login(endpoint: Endpoint) -> Login:
        return resolve(endpoint, environ)

    settings = BackendSettings(
        max_connections=_CONNECTIONS,
        min_connections=0,
        choice=replicas.choice,
        zone=replicas.zone or None,
        max_lag_bytes=replicas.max_lag_bytes,
    )
    with SharedFloors(None, 0, 1) as floors:
        async with PostgresBackends(shard_map, settings, login, floors, lambda _: None) as backends:
            backends.schema()
            yield Live(Router(backends, lambda: shard_map, backends.schema), backends)
