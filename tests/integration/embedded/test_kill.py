import asyncio
import os
import signal
from pathlib import Path

import pytest

from server.embedded import ClusterBusy, ServerUnreachable
from server.embedded.processes import alive

TABLE = "CREATE TABLE numbers (n int PRIMARY KEY); INSERT INTO numbers VALUES (1), (2)"
SIZE = ("--shards", "1", "--replicas", "1", "--sockets-only")

MOMENTS_OF_MAKING = [
    ".fluxshard-cluster",
    "password",
    "cluster.json",
    "data/shard_0-a.new",
    "data/shard_0-a.new/global/pg_control",
    "data/shard_0-a.new/postgresql.conf",
    "data/shard_0-a",
    "data/shard_0-a/postmaster.pid",
    "data/shard_0-b.new",
    "data/shard_0-b.new/base",
    "data/shard_0-b.new/global/pg_control",
    "data/shard_0-b",
    "data/shard_0-b/postmaster.pid",
]


async def test_each_killed_server_comes_back_with_its_data(disposable_cluster, probe):
    cluster = await disposable_cluster(replicas=1)
    await probe(cluster).run("shard_0-a", TABLE)

    for server in cluster.servers():
        killed = await cluster.kill(server.name)
        gone = cluster.server(server.name).pid
        await cluster.up()

        assert killed == server.pid
        assert gone is None
        assert cluster.server(server.name).pid not in {killed, None}
        assert (await cluster.status()).healthy
        assert await probe(cluster).agree("shard_0") == [1, 2]


async def test_all_servers_killed_at_once_come_back_with_their_data(disposable_cluster, probe):
    cluster = await disposable_cluster(replicas=1)
    await probe(cluster).run("shard_0-a", TABLE)

    for server in cluster.servers():
        os.kill(server.pid, signal.SIGKILL)
    await cluster.up()

    assert (await cluster.status()).healthy
    assert await probe(cluster).agree("shard_0") == [1, 2]


async def test_one_server_alone_can_be_started_again(disposable_cluster):
    cluster = await disposable_cluster(replicas=1)
    await cluster.kill("shard_0-b")

    await cluster.start("shard_0-b")

    assert (await cluster.status()).healthy


async def test_a_server_that_does_not_run_cannot_be_killed(disposable_cluster):
    cluster = await disposable_cluster(replicas=0)
    await cluster.stop("shard_0-a")

    with pytest.raises(ServerUnreachable):
        await cluster.kill("shard_0-a")


async def test_a_server_stopped_by_a_signal_is_continued_by_up(disposable_cluster):
    cluster = await disposable_cluster(replicas=1)
    await cluster.kill("shard_0-b", signal.SIGSTOP)

    await cluster.up()

    assert (await cluster.status()).healthy


async def test_a_server_stopped_by_a_signal_does_not_hold_up_down(disposable_cluster):
    cluster = await disposable_cluster(replicas=1)
    await cluster.kill("shard_0-b", signal.SIGSTOP)

    await cluster.down()

    assert [server.pid for server in cluster.servers()] == [None] * 4


async def test_busy_backends_of_a_killed_postmaster_do_not_block_its_restart(
    disposable_cluster, probe
):
    cluster = await disposable_cluster(replicas=0)
    ask = probe(cluster)
    async with ask.session("shard_0-a") as connection:
        backend = await connection.fetchval("SELECT pg_backend_pid()")
        os.kill(backend, signal.SIGSTOP)  # it cannot notice that its postmaster is gone
        await cluster.kill("shard_0-a")

        await cluster.up()

    assert (await cluster.status()).healthy
    assert not alive(backend)


async def test_nothing_of_killed_servers_is_left_in_shared_memory(disposable_cluster):
    cluster = await disposable_cluster(replicas=0)
    line = (cluster.server("shard_0-a").data / "postmaster.pid").read_text().splitlines()[6]
    segment = line.split()[1]

    def there() -> bool:
        table = Path("/proc/sysvipc/shm").read_text().splitlines()
        return segment in {row.split()[1] for row in table}

    before = there()
    await cluster.kill("shard_0-a")
    await cluster.destroy()

    assert before
    assert not there()


@pytest.mark.parametrize("moment", MOMENTS_OF_MAKING)
async def test_up_killed_while_it_makes_the_cluster_is_completed_by_the_next(
    disposable_cluster, fluxshard, moment
):
    cluster = await disposable_cluster(up=False, replicas=1)
    first = fluxshard("cluster", "up", "--dir", str(cluster.directory), *SIZE)

    await first.killed_when((cluster.directory / moment).exists)
    await cluster.up()

    assert (await cluster.status()).healthy
    assert sorted(path.name for path in (cluster.directory / "data").iterdir()) == [
        "catalog-a",
        "catalog-b",
        "shard_0-a",
        "shard_0-b",
    ]


@pytest.mark.parametrize(
    "moment", ["shard_0-a/postmaster.pid", "shard_0-b/postmaster.pid", "catalog-b/postmaster.pid"]
)
async def test_up_killed_while_it_starts_servers_keeps_their_data(
    disposable_cluster, probe, fluxshard, moment
):
    cluster = await disposable_cluster(replicas=1)
    await probe(cluster).run("shard_0-a", TABLE)
    await cluster.down()
    second = fluxshard("cluster", "up", "--dir", str(cluster.directory))

    await second.killed_when((cluster.directory / "data" / moment).exists)
    await cluster.up()

    assert (await cluster.status()).healthy
    assert await probe(cluster).agree("shard_0") == [1, 2]


async def test_destroy_killed_in_the_middle_leaves_no_cluster_with_holes(
    disposable_cluster, fluxshard
):
    cluster = await disposable_cluster(replicas=1)
    destroy = fluxshard("cluster", "destroy", "--yes", "--dir", str(cluster.directory))

    await destroy.killed_when(lambda: not (cluster.directory / "data").exists())
    await cluster.up()

    assert (await cluster.status()).healthy


async def test_a_second_up_is_refused_and_told_who_is_at_it(disposable_cluster, fluxshard):
    cluster = await disposable_cluster(up=False, replicas=0)
    first = fluxshard("cluster", "up", "--dir", str(cluster.directory), *SIZE)
    await asyncio.to_thread(first.process.stdout.readline)
    first.kill(signal.SIGSTOP)

    with pytest.raises(ClusterBusy) as caught:
        await cluster.up()

    assert caught.value.pid == first.process.pid
    first.kill(signal.SIGKILL)
    await first.ended()


async def test_servers_go_on_when_the_command_that_started_them_has_ended(
    disposable_cluster, probe, fluxshard
):
    cluster = await disposable_cluster(up=False)
    await fluxshard("cluster", "up", "--dir", str(cluster.directory), *SIZE).ended()

    await probe(cluster).run("shard_0-a", TABLE)

    assert await probe(cluster).agree("shard_0") == [1, 2]
