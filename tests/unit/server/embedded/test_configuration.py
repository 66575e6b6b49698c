from pathlib import Path

import pytest

from server.embedded import ClusterSpec, Sockets, Tcp
from server.embedded.configuration import configuration, title
from server.embedded.directory import ClusterDirectory
from server.embedded.record import lay_out
from shardmap import Durability

PLACE = ClusterDirectory(Path("/it's/a \\ place"))


def settings(server, *, postgresql=18, **options):
    spec = ClusterSpec(directory=PLACE.root, **options)
    record = lay_out(spec, cluster_id="c", postgresql=postgresql)
    shard, found = record.find(server)
    lines = configuration(PLACE, record, shard, found).splitlines()[1:]
    return dict(line.split(" = ", 1) for line in lines)


def test_every_server_of_a_shard_would_wait_for_one_of_the_others():
    assert settings("shard_0-a")["synchronous_standby_names"] == (
        """'ANY 1 ("shard_0-b", "shard_0-c")'"""
    )
    assert settings("shard_0-b")["synchronous_standby_names"] == (
        """'ANY 1 ("shard_0-a", "shard_0-c")'"""
    )


@pytest.mark.parametrize("options", [{"replicas": 0}, {"durability": Durability.ASYNC}], ids=str)
def test_without_replicas_or_quorum_nothing_is_waited_for(options):
    assert settings("shard_0-a", **options)["synchronous_standby_names"] == "''"


def test_only_replicas_follow_and_they_follow_the_primary_under_their_own_name():
    assert "primary_conninfo" not in settings("catalog-a")
    assert "application_name=''catalog-b''" in settings("catalog-b")["primary_conninfo"]
    assert "port=''15400''" in settings("catalog-b")["primary_conninfo"]


def test_quotes_and_backslashes_of_paths_are_escaped_for_both_readers():
    assert r"passfile=''/it\\''s/a \\\\ place/pgpass''" in settings("catalog-b")["primary_conninfo"]


def test_primary_and_replicas_agree_on_what_must_be_equal():
    own = {"port", "cluster_name", "synchronous_standby_names", "primary_conninfo"}
    primary, replica = settings("shard_1-a"), settings("shard_1-b")

    assert {k: v for k, v in primary.items() if k not in own} == {
        k: v for k, v in replica.items() if k not in own
    }


def test_with_sockets_only_nothing_listens_on_the_network():
    assert settings("catalog-a", listen=Sockets())["listen_addresses"] == "''"
    assert settings("catalog-a", listen=Tcp())["listen_addresses"] == "'127.0.0.1'"
    assert settings("catalog-a", listen=Tcp())["unix_socket_directories"] == "''"


def test_a_setting_that_older_releases_do_not_know_is_left_away_there():
    assert "io_method" in settings("catalog-a", postgresql=18)
    assert "io_method" not in settings("catalog-a", postgresql=15)


def test_a_copy_of_a_cluster_has_other_process_titles():
    assert title(PLACE, "catalog-a") != title(ClusterDirectory(Path("/copy")), "catalog-a")
