"""Settings for commands that only care about the cluster."""

import pytest

from server.configuration.reading import load_cluster_settings
from server.errors import SettingsInvalid
from server.mapstart import given_cluster
from shardmap import GivenServers, KeyType

ENVIRON = {
    "DATABASE_URL": "postgres://flux@db0/app",
    "FLUXBASE_DATABASE_READ_REPLICAS": "r1:5432,r2",
    "FLUXBASE_DATABASE_SHARD_0": "postgres://db1/app",
    "FLUXBASE_DATABASE_SHARD_0_READ_REPLICAS": "r3",
    "FLUXBASE_DATABASE_SHARD_1": "postgres://db2/app",
    "FLUXSHARD_TENANT_KEY_TYPE": "uuid",
}


def test_a_cluster_is_read_without_the_secrets_of_a_server():
    given = given_cluster(load_cluster_settings(ENVIRON, None))

    assert given.catalog == GivenServers(
        "postgres://flux@db0/app", "DATABASE_URL", ("r1:5432", "r2"),
        "FLUXBASE_DATABASE_READ_REPLICAS",
    )  # fmt: skip
    assert [(shard.url_name, shard.replicas) for shard in given.shards] == [
        ("FLUXBASE_DATABASE_SHARD_0", ("r3",)),
        ("FLUXBASE_DATABASE_SHARD_1", ()),
    ]
    assert given.key_type is KeyType.UUID


def test_what_concerns_the_cluster_has_to_be_right_and_nothing_else():
    environ = {
        **ENVIRON,
        "FLUXBASE_SERVER_ADDRESS": "nonsense",
        "FLUXBASE_DATABASE_SHARD_1": "mysql://db2",
        "FLUXSHARD_TENANT_KEY_TYPE": "float",
    }

    with pytest.raises(SettingsInvalid) as caught:
        load_cluster_settings(environ, None)

    assert [problem.path for problem in caught.value.problems] == [
        "FLUXBASE_DATABASE_SHARD_1",
        "FLUXSHARD_TENANT_KEY_TYPE",
    ]


def test_without_any_database_there_is_no_cluster():
    with pytest.raises(SettingsInvalid, match="DATABASE_URL: is not set"):
        load_cluster_settings({}, None)
