"""Connection strings of replicas, and the commands that are left to an operator."""

import pytest

from server.failover.conninfo import following_by_hand, pointed_at, rejoining_by_hand


def test_a_replica_keeps_its_login_when_it_follows_another_server():
    pointed = pointed_at("user=rep password='it''s' host=old port=5432", "new", 5433)

    assert pointed == (
        "user=rep password='it''s' host=old port=5432 hostaddr='' host='new' port=5433"
    )


@pytest.mark.parametrize("conninfo", ["", "postgresql://rep@old/"])
def test_what_cannot_be_pointed_elsewhere_is_left_to_the_operator(conninfo):
    assert pointed_at(conninfo, "new", 5433) is None


def test_commands_name_the_server_its_data_and_its_new_primary():
    lines = "\n".join(rejoining_by_hand("a", "/data/a", "new", 5433))

    assert 'pg_rewind --target-pgdata "/data/a" --source-server "host=new port=5433' in lines
    assert "pg_create_physical_replication_slot('s')" in "\n".join(
        following_by_hand("b", "new", 5433, "s")
    )
