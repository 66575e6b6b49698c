import asyncio
import json
import socket

import pytest

from server.embedded import (
    ClusterMissing,
    ForeignDirectory,
    PortInUse,
    RecordBroken,
    SocketPathTooLong,
    Sockets,
    SpecConflict,
    Tcp,
    UnknownServer,
)
from server.embedded.cluster import ClusterSpec, EmbeddedCluster
from server.embedded.processes import alive, processes

TABLE = "CREATE TABLE numbers (n int PRIMARY KEY); INSERT INTO numbers VALUES (1), (2)"


async def test_what_was_written_is_there_after_down_and_up(disposable_cluster, probe):
    cluster = await disposable_cluster(replicas=1)
    await probe(cluster).run("shard_0-a", TABLE)

    await cluster.down()
    stopped = [server.pid for server in cluster.servers()]
    await cluster.up()

    assert stopped == [None, None, None, None]
    assert await probe(cluster).agree("shard_0") == [1, 2]


async def test_every_server_is_what_the_record_says_and_replicas_stream_at_quorum(cluster):
    status = await cluster.status()

    assert status.healthy
    assert len(status.servers) == 9
    assert {one.sync_state for one in status.servers if one.server.role == "replica"} == {"quorum"}


async def test_up_on_a_running_cluster_changes_nothing(disposable_cluster):
    cluster = await disposable_cluster(replicas=1)
    before = cluster.servers()

    await cluster.up()

    assert cluster.servers() == before


async def test_shards_have_different_system_identifiers_so_no_replica_can_follow_another_shard(
    cluster, probe
):
    found = set()
    for server in ("catalog-a", "shard_0-a", "shard_1-a"):
        async with probe(cluster).session(server) as connection:
            found.add(
                await connection.fetchval("SELECT system_identifier FROM pg_control_system()")
            )

    assert len(found) == 3


async def test_no_server_runs_as_root_and_none_lets_anybody_in_without_the_password(cluster, probe):
    of_root = set(processes(0))
    async with probe(cluster).session("catalog-a") as connection:
        methods = await connection.fetch("SELECT DISTINCT auth_method FROM pg_hba_file_rules")

    assert not of_root & {server.pid for server in cluster.servers()}
    assert [tuple(row) for row in methods] == [("scram-sha-256",)]


async def test_secrets_can_be_read_by_their_owner_only(cluster):
    modes = {
        name: (cluster.directory / name).stat().st_mode & 0o777
        for name in ("cluster.json", "password", "pgpass")
    }

    assert modes == {"cluster.json": 0o600, "password": 0o600, "pgpass": 0o600}


async def test_settings_that_must_be_equal_on_primary_and_replicas_are(cluster, probe):
    found = []
    for server in ("shard_0-a", "shard_0-b", "shard_0-c"):
        async with probe(cluster).session(server) as connection:
            rows = await connection.fetch(
                "SELECT name, setting FROM pg_settings WHERE name IN"
                " ('wal_level', 'max_prepared_transactions', 'max_connections', 'TimeZone',"
                " 'hot_standby_feedback', 'full_page_writes', 'server_encoding')"
            )
        found.append(dict(rows))

    assert found[0] == found[1] == found[2]
    assert found[0]["wal_level"] == "logical"
    assert found[0]["TimeZone"] == "UTC"
    assert int(found[0]["max_prepared_transactions"]) > 0


async def test_a_cluster_grows_by_shards_and_replicas_and_keeps_its_data(disposable_cluster, probe):
    cluster = await disposable_cluster(shards=1, replicas=0)
    await probe(cluster).run("shard_0-a", TABLE)

    grown = EmbeddedCluster(ClusterSpec(directory=cluster.directory, shards=2, replicas=1))
    await grown.up()

    assert (await grown.status()).healthy
    assert [server.name for server in grown.servers()] == [
        "catalog-a",
        "catalog-b",
        "shard_0-a",
        "shard_0-b",
        "shard_1-a",
        "shard_1-b",
    ]
    assert await probe(grown).agree("shard_0") == [1, 2]
    await grown.down()


async def test_a_cluster_does_not_shrink(disposable_cluster):
    cluster = await disposable_cluster(shards=1, replicas=1)

    smaller = EmbeddedCluster(ClusterSpec(directory=cluster.directory, replicas=0))

    with pytest.raises(SpecConflict):
        await smaller.up()


async def test_a_stopped_cluster_can_be_moved_to_another_directory(disposable_cluster, probe):
    cluster = await disposable_cluster(replicas=1)
    await probe(cluster).run("shard_0-a", TABLE)
    await cluster.down()

    moved = await disposable_cluster(up=False)
    cluster.directory.rename(moved.directory)
    await moved.up()

    assert await probe(moved).agree("shard_0") == [1, 2]


async def test_over_tcp_servers_listen_on_consecutive_fixed_ports(
    disposable_cluster, probe, free_base_port
):
    cluster = await disposable_cluster(replicas=1, listen=Tcp(free_base_port))

    addresses = [(server.host, server.port) for server in cluster.servers()]

    assert addresses == [("127.0.0.1", free_base_port + n) for n in range(4)]
    await probe(cluster).run("shard_0-a", TABLE)
    assert await probe(cluster).agree("shard_0") == [1, 2]


async def test_a_port_in_use_is_named(disposable_cluster, free_base_port):
    cluster = await disposable_cluster(up=False, replicas=1, listen=Tcp(free_base_port))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_base_port + 2))
        taken.listen()

        with pytest.raises(PortInUse) as caught:
            await cluster.up()

    assert caught.value.ports == (free_base_port + 2,)
    assert not (cluster.directory / "cluster.json").exists()  # another base port may be tried


async def test_too_deep_a_directory_for_sockets_is_refused_by_name(clusters_directory):
    deep = clusters_directory / ("deep" * 20)
    cluster = EmbeddedCluster(ClusterSpec(directory=deep, listen=Sockets()))

    with pytest.raises(SocketPathTooLong):
        await cluster.up()

    await cluster.destroy()
    assert not deep.exists()


async def test_stale_files_that_name_a_process_of_another_server_do_not_block_a_start(
    disposable_cluster, cluster
):
    other_pid = str(cluster.server("shard_0-a").pid)
    broken = await disposable_cluster(replicas=0)
    server = broken.server("shard_0-a")
    pid_file = server.data / "postmaster.pid"
    socket_lock = broken.directory / "run" / f".s.PGSQL.{server.port}.lock"
    left = {path: path.read_text().splitlines() for path in (pid_file, socket_lock)}
    await broken.down()
    for path, lines in left.items():
        path.write_text("\n".join([other_pid, *lines[1:]]) + "\n")
    (broken.directory / "run" / f".s.PGSQL.{server.port}").touch()

    await broken.up()

    assert (await broken.status()).healthy
    assert str(cluster.server("shard_0-a").pid) == other_pid


@pytest.mark.parametrize("work", ["up", "down", "destroy", "status"])
async def test_a_directory_of_something_else_is_never_touched(clusters_directory, work):
    foreign = clusters_directory / f"foreign-{work}"
    foreign.mkdir()
    (foreign / "letters.txt").write_text("dear")

    with pytest.raises(ForeignDirectory):
        await getattr(EmbeddedCluster(ClusterSpec(directory=foreign)), work)()

    assert [path.name for path in foreign.iterdir()] == ["letters.txt"]


async def test_where_nothing_is_there_is_no_cluster(clusters_directory):
    cluster = EmbeddedCluster(ClusterSpec(directory=clusters_directory / "nothing"))

    with pytest.raises(ClusterMissing):
        await cluster.status()


async def test_destroy_removes_all_but_files_of_the_users_own(disposable_cluster):
    cluster = await disposable_cluster(replicas=0)
    pids = [server.pid for server in cluster.servers()]
    (cluster.directory / "notes.txt").write_text("mine")

    await cluster.destroy()

    assert [path.name for path in cluster.directory.iterdir()] == ["notes.txt"]
    assert not any(alive(pid) for pid in pids)


async def test_data_without_its_record_is_kept_and_refused(disposable_cluster):
    cluster = await disposable_cluster(replicas=0)
    await cluster.down()
    record = cluster.directory / "cluster.json"
    kept = record.read_text()
    record.unlink()

    with pytest.raises(RecordBroken):
        await cluster.up()

    record.write_text(kept)
    await cluster.up()
    assert (await cluster.status()).healthy


@pytest.mark.parametrize("content", [None, "{", '{"format": 99}'])
async def test_a_cluster_without_a_readable_record_can_be_destroyed_while_it_runs(
    disposable_cluster, content
):
    cluster = await disposable_cluster(replicas=0)
    pids = [server.pid for server in cluster.servers()]
    record = cluster.directory / "cluster.json"
    record.unlink() if content is None else record.write_text(content)

    await cluster.destroy()

    assert not cluster.directory.exists()
    assert not any(alive(pid) for pid in pids)


async def test_an_unknown_server_or_shard_is_refused_by_name(cluster):
    with pytest.raises(UnknownServer):
        await cluster.kill("shard_7-a")
    with pytest.raises(UnknownServer):
        await cluster.promote("shard_7")


async def test_endpoints_tell_where_everything_is_and_keep_the_password_in_its_file(cluster):
    declared = cluster.endpoints("postgres")

    assert declared.catalog.id == "catalog"
    assert [shard.id for shard in declared.shards] == ["shard_0", "shard_1"]
    primary = declared.shards[0].primary
    assert (primary.name, primary.database) == ("shard_0-a", "postgres")
    assert primary.credentials == f"file:{cluster.directory}/password"
    assert declared.shards[0].durability == "quorum"


async def test_the_environment_names_every_server(cluster):
    variables = cluster.environment()

    assert list(variables) == [
        "DATABASE_URL",
        "FLUXBASE_DATABASE_READ_REPLICAS",
        "FLUXBASE_DATABASE_SHARD_0",
        "FLUXBASE_DATABASE_SHARD_0_READ_REPLICAS",
        "FLUXBASE_DATABASE_SHARD_1",
        "FLUXBASE_DATABASE_SHARD_1_READ_REPLICAS",
    ]
    assert variables["FLUXBASE_DATABASE_SHARD_0_READ_REPLICAS"].count(",") == 1


async def test_the_command_brings_a_cluster_up_shows_it_and_takes_it_down(
    disposable_cluster, fluxshard
):
    cluster = await disposable_cluster(up=False)
    place = ("--dir", str(cluster.directory))

    ups = await fluxshard(
        "cluster", "up", *place, "--shards", "1", "--replicas", "1", "--sockets-only"
    ).ended()
    alive = [server.pid is not None for server in cluster.servers()]
    shown = await fluxshard("cluster", "status", *place, "--json").ended()
    killed = await fluxshard("cluster", "kill", *place, "shard_0-b").ended()
    unwell = await fluxshard("cluster", "status", *place).ended()
    promoted = await fluxshard("cluster", "promote", *place, "catalog").ended()
    downs = await fluxshard("cluster", "down", *place).ended()
    gone = await fluxshard("cluster", "destroy", *place, "--yes").ended()
    missing = await fluxshard("cluster", "status", *place).ended()

    assert ups[0] == 0, ups[1]
    assert "FLUXBASE_DATABASE_SHARD_0_READ_REPLICAS='postgresql://" in ups[1]
    assert alive == [True, True, True, True]
    assert shown[0] == 0
    assert json.loads(shown[1])["healthy"] is True
    assert killed[0] == 0
    assert unwell[0] == 3
    assert "stopped" in unwell[1]
    assert promoted[0] == 0, promoted[1]
    assert "catalog-b is the primary" in promoted[1]
    assert (downs[0], gone[0], missing[0]) == (0, 0, 4)
    assert not cluster.directory.exists()


async def test_the_command_shows_an_error_with_its_code_and_hint(clusters_directory, fluxshard):
    status, output = await fluxshard("cluster", "destroy", "--yes", "--dir", "/usr").ended()

    assert status == 1
    assert "E111" in output
    assert "Hint:" in output


async def test_cancelling_up_leaves_what_the_next_up_completes(disposable_cluster):
    cluster = await disposable_cluster(up=False, replicas=1)
    half = asyncio.Event()

    def progress(step: str) -> None:
        if "copying" in step:
            half.set()

    task = asyncio.create_task(cluster.up(progress))
    await half.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await cluster.up()

    assert (await cluster.status()).healthy
