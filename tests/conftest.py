"""Fixtures with real PostgreSQL servers.

cluster (session)
    An `EmbeddedCluster`: catalog, 2 shards, 2 replicas each, Unix sockets only, running. Do not
    kill, stop or promote its servers: other tests use them. Make databases of your own in it.

databases (function)
    A `TestDatabases`: one new, empty database in the catalog and in each shard of `cluster`,
    there on the replicas too, dropped after the test. `databases.name` is its name,
    `databases.endpoints` its `ClusterEndpoints` (`.catalog`, `.shards`: `shardmap.Shard`),
    `databases.environment` the environment variables that lead a server to it,
    `databases.url("shard_0-a")` an address for any client, and
    `await databases.execute(sql)` runs SQL on every primary (or on the shards named) and waits
    until the replicas have it.

fresh_databases (function)
    `await fresh_databases()` gives one more such `TestDatabases` at each call.

disposable_cluster (function)
    `await disposable_cluster(shards=1, replicas=2, …)` gives a running `EmbeddedCluster` of the
    test's own, to kill and promote as it likes; destroyed after the test. Takes the keywords of
    `ClusterSpec` but `directory`; `up=False` leaves it unmade. About 1 s for three servers.

eventually
    `await eventually(condition)` polls a condition, plain or async, until it is true, and fails
    the test after a minute. `pause_s=0` polls busily, to meet short moments.
"""

import asyncio
import fcntl
import os
import secrets
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from server.embedded import (
    ClusterEndpoints,
    ClusterSpec,
    EmbeddedCluster,
    Sockets,
)

EVENTUALLY_LIMIT_S = 60.0
CLUSTERS_BYTES = 4 * 1024**3
"""Room for the shared cluster and a few disposable ones; a container's /dev/shm has 64 MB."""


def in_thread(work: Coroutine[Any, Any, None]) -> None:
    """Run the coroutine to its end, away from the event loops of the tests."""
    failures: list[BaseException] = []

    def body() -> None:
        try:
            asyncio.run(work)
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            failures.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def _base() -> Path:
    """Where clusters of tests are: in memory if possible, at a short path in any case."""
    shm = Path("/dev/shm")
    roomy = os.access(shm, os.W_OK) and shutil.disk_usage(shm).free > CLUSTERS_BYTES
    base = (shm if roomy else Path(tempfile.gettempdir())) / f"fluxshard-tests-{os.geteuid()}"
    base.mkdir(exist_ok=True)
    base.chmod(0o711)  # the account that runs the servers has to get through
    return base


def _bury_dead_sessions(base: Path) -> None:
    """End and remove what sessions that were killed have left: their `owner` is not locked."""
    for session in base.iterdir():
        if not session.is_dir():
            continue
        with (session / "owner").open("a") as owner:
            try:
                fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            for directory in session.iterdir():
                if (directory / ".fluxshard-cluster").exists():
                    in_thread(EmbeddedCluster(ClusterSpec(directory=directory)).destroy())
            shutil.rmtree(session)


@pytest.fixture(scope="session")
def clusters_directory() -> Iterator[Path]:
    """A directory for clusters of this session, short enough for Unix sockets."""
    base = _base()
    session = base / secrets.token_hex(4)
    with (base / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # no other session takes ours for dead meanwhile
        _bury_dead_sessions(base)
        session.mkdir()
        session.chmod(0o711)
        owner = (session / "owner").open("w")
        fcntl.flock(owner, fcntl.LOCK_EX)
    with owner:
        yield session
        shutil.rmtree(session)


@pytest.fixture(scope="session")
def cluster(clusters_directory: Path) -> Iterator[EmbeddedCluster]:
    """The cluster that all tests share; see the module's docstring."""
    shared = EmbeddedCluster(ClusterSpec(directory=clusters_directory / "shared", listen=Sockets()))
    try:
        in_thread(shared.up())
        yield shared
    finally:
        in_thread(shared.destroy())


@dataclass(frozen=True, slots=True)
class TestDatabases:
    """One database in the catalog and in each shard; see the module's docstring."""

    __test__ = False

    cluster: EmbeddedCluster
    name: str

    @property
    def endpoints(self) -> ClusterEndpoints:
        return self.cluster.endpoints(self.name)

    @property
    def environment(self) -> dict[str, str]:
        return self.cluster.environment(self.name)

    def url(self, server: str) -> str:
        return self.cluster.url(server, self.name)

    async def execute(self, sql: str, *shards: str) -> None:
        """Run the SQL on the primaries of these shards (default: all, and the catalog)."""
        async with asyncio.TaskGroup() as tasks:
            for shard in self.endpoints.all:
                if not shards or shard.id in shards:
                    tasks.create_task(self._execute(sql, shard.primary.name))
        await replayed(self.cluster, *shards)

    async def _execute(self, sql: str, server: str) -> None:
        connection = await asyncpg.connect(self.url(server))
        try:
            await connection.execute(sql)
        finally:
            await connection.close()


async def poll(condition: Callable[[], bool | Awaitable[bool]], *, pause_s: float = 0.005) -> None:
    """Wait until the condition is true; see `eventually` in the module's docstring."""
    async with asyncio.timeout(EVENTUALLY_LIMIT_S):
        while True:
            answer = condition()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(pause_s)


@pytest.fixture(scope="session")
def eventually() -> Callable[..., Awaitable[None]]:
    """Wait for a condition; see the module's docstring."""
    return poll


async def replayed(cluster: EmbeddedCluster, *shards: str) -> None:
    """Wait until the replicas of these shards (default: all) have all that is committed now."""
    async with asyncio.TaskGroup() as tasks:
        for shard in cluster.endpoints("postgres").all:
            if not shards or shard.id in shards:
                tasks.create_task(_replayed(cluster, shard.primary.name))


async def _replayed(cluster: EmbeddedCluster, primary: str) -> None:
    connection = await asyncpg.connect(cluster.url(primary, "postgres"))
    try:
        lsn = await connection.fetchval("SELECT pg_current_wal_insert_lsn()")

        async def there() -> bool:
            return await connection.fetchval(
                "SELECT coalesce(bool_and(replay_lsn >= $1::pg_lsn), true)"
                " FROM pg_stat_replication",
                lsn,
            )

        await poll(there)
    finally:
        await connection.close()


@pytest_asyncio.fixture
async def fresh_databases(
    cluster: EmbeddedCluster,
) -> AsyncIterator[Callable[[], Awaitable[TestDatabases]]]:
    """Make databases for one test; see the module's docstring."""
    made: list[str] = []

    async def make() -> TestDatabases:
        name = f"test_{secrets.token_hex(6)}"
        made.append(name)
        # an empty database in memory is copied faster than logged page by page
        await TestDatabases(cluster, "postgres").execute(
            f'CREATE DATABASE "{name}" STRATEGY file_copy'
        )
        return TestDatabases(cluster, name)

    yield make
    for name in made:
        await TestDatabases(cluster, "postgres").execute(
            f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'
        )


@pytest_asyncio.fixture
async def databases(
    fresh_databases: Callable[[], Awaitable[TestDatabases]],
) -> TestDatabases:
    """The databases of one test; see the module's docstring."""
    return await fresh_databases()


@dataclass(slots=True)
class DisposableClusters:
    """Makes clusters for one test and destroys them after it."""

    directory: Path
    made: list[EmbeddedCluster] = field(default_factory=list)

    async def __call__(self, *, up: bool = True, **options: Any) -> EmbeddedCluster:
        cluster = EmbeddedCluster(
            ClusterSpec(
                directory=self.directory / secrets.token_hex(4),
                **{"shards": 1, "replicas": 2, "listen": Sockets(), **options},
            )
        )
        self.made.append(cluster)
        if up:
            await cluster.up()
        return cluster

    async def destroy(self) -> None:
        for cluster in self.made:
            if (cluster.directory / ".fluxshard-cluster").exists():
                await cluster.destroy()


@pytest_asyncio.fixture
async def disposable_cluster(clusters_directory: Path) -> AsyncIterator[DisposableClusters]:
    """Make clusters that a test may break; see the module's docstring."""
    clusters = DisposableClusters(clusters_directory)
    try:
        yield clusters
    finally:
        await clusters.destroy()
