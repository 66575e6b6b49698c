"""A whole server on a cluster of its own: how to break it, to look at it, and to mend it."""

import asyncio
import itertools
import os
import signal
import subprocess
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import asyncpg

from server.embedded import EmbeddedCluster
from shardmap import ShardMap, TenantId

ATTACKED = "shard_0"
WITHIN_S = 60
AGREEING_ANSWERS = 12
"""So many answers in a row, each over a connection of its own, come from both workers."""

LOCKED = (
    "SELECT count(*) = 1 FROM pg_locks"
    " WHERE relation = 'entries'::regclass AND mode = 'AccessExclusiveLock'"
)


@dataclass
class World:
    """The cluster, the server, and how to break and mend them."""

    cluster: EmbeddedCluster
    server: subprocess.Popen
    url: str
    log: Path
    shard_map: ShardMap

    def servers(self, shard=ATTACKED):
        """The names of the shard's servers, the primary first, as the cluster's record has them."""
        (found,) = (one for one in self.cluster.endpoints().all if one.id == shard)
        return [one.name for one in found.endpoints]

    def primary(self, shard=ATTACKED):
        return self.servers(shard)[0]

    def replicas(self, shard=ATTACKED):
        return self.servers(shard)[1:]

    def tenants(self, shard):
        """Tenants that live there."""
        return (n for n in itertools.count(1) if self.shard_map.owner(TenantId(str(n))) == shard)

    @property
    def workers(self):
        """The process ids of the server's workers."""
        return _children(self.server.pid)

    def processes(self, server, title=""):
        """The postmaster and its children, or those with this title; the postmaster first."""
        postmaster = self.cluster.server(server).pid
        found = []
        for pid in (postmaster, *_children(postmaster)):
            with suppress(FileNotFoundError, ProcessLookupError):
                if title in Path(f"/proc/{pid}/cmdline").read_text(errors="replace"):
                    found.append(pid)
        assert found, f"{server} has no process {title}"
        return found

    @contextmanager
    def frozen(self, *servers, title=""):
        """The servers' processes (or those with this title) stand still: alive, and silent."""
        pids = []
        try:
            for server in servers:
                for pid in self.processes(server, title):
                    _signal(pid, signal.SIGSTOP)
                    pids.append(pid)
            yield
        finally:
            for pid in pids:
                _signal(pid, signal.SIGCONT)

    @asynccontextmanager
    async def lagging(self, *replicas):
        """The replicas receive WAL, confirm it, and show nothing of it."""
        try:
            for replica in replicas:
                await self._execute(replica, "SELECT pg_wal_replay_pause()")
            yield
        finally:
            for replica in replicas:
                await self._execute(replica, "SELECT pg_wal_replay_resume()")

    async def crash(self, server):
        """End all processes of the server at one moment, as a machine that loses its power."""
        _, *children = self.processes(server)
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in children:
                _signal(pid, number)
        await self.cluster.kill(server)

    @asynccontextmanager
    async def superuser(self, server):
        """A session of our own on a server, beside Fluxshard's."""
        connection = await asyncpg.connect(self.cluster.url(server))
        try:
            yield connection
        finally:
            connection.terminate()

    async def until(self, condition, failure="it never came true"):
        """Poll an asynchronous condition until it is true."""
        with suppress(TimeoutError):
            async with asyncio.timeout(WITHIN_S):
                while self.server.poll() is None:
                    if await condition():
                        return
                    await asyncio.sleep(0.01)
        raise AssertionError(f"{failure}\n{self.log.read_text()[-4000:]}")

    async def sessions(self, servers, condition):
        """How many of Fluxshard's sessions on these servers are what the SQL says."""
        sql = (
            "SELECT count(*) FROM pg_stat_activity"
            f" WHERE application_name = 'fluxshard' AND {condition}"
        )
        found = 0
        for server in servers:
            async with self.superuser(server) as connection:
                found += await connection.fetchval(sql)
        return found

    async def until_sessions(self, servers, condition, count):
        """Wait until so many of Fluxshard's sessions on these servers are what the SQL says."""

        async def so_many():
            return await self.sessions(servers, condition) == count

        await self.until(so_many, f"never {count} with {condition}")

    @asynccontextmanager
    async def locked(self):
        """Nobody of shard_0 can read `entries`, on the primary and on the replicas."""
        async with self.superuser(self.primary()) as connection:
            await connection.execute("BEGIN; LOCK TABLE entries IN ACCESS EXCLUSIVE MODE")
            await self._flush()
            for replica in self.replicas():
                async with self.superuser(replica) as there:
                    await self.until(lambda there=there: there.fetchval(LOCKED))
            yield
        await self._flush()

    async def _flush(self):
        """Make replicas hear of what was not committed: its WAL would wait for other commits."""
        await self._execute(self.primary(), "SELECT pg_logical_emit_message(true, 'test', 'flush')")

    async def _execute(self, server, sql):
        async with self.superuser(server) as connection:
            await connection.execute(sql)

    async def agreed(self, http, condition, failure="the workers do not agree"):
        """Wait until every worker says of the cluster's health what the condition wants."""

        async def agree():
            for _ in range(AGREEING_ANSWERS):
                try:
                    async with http.get(f"{self.url}/health") as answer:
                        health = await answer.json()
                except aiohttp.ClientError:
                    health = None
                if health is None or not condition(health):
                    return False
            return True

        await self.until(agree, failure)

    async def mend(self, http):
        """Bring everything up, and wait until every worker uses it."""
        await self.cluster.up()
        await self.agreed(http, _well, "the server does not recover")

    async def rows(self, session):
        """What is in the session's table, by the primary itself."""
        sql = f"SELECT number, part FROM {session.table} WHERE tenant_id = $1 AND author = $2"
        async with self.superuser(self.primary(session.shard)) as connection:
            rows = await connection.fetch(sql, session.tenant, session.name)
        return sorted(map(tuple, rows))


def _children(pid):
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _signal(pid, number):
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _well(health):
    states = {
        one["state"] for shard in health["shards"].values() for one in shard["endpoints"].values()
    }
    return health["status"] == "ok" and states == {"primary", "replica"}
