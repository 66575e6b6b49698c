"""Only servers that prove who they are are used; a new map takes over without dropping anybody."""

import asyncio
from dataclasses import replace

import pytest

from router import EndpointChanged, MapAdopted, PrimaryAway, ShardDown
from shardmap import CATALOG, Shard, ShardId, Tls


def with_shard(shard_map, **changes):
    shard = shard_map.shards["shard_0"]
    shards = {**shard_map.shards, shard.id: replace(shard, **changes)}
    return replace(shard_map, epoch=shard_map.epoch + 1, shards=shards)


async def test_a_server_of_another_shard_is_never_used(world, until):
    other = world.shard_map.shards["shard_1"]
    swapped = with_shard(world.shard_map, primary=other.primary, replicas=other.replicas)

    await world.backends.adopt(swapped)

    assert {one.state for one in world.status().endpoints} == {"impostor"}
    with pytest.raises(ShardDown) as read:
        await world.read("SELECT 1")
    with pytest.raises(PrimaryAway):
        await world.write("INSERT INTO notes (id) VALUES (1)")
    assert "is shard shard_1 of cluster" in str(read.value)


async def test_a_server_of_another_cluster_is_never_used(cluster, databases, open_world):
    world = await open_world(cluster, databases.name)
    foreign = replace(world.shard_map, cluster_id="c-another", epoch=2)

    await world.backends.adopt(foreign)

    with pytest.raises(ShardDown):
        await world.read("SELECT 1")


async def test_a_swapped_replica_is_left_out_and_the_others_answer(world):
    shard = world.shard_map.shards["shard_0"]
    wrong = world.shard_map.shards["shard_1"].replicas[0]
    await world.backends.adopt(with_shard(world.shard_map, replicas=(shard.replicas[0], wrong)))

    served = {(await world.read("SELECT 1")).served.endpoint for _ in range(12)}

    assert served == {shard.replicas[0].name}
    changed = [one for one in world.observed(EndpointChanged) if one.endpoint == wrong.name]
    assert changed[-1].state == "impostor"


async def test_what_runs_on_an_endpoint_that_leaves_the_map_ends_well(world, until):
    shard = world.shard_map.shards["shard_0"]
    running = [asyncio.create_task(world.read("SELECT 1 FROM pg_sleep(0.3)")) for _ in range(8)]
    await until(lambda: sum(one.in_flight for one in world.status().endpoints) == 8)

    await world.backends.adopt(with_shard(world.shard_map, replicas=()))

    assert [one.endpoint for one in world.status().endpoints] == [shard.primary.name]
    assert {reply.served.endpoint for reply in await asyncio.gather(*running)} == set(
        world.REPLICAS
    )
    assert (await world.read("SELECT 1")).served.endpoint == shard.primary.name
    assert [one.epoch for one in world.observed(MapAdopted)] == [2]

    async def gone():
        async with world.superuser(world.REPLICAS[0]) as connection:
            return not await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE application_name = 'fluxshard' AND datname = current_database()"
            )

    await until(gone)


async def test_an_endpoint_that_stays_keeps_its_connections(world):
    before = (await world.read("SELECT pg_backend_pid()")).rows
    shard = world.shard_map.shards["shard_0"]
    renamed = replace(shard.replicas[0], name="renamed", weight=5)

    await world.backends.adopt(with_shard(world.shard_map, replicas=(renamed, shard.replicas[1])))

    after = {(await world.read("SELECT pg_backend_pid()")).rows[0] for _ in range(12)}
    assert set(before) <= after
    assert "renamed" in {one.endpoint for one in world.status().endpoints}


async def test_a_shard_that_the_map_does_not_have_is_refused(world):
    with pytest.raises(ShardDown):
        await world.backends.run(ShardId("shard_9"), world.reading("SELECT 1"), world.asker())


async def test_the_catalog_is_addressed_by_its_name(world):
    sql = "SELECT shard_id FROM fluxshard.identity"
    async with world.superuser("catalog-a") as connection:
        await connection.execute(
            "GRANT USAGE ON SCHEMA fluxshard TO service_role;"
            "GRANT SELECT ON fluxshard.identity TO service_role"
        )
    who = world.asker("service_role")
    await world.until(lambda: any(e.state == "replica" for e in world.status(CATALOG).endpoints))

    reply = await world.backends.run(CATALOG, world.reading(sql), who)

    assert reply.rows == [("catalog",)]


async def test_a_catalog_in_a_shards_database_shares_its_connections(
    cluster, databases, open_world
):
    endpoints = databases.endpoints
    shard = endpoints.shards[0]
    from_one = Shard(id=shard.id, primary=shard.primary, replicas=shard.replicas)
    world = await open_world(cluster, databases.name)
    one_map = replace(
        world.shard_map,
        epoch=2,
        shards={from_one.id: from_one},
        catalog=replace(shard.primary, name="catalog"),
        catalog_replicas=(),
    )

    await world.backends.adopt(one_map)

    reply = await world.backends.run(CATALOG, world.reading("SELECT 1"), world.asker())
    assert reply.rows == [(1,)]
    assert (
        world.status(CATALOG).endpoints[0].connections
        == world.endpoint(reply.served.endpoint).connections
    )


async def test_a_database_that_was_never_prepared_is_not_used(cluster, databases, open_world):
    world = await open_world(cluster, databases.name)
    async with world.superuser(world.PRIMARY) as connection:
        await connection.execute("ALTER SCHEMA fluxshard RENAME TO gone")
        declared = replace(world.shard_map.shards["shard_0"].primary, tls=Tls.DISABLE)
        await world.backends.adopt(with_shard(world.shard_map, primary=declared))

        with pytest.raises(PrimaryAway) as caught:
            await world.write("INSERT INTO notes (id) VALUES (1)")

    assert "was not prepared" in str(caught.value)
