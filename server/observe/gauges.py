"""What a worker's gauges say at this moment."""

import os
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Protocol

from router import Counts, ShardStatus
from server.lifecycle import Lifecycle
from server.observe.tally import Labels, Tally
from shardmap import ShardMap

_STATM: Final = Path("/proc/self/statm")
_ANSWERING: Final = frozenset({"primary", "replica"})

Reading = tuple[tuple[str, Labels], float]


class Cluster(Protocol):
    """Whoever knows the shards and the map."""

    def status(self) -> tuple[ShardStatus, ...]:
        """Every shard at this moment."""
        ...

    def current_map(self) -> ShardMap:
        """The map in use."""
        ...

    def analyses(self) -> Counts:
        """How the analyses of statements were found."""
        ...


class WayIn(Protocol):
    """Whoever lets requests in."""

    shed: int
    lag_s: float

    def __len__(self) -> int:
        """How many wait."""
        ...


class Gauges:
    """Reads this process and its connections. Calling it gives a value for each gauge.

    What is counted elsewhere (CPU time, analyses) is noted in the tally on that occasion.
    """

    def __init__(
        self,
        tally: Tally,
        lifecycle: Lifecycle,
        connections: Callable[[], int],
        cluster: Cluster,
        way_in: WayIn,
    ) -> None:
        self._tally = tally
        self._lifecycle = lifecycle
        self._connections = connections
        self._cluster = cluster
        self._way_in = way_in
        self._began = time.monotonic()

    def __call__(self) -> dict[tuple[str, Labels], float]:
        """The values, by the name of the family and its labels."""
        counts, analyses = self._tally.counts, self._cluster.analyses()
        counts["process_cpu_seconds", ()] = time.process_time()
        counts["fluxshard_analyses", ("text",)] = analyses.texts
        counts["fluxshard_analyses", ("shape",)] = analyses.shapes
        counts["fluxshard_analyses", ("miss",)] = analyses.misses
        return dict(self._readings())

    def _readings(self) -> Iterator[Reading]:
        counts = self._tally.counts

        def one(name: str, value: float, *labels: str) -> Reading:
            return (name, labels), float(value)

        yield one("fluxshard_workers", 1)
        yield one("process_resident_memory_bytes", _resident_bytes())
        yield one("fluxbase_system_uptime_seconds", time.monotonic() - self._began)
        yield one("fluxbase_active_connections", self._connections())
        yield one("fluxbase_http_requests_in_flight", self._lifecycle.in_flight)
        yield one("fluxshard_map_epoch", self._cluster.current_map().epoch)
        yield one("fluxshard_requests_waiting", len(self._way_in))
        yield one("fluxshard_event_loop_lag_seconds", self._way_in.lag_s)
        counts["fluxshard_requests_shed", ()] = self._way_in.shed
        waiting = 0
        seen: set[str] = set()
        for shard in self._cluster.status():
            yield one("fluxshard_shard_readable", shard.readable, shard.shard)
            yield one("fluxshard_shard_writable", shard.writable, shard.shard)
            yield one("fluxshard_shard_conflict", shard.conflict, shard.shard)
            yield one("fluxshard_shard_durable", shard.durable, shard.shard)
            yield one("fluxshard_writes_waiting", shard.held, shard.shard)
            for endpoint in shard.endpoints:
                labels = (shard.shard, endpoint.endpoint)
                up = endpoint.state in _ANSWERING
                yield one("fluxshard_endpoint_up", up, *labels)
                if endpoint.lag_bytes is not None:
                    yield one("fluxshard_endpoint_lag_bytes", endpoint.lag_bytes, *labels)
                if endpoint.lag_s is not None:
                    yield one("fluxshard_endpoint_lag_seconds", endpoint.lag_s, *labels)
                yield one("fluxshard_endpoint_ejected", endpoint.trust != "trusted", *labels)
                yield one("fluxshard_endpoint_share", endpoint.share, *labels)
                if endpoint.endpoint in seen:
                    continue  # a database that is a shard and the catalog has one pool
                seen.add(endpoint.endpoint)
                waiting += endpoint.waiting
                yield one("fluxbase_db_connections", endpoint.connections, *labels)
                yield one("fluxbase_db_connections_idle", endpoint.idle, *labels)
                yield one("fluxbase_db_connections_max", endpoint.limit, *labels)
                yield one("fluxshard_pool_waiting", endpoint.waiting, *labels)
                yield one("fluxshard_pool_admitted", endpoint.admitted, *labels)
                counts["fluxshard_pool_limited", labels] = endpoint.limited
                counts["fluxshard_pool_waits", labels] = endpoint.waits
                counts["fluxshard_pool_wait_seconds", labels] = endpoint.waited_s
                counts["fluxshard_pool_turned_away", labels] = endpoint.turned_away
        yield one("fluxbase_request_queue_depth", waiting)


def _resident_bytes() -> int:
    """Resident memory now (Linux), else the most there was."""
    try:
        pages = int(_STATM.read_text("ascii").split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")
