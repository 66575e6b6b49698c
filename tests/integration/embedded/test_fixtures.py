import asyncpg

from server.embedded import EmbeddedCluster


async def test_a_test_has_databases_of_its_own_on_every_server(databases):
    await databases.execute("CREATE TABLE seen (n int); INSERT INTO seen VALUES (7)")

    for shard in databases.endpoints.all:
        for endpoint in shard.endpoints:
            connection = await asyncpg.connect(databases.url(endpoint.name))
            assert await connection.fetchval("SELECT n FROM seen") == 7
            await connection.close()


async def test_databases_made_twice_are_different_ones(fresh_databases):
    first, second = await fresh_databases(), await fresh_databases()

    await first.execute("CREATE TABLE only_here ()")

    await second.execute("CREATE TABLE only_here ()")


async def test_a_disposable_cluster_can_be_broken(disposable_cluster):
    cluster: EmbeddedCluster = await disposable_cluster(replicas=0)

    await cluster.kill("shard_0-a")

    assert cluster.server("shard_0-a").pid is None
