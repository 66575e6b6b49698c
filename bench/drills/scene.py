"""One shard under attack: its servers, and everything that can be done to them."""

import asyncio
import os
import re
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import aiohttp
import asyncpg

from bench.drills.notes import LOOK_EVERY_S, PROGRESS_WITHIN_S
from bench.errors import WorldFailed
from bench.network import Network
from bench.world import World
from shardmap import Durability

AGREEING: Final = 6
"""So many answers in a row, each over a new connection: of every worker of an instance."""
_PORT: Final = re.compile(r"port='?\d+'?")


@dataclass(frozen=True, slots=True)
class Scene:
    """A shard of a world, and the network before its servers."""

    world: World
    network: Network
    shard: str

    @property
    def primary(self) -> str:
        """The name of its primary, as the cluster's record has it."""
        return self.world.servers(self.shard)[0]

    @property
    def replicas(self) -> list[str]:
        """The names of its replicas."""
        return self.world.servers(self.shard)[1:]

    @property
    def durable(self) -> bool:
        """Whether the shard promises to lose nothing that it acknowledged."""
        (found,) = (one for one in self.world.shard_map.shards.values() if one.id == self.shard)
        return found.durability is Durability.QUORUM

    async def crash(self, server: str) -> None:
        """End all processes of a server at one moment, as a machine that loses its power."""
        _, *children = self._processes(server)
        for number in (signal.SIGSTOP, signal.SIGKILL):
            _send(children, number)
        await self.world.cluster.kill(server)

    def freeze(self, server: str) -> None:
        """Let all processes of a server stand still: alive, connected, and silent."""
        _send(self._processes(server), signal.SIGSTOP)

    def thaw(self, server: str) -> None:
        """Let them go on."""
        _send(self._processes(server), signal.SIGCONT)

    async def promote_beside(self) -> str:
        """Promote a replica while the old primary lives on; the replica's name.

        As a failover manager does that has lost sight of the primary: first every replica leaves
        it, so that none confirms its commits any more, then the one that has most is promoted, and
        the others follow that one.
        """
        sources = {replica: await self._leave_primary(replica) for replica in self.replicas}
        positions = {replica: await self._received(replica) for replica in sources}
        heir = max(positions, key=lambda name: positions[name])
        port = f"port={self.world.cluster.server(heir).port}"
        for replica, source in sources.items():
            if replica != heir:
                await self._follow(replica, _PORT.sub(port, source))
        async with self.world.superuser(heir) as connection:
            await connection.fetchval("SELECT pg_promote(true, 60)")
        return heir

    async def demote(self, old: str) -> None:
        """End an old primary that lives beside a new one, and let it come back as a replica."""
        await self.crash(old)
        for server in self.replicas:  # by the record, which does not know of the new primary yet
            async with self.world.superuser(server) as connection:
                await connection.execute("ALTER SYSTEM RESET primary_conninfo")
        await self.world.cluster.up()

    async def whole(self) -> None:
        """Wait until every instance says that every endpoint of every shard has its part.

        Raises:
            WorldFailed: They do not.
        """
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(force_close=True)
        ) as session:
            for instance in self.world.instances:
                await _until(
                    partial(_agreed, session, instance.url),
                    f"{instance.url} does not find its shards whole",
                )

    async def ids(self, authors: list[str]) -> list[str]:
        """The ids of all rows of these authors, by the primary itself."""
        async with self.world.superuser(self.primary) as connection:
            rows = await connection.fetch(
                "SELECT id FROM entries WHERE author = ANY($1::text[])", authors
            )
        return [row["id"] for row in rows]

    async def _leave_primary(self, replica: str) -> str:
        """Let a replica stream from nobody; from whom it did, as it says it itself."""
        async with self.world.superuser(replica) as connection:
            source: str = await connection.fetchval("SHOW primary_conninfo")
        await self._follow(replica, "")
        async with self.world.superuser(replica) as connection:
            await _until(
                lambda: _streams_from_nobody(connection), f"{replica} does not leave its primary"
            )
        return source

    async def _follow(self, replica: str, source: str) -> None:
        """Let a replica stream from another server."""
        async with self.world.superuser(replica) as connection:
            quoted = await connection.fetchval("SELECT quote_literal($1::text)", source)
            await connection.execute(f"ALTER SYSTEM SET primary_conninfo = {quoted}")
            await connection.execute("SELECT pg_reload_conf()")

    async def _received(self, replica: str) -> int:
        async with self.world.superuser(replica) as connection:
            lsn = await connection.fetchval(
                "SELECT greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0'"
            )
        return int(lsn)

    def _processes(self, server: str) -> list[int]:
        """The postmaster, and its children."""
        postmaster = self.world.cluster.server(server).pid
        if postmaster is None:
            raise WorldFailed(f"{server} does not run")
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        return [postmaster, *map(int, children)]


def _send(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


async def _streams_from_nobody(connection: "asyncpg.Connection[asyncpg.Record]") -> bool:
    return bool(await connection.fetchval("SELECT count(*) = 0 FROM pg_stat_wal_receiver"))


async def _agreed(session: aiohttp.ClientSession, url: str) -> bool:
    for _ in range(AGREEING):
        try:
            async with session.get(f"{url}/health") as answer:
                health = await answer.json()
        except aiohttp.ClientError:
            return False
        states = {
            one["state"]
            for shard in health["shards"].values()
            for one in shard["endpoints"].values()
        }
        if health["status"] != "ok" or not states <= {"primary", "replica"}:
            return False
    return True


async def _until(condition: Callable[[], Coroutine[None, None, bool]], failure: str) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(PROGRESS_WITHIN_S):
            while not await condition():
                await asyncio.sleep(LOOK_EVERY_S)
            return
    raise WorldFailed(failure)
