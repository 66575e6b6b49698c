"""Which endpoint an explanation names, and the reasons that it gives."""

import pytest

from router import EndpointStatus, ShardStatus
from server.explaining.live import choice
from shardmap import ShardId


def endpoint(name, state="replica", **more):
    fields = {
        "detail": "", "timeline": 1, "lsn": 1, "lag_bytes": 0, "lag_s": 0.0, "trust": "trusted",
        "share": 1.0, "latency_s": 0.001, "in_flight": 0, "connections": 3, "idle": 2,
        "waiting": 0, "limit": 25, "admitted": 25, "limited": 0, "waits": 0, "waited_s": 0.0, "turned_away": 0,
    }  # fmt: skip
    return EndpointStatus(name, state, **{**fields, **more})


def shard(*endpoints, reader=None, primary="a", how="power-of-two"):
    return ShardStatus(
        shard=ShardId("s0"),
        primary=primary,
        quorum_lost=False,
        readable=True,
        writable=primary is not None,
        endpoints=(endpoint("a", "primary"), *endpoints),
        reader=reader,
        choice=how,
    )


@pytest.mark.parametrize(
    ("status", "name", "why"),
    [
        (
            shard(endpoint("b"), endpoint("c"), reader="c"),
            "c",
            "chosen by power-of-two, 0 bytes behind; may as well: b",
        ),
        (
            shard(
                endpoint("b", zone="eu", share=0.25, in_flight=3, lag_bytes=16),
                endpoint("c", unfit="it is ejected: it did not answer in time"),
                reader="b",
                how="round-robin in zone eu",
            ),
            "b",
            (
                "chosen by round-robin in zone eu, 16 bytes behind, of zone eu,"
                " 25% of its weight in its slow start, 3 reads in flight;"
                " not c: it is ejected: it did not answer in time"
            ),
        ),
        (
            shard(endpoint("b", unfit="its weight is 0")),
            "a",
            "the primary: no replica may answer; not b: its weight is 0",
        ),
        (shard(primary=None), "none", "nobody can answer"),
    ],
)
def test_the_endpoint_for_a_read_is_named_with_the_reasons(status, name, why):
    found = choice(status, writes=False)

    assert (found["endpoint"], found["why"]) == (name, why)


def test_a_write_goes_to_the_primary():
    assert choice(shard(), writes=True)["endpoint"] == "a"
    assert choice(shard(primary=None), writes=True)["endpoint"] == "none"
