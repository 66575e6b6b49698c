from dataclasses import dataclass

import orjson
import pytest

from router import Counts, EndpointStatus, ShardDown, ShardStatus
from server.admin import Health, Metrics
from server.errors import Dialect
from server.lifecycle import Lifecycle
from server.observe.board import Board
from server.observe.gauges import Gauges
from server.observe.tally import Tally
from server.routes import Entry, Routes
from shardmap import CATALOG, ShardId


def endpoint(name, state="primary", **more):
    fields = {
        "detail": "connection to 10.0.0.7 refused", "timeline": 1, "lsn": 1, "lag_bytes": None,
        "lag_s": None, "trust": "trusted", "share": 1.0, "latency_s": 0.001, "in_flight": 0, "connections": 3, "idle": 2,
        "waiting": 1, "limit": 25, "admitted": 25, "limited": 0, "waits": 0, "waited_s": 0.0, "turned_away": 0,
    }  # fmt: skip
    return EndpointStatus(name, state, **{**fields, **more})


def shard(name, *, readable=True, writable=True):
    return ShardStatus(
        shard=ShardId(name),
        primary=f"{name}-a" if writable else None,
        quorum_lost=False,
        readable=readable,
        writable=writable,
        endpoints=(
            endpoint(f"{name}-a", "primary" if writable else "down"),
            endpoint(f"{name}-b", "replica", lag_bytes=16),
        ),
    )


WELL = (shard("s0"), shard("s1"), shard(CATALOG))


@dataclass
class Cluster:
    shards: tuple = WELL
    schema_known: bool = True
    epoch: int = 4

    def status(self):
        return self.shards

    def schema(self):
        if not self.schema_known:
            raise ShardDown(CATALOG, "not read yet")

    def analyses(self):
        return Counts(texts=3, shapes=2, misses=1)

    def current_map(self):
        return self


def health(cluster, lifecycle=None):
    return Health(lifecycle or Lifecycle(), cluster.status, cluster.schema)


async def asked(handler):
    reply = await handler(None)
    return reply.status, orjson.loads(reply.body)


async def test_a_well_cluster_is_ok_with_every_shard():
    status, body = await asked(health(Cluster()).health)

    assert status == 200
    assert body["status"] == "ok"
    assert body["services"] == {"database": True, "realtime": False}
    assert body["shards"]["s0"] == {
        "readable": True,
        "writable": True,
        "primary": "s0-a",
        "quorum_lost": False,
        "conflict": False,
        "durability": {"declared": None, "actual": None},
        "writes_held": 0,
        "endpoints": {
            "s0-a": {"state": "primary", "lag_bytes": None},
            "s0-b": {"state": "replica", "lag_bytes": 16},
        },
    }
    assert body["timestamp"].endswith("+00:00")


async def test_health_tells_nobody_where_servers_are():
    _, body = await asked(health(Cluster()).health)

    assert "10.0.0.7" not in str(body)


@pytest.mark.parametrize(
    ("shards", "expected"),
    [
        ((shard("s0", writable=False), shard("s1"), shard(CATALOG)), (200, "degraded", True)),
        (
            (shard("s0", readable=False, writable=False), shard("s1"), shard(CATALOG)),
            (200, "degraded", False),
        ),
        (
            (shard("s0"), shard("s1"), shard(CATALOG, readable=False, writable=False)),
            (200, "degraded", True),
        ),
        (
            (
                shard("s0", readable=False, writable=False),
                shard("s1", readable=False, writable=False),
                shard(CATALOG),
            ),
            (503, "degraded", False),
        ),
        ((shard(CATALOG),), (200, "ok", True)),
    ],
)
async def test_only_a_cluster_that_nobody_can_read_is_out_of_service(shards, expected):
    status, body = await asked(health(Cluster(shards)).health)

    assert (status, body["status"], body["services"]["database"]) == expected


async def test_it_is_ready_when_tables_are_known_and_a_shard_can_be_read():
    assert await asked(health(Cluster()).ready) == (200, {"status": "ready"})


async def test_it_is_not_ready_before_the_tables_are_known():
    found = await asked(health(Cluster(schema_known=False)).ready)

    assert found == (503, {"status": "starting", "reason": "P202"})


async def test_it_is_not_ready_when_nothing_can_be_read():
    cluster = Cluster((shard("s0", readable=False),))

    assert await asked(health(cluster).ready) == (503, {"status": "unavailable"})


async def test_it_is_not_ready_when_it_drains_and_still_alive():
    lifecycle = Lifecycle()
    lifecycle.draining = True
    found = health(Cluster(), lifecycle)

    assert await asked(found.ready) == (503, {"status": "draining"})
    assert await asked(found.live) == (200, {"status": "live"})
    assert await asked(found.root) == (200, {"status": "ok"})


async def test_everybody_may_ask_and_no_answer_is_kept():
    routes = health(Cluster()).routes()

    assert [route.template for route in routes] == ["/", "/health", "/ready", "/live"]
    assert {route.entry for route in routes} == {Entry.OPEN}
    for route in routes:
        assert ("Cache-Control", "no-store") in (await route.handler(None)).headers


class WayIn:
    shed, lag_s = 3, 0.5

    def __len__(self):
        return 2


def gauges(cluster, lifecycle=None):
    return Gauges(Tally(), lifecycle or Lifecycle(), lambda: 7, cluster, WayIn())()


def test_gauges_tell_of_connections_shards_and_endpoints():
    lifecycle = Lifecycle()
    lifecycle.begin()

    found = gauges(Cluster((shard("s0", writable=False), shard("s1"))), lifecycle)

    assert found["fluxbase_active_connections", ()] == 7
    assert found["fluxbase_http_requests_in_flight", ()] == 1
    assert found["fluxbase_request_queue_depth", ()] == 4
    assert found["fluxbase_db_connections", ("s0", "s0-b")] == 3
    assert found["fluxbase_db_connections_idle", ("s0", "s0-b")] == 2
    assert found["fluxbase_db_connections_max", ("s1", "s1-a")] == 25
    assert found["fluxshard_shard_writable", ("s0",)] == 0
    assert found["fluxshard_shard_readable", ("s0",)] == 1
    assert found["fluxshard_endpoint_up", ("s0", "s0-a")] == 0
    assert found["fluxshard_endpoint_lag_bytes", ("s0", "s0-b")] == 16
    assert found["fluxshard_map_epoch", ()] == 4
    assert found["process_resident_memory_bytes", ()] > 1_000_000


def test_how_analyses_were_found_is_counted():
    tally = Tally()

    Gauges(tally, Lifecycle(), lambda: 0, Cluster((shard("s0"),)), WayIn())()

    assert tally.counts["fluxshard_analyses", ("text",)] == 3
    assert tally.counts["fluxshard_analyses", ("shape",)] == 2
    assert tally.counts["fluxshard_analyses", ("miss",)] == 1


def test_a_database_that_is_shard_and_catalog_has_its_pool_counted_once():
    alone = shard("s0")
    both = ShardStatus(CATALOG, "s0-a", False, True, True, alone.endpoints)

    found = gauges(Cluster((alone, both)))

    assert found["fluxbase_request_queue_depth", ()] == 2
    assert ("fluxbase_db_connections", (CATALOG, "s0-a")) not in found


async def test_metrics_have_a_port_of_their_own_with_a_plain_health_check():
    metrics = Metrics(Board(Tally(), dict), "/numbers")
    routes = Routes(metrics.own_port_routes())

    text = await routes.match("GET", "/numbers").route.handler(None)
    plain = await routes.match("GET", "/health").route.handler(None)

    assert text.content_type.startswith("text/plain; version=0.0.4")
    assert b"# TYPE fluxbase_http_requests_total counter" in text.body
    assert (plain.status, plain.body) == (200, b"OK")
    assert routes.match("GET", "/health").route.dialect is Dialect.NATIVE
