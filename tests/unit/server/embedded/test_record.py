from dataclasses import replace
from pathlib import Path

import pytest

from server.embedded import ClusterSpec, RecordBroken, Sockets, SpecConflict, Tcp, UnknownServer
from server.embedded.record import adapt, dump, lay_out, load
from shardmap import Durability

HERE = Path("/somewhere")


def laid_out(**options):
    return lay_out(ClusterSpec(directory=HERE, **options), cluster_id="c1", postgresql=18)


def test_a_cluster_is_a_catalog_and_shards_with_a_port_for_each_server():
    record = laid_out(shards=2, replicas=1, listen=Tcp(15400))

    assert [(shard.id, shard.primary) for shard in record.shards] == [
        ("catalog", "catalog-a"),
        ("shard_0", "shard_0-a"),
        ("shard_1", "shard_1-a"),
    ]
    assert [(server.name, server.port) for _, server in record.servers] == [
        ("catalog-a", 15400),
        ("catalog-b", 15401),
        ("shard_0-a", 15402),
        ("shard_0-b", 15403),
        ("shard_1-a", 15404),
        ("shard_1-b", 15405),
    ]


def test_without_options_a_cluster_has_two_shards_with_two_replicas_and_waits_for_a_quorum():
    record = laid_out()

    assert len(record.shards) == 3
    assert all(len(shard.servers) == 3 for shard in record.shards)
    assert record.durability is Durability.QUORUM


def test_growing_keeps_the_ports_and_primaries_of_servers_that_are_there():
    record = laid_out(shards=1, replicas=0).with_primary("shard_0", "shard_0-a")

    grown = adapt(record, ClusterSpec(directory=HERE, shards=2, replicas=1))

    ports = {server.name: server.port for _, server in grown.servers}
    assert ports["catalog-a"] == 15400
    assert ports["shard_0-a"] == 15401
    assert sorted(ports.values()) == [15400, 15401, 15402, 15403, 15404, 15405]


def test_an_option_that_is_left_away_means_as_the_cluster_is():
    record = laid_out(shards=3, replicas=1, listen=Sockets(), durability=Durability.ASYNC)

    assert adapt(record, ClusterSpec(directory=HERE)) == record


@pytest.mark.parametrize(
    "asked",
    [{"shards": 1}, {"replicas": 0}, {"listen": Tcp(16000)}, {"listen": Sockets()}],
    ids=str,
)
def test_what_would_take_servers_or_ports_away_is_refused(asked):
    record = laid_out(shards=2, replicas=1)

    with pytest.raises(SpecConflict):
        adapt(record, ClusterSpec(directory=HERE, **asked))


@pytest.mark.parametrize(
    "asked",
    [
        {"shards": 0},
        {"replicas": -1},
        {"replicas": 26},
        {"listen": Tcp(32765)},
        {"listen": Tcp(80)},
    ],
    ids=str,
)
def test_options_out_of_range_are_refused(asked):
    with pytest.raises(SpecConflict):
        laid_out(**asked)


@pytest.mark.parametrize("listen", [Tcp(20000), Sockets()], ids=str)
def test_a_record_comes_back_from_its_text(listen):
    record = laid_out(shards=2, listen=listen, pg_bindir=Path("/opt/pg/bin"))
    record = record.with_primary("shard_1", "shard_1-c")

    assert load(dump(record), HERE) == record


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', '{"format": 99}', "null"])
def test_a_text_that_is_no_record_is_refused_by_name(text):
    with pytest.raises(RecordBroken):
        load(text, HERE)


def test_a_record_whose_primary_is_no_server_of_its_shard_is_refused():
    record = laid_out(shards=1)
    broken = replace(record, shards=(replace(record.shards[0], primary="x"), *record.shards[1:]))

    with pytest.raises(RecordBroken):
        load(dump(broken), HERE)


def test_an_unknown_name_is_refused_with_the_known_ones():
    record = laid_out(shards=1, replicas=0)

    with pytest.raises(UnknownServer) as caught:
        record.find("shard_9-a")

    assert "catalog-a, shard_0-a" in caught.value.hint
