"""One database that has everything: PostgreSQL alone says who may do what."""

from dataclasses import replace

import pytest

from router import (
    Access,
    Deadline,
    FunctionRefused,
    QueryContext,
    RouterError,
    Statement,
    declared_schema,
)
from router.plans.planning import Planning
from shardmap import (
    Endpoint,
    Global,
    KeyType,
    Shard,
    Sharded,
    ShardId,
    ShardMap,
    TableName,
    Unsharded,
)

ONE = ShardId("shard_0")
ENDPOINT = Endpoint("shard_0-a", "db", 5432, "app", "app", "env:DATABASE_URL")
MAP = ShardMap(
    cluster_id="c",
    epoch=1,
    key_type=KeyType.INTEGER,
    shards={ONE: Shard(ONE, ENDPOINT)},
    catalog=ENDPOINT,
    catalog_replicas=(),
    slots=(ONE,) * 4096,
    default_placement=Unsharded(),
)
SCHEMA = declared_schema("""
    CREATE TABLE items (id int PRIMARY KEY, owner text);
    CREATE TABLE notes (id int PRIMARY KEY, item int);
""")


def planned(sql, shard_map=MAP, role="anon"):
    context = QueryContext(role, None, "s", "{}", Deadline.after(60))
    return Planning(lambda: shard_map, lambda: SCHEMA).plan(Statement(sql, ()), context)


@pytest.mark.parametrize(
    ("sql", "access"),
    [
        ("SELECT * FROM items JOIN notes ON notes.item = items.id", Access.READ),
        ("SELECT my_function(id) FROM items", Access.WRITE),
        ("SELECT * FROM items FOR UPDATE", Access.WRITE),
        ("INSERT INTO items SELECT id + 1, 'x' FROM notes", Access.WRITE),
        ("UPDATE items SET owner = 'x'", Access.WRITE),
        ("DELETE FROM notes", Access.WRITE),
    ],
)
def test_whoever_asks_is_sent_to_the_one_shard(sql, access):
    plan = planned(sql)

    assert plan.route.shard == ONE
    assert plan.query.access is access


def test_functions_that_outlive_their_statement_stay_refused():
    with pytest.raises(FunctionRefused):
        planned("SELECT set_config('role', 'service_role', false)")


@pytest.mark.parametrize(
    "shard_map",
    [
        replace(MAP, default_placement=None, tables={TableName("public.items"): Unsharded()}),
        replace(MAP, tables={TableName("public.notes"): Sharded("item")}),
        replace(MAP, tables={TableName("public.notes"): Global()}),
    ],
    ids=["unknown tables", "a sharded table", "a global table"],
)
def test_a_map_that_divides_anything_asks_who_calls_functions(shard_map):
    assert MAP.undivided
    assert not shard_map.undivided
    with pytest.raises(RouterError):
        planned("SELECT my_function(id) FROM items", shard_map)
