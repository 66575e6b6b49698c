import signal
import subprocess
import sys
from pathlib import Path

import asyncpg

from server.embedded import EmbeddedCluster
from server.embedded.processes import alive


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


async def test_what_a_killed_test_session_left_is_ended_and_removed_by_the_next(
    clusters_directory, eventually
):
    base = clusters_directory.parent
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    select = ["-k", "a_disposable_cluster_can_be_broken"]
    root = Path(__file__).parents[3]
    before = set(base.iterdir())

    def session(*options: str) -> subprocess.Popen:
        return subprocess.Popen(
            [*command, *options], cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def left() -> list[Path]:
        new = set(base.iterdir()) - before
        return [path for one in new for path in one.glob("*/data/*/postmaster.pid")]

    killed = session(*select)
    await eventually(lambda: bool(left()))
    pids = [int(path.read_text().split()[0]) for path in left()]
    sessions = {path.parents[3] for path in left()}
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    following = session(*select)
    await eventually(lambda: following.poll() is not None)

    assert following.returncode == 0
    assert not any(path.exists() for path in sessions)
    assert not any(alive(pid) for pid in pids)
