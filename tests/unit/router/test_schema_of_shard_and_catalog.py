import pytest

from router import Kind, Schema, ShardDown, Table
from router.catalogue.introspection import merged
from shardmap import Endpoint, Global, KeyType, Shard, ShardId, ShardMap, TableName, Unsharded

PLANS, NOTES = TableName("public.plans"), TableName("public.notes")
ENDPOINT = Endpoint(name="a", host="localhost", port=5432, database="d", user="u")
MAP = ShardMap(
    cluster_id="c",
    epoch=1,
    key_type=KeyType.INTEGER,
    shards={ShardId("s"): Shard(ShardId("s"), ENDPOINT)},
    catalog=ENDPOINT,
    catalog_replicas=(),
    slots=(ShardId("s"),) * 4096,
    tables={PLANS: Global(), TableName("public.rates"): Global()},
    default_placement=Unsharded(),
)


def table(name, *, rls=False):
    schema, relation = name.split(".")
    return Table(
        name=name,
        schema=schema,
        relation=relation,
        kind=Kind.TABLE,
        columns={},
        primary_key=(),
        uniques=(),
        rls=rls,
        triggered=False,
        computed_defaults=False,
    )


def made(shard, catalog) -> Schema:
    return merged(shard, catalog, MAP, ("public",))


def test_global_tables_are_those_of_the_catalog():
    schema = made(
        (table(PLANS), table(NOTES)), (table(PLANS, rls=True), table(TableName("public.stray")))
    )

    assert list(schema.tables) == [NOTES, PLANS]
    assert schema.tables[PLANS].rls


def test_one_database_that_is_shard_and_catalog_gives_all_its_tables():
    both = (table(PLANS), table(NOTES))

    assert list(made(both, both).tables) == [NOTES, PLANS]


def test_without_the_catalog_its_tables_are_refused_and_those_of_tenants_are_known():
    schema = made((table(PLANS), table(NOTES)), None)

    assert schema.table(NOTES) is not None
    assert schema.table(TableName("public.other")) is None
    with pytest.raises(ShardDown) as caught:
        schema.table(PLANS)
    assert caught.value.shard == "catalog"


def test_the_version_says_whether_the_catalog_was_read():
    assert made((table(NOTES),), None).version != made((table(NOTES),), ()).version
