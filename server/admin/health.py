"""`/health`, `/ready`, `/live` and `/`: for balancers, orchestrators and people.

They say which shard is well, never where its servers are: everybody may ask.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from router import Schema, ShardStatus, ShardUnavailable
from server.exchange import Reply, Request
from server.lifecycle import Lifecycle
from server.routes import Entry, Route
from shardmap import CATALOG

_JSON: Final = "application/json"
_NO_STORE: Final = (("Cache-Control", "no-store"),)

Status = Callable[[], tuple[ShardStatus, ...]]


class Health:
    """Answers from what the probes have seen; asks no database itself."""

    def __init__(self, lifecycle: Lifecycle, status: Status, schema: Callable[[], Schema]) -> None:
        self._lifecycle = lifecycle
        self._status = status
        self._schema = schema

    def routes(self) -> tuple[Route, ...]:
        """The four paths."""
        return (
            Route("GET", "/", self.root, entry=Entry.OPEN),
            Route("GET", "/health", self.health, entry=Entry.OPEN),
            Route("GET", "/ready", self.ready, entry=Entry.OPEN),
            Route("GET", "/live", self.live, entry=Entry.OPEN),
        )

    async def root(self, _: Request) -> Reply:
        """That there is a server."""
        return _json(200, {"status": "ok"})

    async def live(self, _: Request) -> Reply:
        """That the event loop answers."""
        return _json(200, {"status": "live"})

    async def health(self, _: Request) -> Reply:
        """How each shard is.

        503 only when no shard can be read: balancers take an instance out that says so, and one
        lost shard must not take all instances from the tenants of the others.
        """
        shards = self._status()
        of_tenants = [shard for shard in shards if shard.shard != CATALOG] or list(shards)
        well = all(shard.readable and shard.writable and shard.durable for shard in shards)
        body = {
            "status": "ok" if well else "degraded",
            "services": {
                "database": all(shard.readable for shard in of_tenants),
                "realtime": False,
            },
            "shards": {shard.shard: _shard(shard) for shard in shards},
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        return _json(200 if any(shard.readable for shard in of_tenants) else 503, body)

    async def ready(self, _: Request) -> Reply:
        """Whether requests should come here: not before the tables are known, not when draining."""
        if self._lifecycle.draining:
            return _json(503, {"status": "draining"})
        try:
            self._schema()
        except ShardUnavailable as error:
            return _json(503, {"status": "starting", "reason": error.code})
        if not any(shard.readable for shard in self._status()):
            return _json(503, {"status": "unavailable"})
        return _json(200, {"status": "ready"})


def _shard(shard: ShardStatus) -> dict[str, Any]:
    return {
        "readable": shard.readable,
        "writable": shard.writable,
        "primary": shard.primary,
        "quorum_lost": shard.quorum_lost,
        "conflict": shard.conflict,
        "durability": {"declared": shard.declared, "actual": shard.durability},
        "writes_held": shard.held,
        "endpoints": {
            endpoint.endpoint: {"state": endpoint.state, "lag_bytes": endpoint.lag_bytes}
            for endpoint in shard.endpoints
        },
    }


def _json(status: int, body: dict[str, Any]) -> Reply:
    return Reply(status, orjson.dumps(body), _JSON, _NO_STORE)
