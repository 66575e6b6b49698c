"""Ways to look at, and to break, a cluster of a test's own."""

import asyncio
import contextlib
import os
import pwd
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from typing import Any

import asyncpg
import pytest

from server.embedded import EmbeddedCluster

FLUXSHARD = (sys.executable, "-c", "from server.cli import main; main()")

AS_ANOTHER_USER = """
import asyncio, concurrent.futures.thread, os, server.cli.cluster
user, group = map(int, os.environ.pop("TEST_ACCOUNT").split(":"))
os.setgroups([]); os.setgid(group); os.setuid(user)
server.cli.main()
"""
"""For a Python, or a clone, that the user could not read: everything is imported before."""


class Probe:
    """What tests ask of the servers of a cluster."""

    def __init__(
        self, cluster: EmbeddedCluster, eventually: Callable[..., Awaitable[None]]
    ) -> None:
        self.cluster = cluster
        self.eventually = eventually

    @contextlib.asynccontextmanager
    async def session(self, server: str, **options) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(self.cluster.url(server), timeout=10, **options)
        try:
            yield connection
        finally:
            connection.terminate()

    async def run(self, server: str, sql: str) -> None:
        async with self.session(server) as connection:
            await connection.execute(sql)

    async def numbers(self, server: str) -> list[int]:
        async with self.session(server) as connection:
            return [n for (n,) in await connection.fetch("SELECT n FROM numbers ORDER BY n")]

    async def agree(self, shard: str) -> list[int]:
        """The numbers on the primary, once every replica has the same."""
        declared = next(one for one in self.cluster.endpoints().all if one.id == shard)
        expected = await self.numbers(declared.primary.name)
        for replica in declared.replicas:
            await self.has(replica.name, expected)
        return expected

    async def has(self, server: str, expected: list[int]) -> None:
        """Wait until the server has these numbers."""

        async def there() -> bool:
            return await self.numbers(server) == expected

        await self.eventually(there)

    async def roles(self, shard: str) -> dict[str, str]:
        """What each running server of the shard says it is."""
        status = await self.cluster.status()
        return {
            one.server.name: str(one.role)
            for one in status.servers
            if one.server.shard == shard and one.role is not None
        }


@pytest.fixture
def probe(eventually) -> Callable[[EmbeddedCluster], Probe]:
    return partial(Probe, eventually=eventually)


class OtherProcess:
    """The `fluxshard` command in a process of its own, as another user if one is given."""

    def __init__(
        self,
        *arguments: str,
        eventually: Callable[..., Awaitable[None]],
        account: pwd.struct_passwd | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.eventually = eventually
        more = {"HOME": "/nonexistent", **(environment or {})}
        command = FLUXSHARD
        if account is not None and account.pw_uid != os.geteuid():
            command = (sys.executable, "-c", AS_ANOTHER_USER)
            more["TEST_ACCOUNT"] = f"{account.pw_uid}:{account.pw_gid}"
        self.process = subprocess.Popen(
            [*command, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env={**os.environ, **more},
            text=True,
        )

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        self.process.send_signal(number)

    async def ended(self) -> tuple[int, str]:
        """Exit status and output."""
        output, _ = await asyncio.to_thread(self.process.communicate)
        return self.process.returncode, output

    async def killed_when(self, condition: Callable[[], bool]) -> None:
        """kill -9 at that moment; the moment has to come before the command ends."""
        await self.eventually(lambda: condition() or self.process.poll() is not None, pause_s=0)
        self.kill()
        status, output = await self.ended()
        assert status == -signal.SIGKILL, output


@pytest.fixture
def fluxshard(eventually) -> Iterator[Callable[..., OtherProcess]]:
    started: list[OtherProcess] = []

    def start(*arguments: str, **options: Any) -> OtherProcess:
        started.append(OtherProcess(*arguments, eventually=eventually, **options))
        return started[-1]

    yield start
    for other in started:
        if other.process.poll() is None:
            other.kill()
        if not other.process.stdout.closed:
            other.process.communicate()


@pytest.fixture
def free_base_port() -> int:
    """The first of six ports in a row that nobody listens on."""
    for base in range(21000, 32000, 6):
        with contextlib.ExitStack() as held:
            try:
                for port in range(base, base + 6):
                    held.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return base
    pytest.fail("no six free ports in a row")
