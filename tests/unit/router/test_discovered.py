"""Where the standbys listen that a primary names."""

import pytest

from router.live.discovered import Standby, Unaddressed, endpoints
from shardmap import Endpoint, ShardId, Tls

SHARD = ShardId("shard_0")
PRIMARY = Endpoint("shard_0-a", "db1.internal", 5433, "shop", "app", "env:X", "eu", 3, Tls.REQUIRE)
SOCKET = Endpoint("shard_0-a", "/run/postgresql", 5433, "shop", "app")


def found(name, address, *, port=None, primary=PRIMARY):
    (one,) = endpoints(SHARD, [Standby(name, address)], primary, port)
    return one


def test_a_standby_is_where_it_came_from_and_listens_as_its_primary_does():
    assert found("walreceiver", "10.0.0.7") == Endpoint(
        "shard_0@10.0.0.7:5433", "10.0.0.7", 5433, "shop", "app", "env:X", tls=Tls.REQUIRE
    )


def test_a_port_that_is_set_holds_for_all():
    assert found("walreceiver", "10.0.0.7", port=6000).port == 6000


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("b@:6001", ("10.0.0.7", 6001)),
        ("b@db2.internal", ("db2.internal", 5433)),
        ("b@db2.internal:6001", ("db2.internal", 6001)),
        ("b@[fd00::2]:6001", ("fd00::2", 6001)),
        ("a@b@db2:1", ("db2", 1)),
        ("b@", ("10.0.0.7", 5433)),
        ("", ("10.0.0.7", 5433)),
    ],
)
def test_its_application_name_may_say_where(name, place):
    one = found(name, "10.0.0.7")

    assert (one.host, one.port) == place


@pytest.mark.parametrize(
    ("primary", "address", "name"),
    [
        (PRIMARY, "10.0.0.7", "shard_0@10.0.0.7:6001"),
        (PRIMARY, "fd00::2", "shard_0@[fd00::2]:6001"),
        (SOCKET, None, "shard_0@:6001"),
    ],
)
def test_its_name_tells_where_it_is(primary, address, name):
    assert found("b@:6001", address, primary=primary).name == name


def test_one_at_the_primarys_own_address_has_to_say_its_port():
    assert found("b", None, primary=SOCKET) == Unaddressed(
        "b", "it is at the primary's own address, so its application_name has to name its port"
    )


@pytest.mark.parametrize("name", ["b@:port", "b@:99999", "b@a b", "b@x,y", "b@1:2:3"])
def test_what_is_no_address_is_not_guessed_at(name):
    assert isinstance(found(name, "10.0.0.7"), Unaddressed)
