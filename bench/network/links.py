"""The network as who breaks it sees it: named links, in a process of their own, changed at run time."""

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from typing import Final

from bench.errors import WorldFailed
from bench.network.conditions import CLEAR, LOST, Conditions, Link, Way
from server.parent import end_with_parent
from shardmap import Endpoint

FIRST_PORT: Final = 20_000
LAST_PORT: Final = 32_000
BOTH: Final = tuple(Way)


class Network:
    """Links by name. Each change has happened when its call returns."""

    def __init__(self, links: Iterable[Link], process: asyncio.subprocess.Process) -> None:
        self.links = {link.name: link for link in links}
        self._process = process
        self._turn = asyncio.Lock()

    @property
    def pid(self) -> int:
        """Of the process that all links are."""
        return self._process.pid

    def through(self, endpoint: Endpoint) -> Endpoint:
        """The same endpoint, reached through the link of its name."""
        return replace(endpoint, host="127.0.0.1", port=self.links[endpoint.name].port)

    async def become(self, name: str, conditions: Conditions, ways: Collection[Way] = BOTH) -> None:
        """Change a link, in one direction or both. It takes connections again, if it was cut."""
        await self._tell(
            do="become", link=name, ways=[way.value for way in ways], conditions=asdict(conditions)
        )

    async def lose(self, name: str, ways: Collection[Way] = BOTH) -> None:
        """Drop every packet: nothing arrives, nothing ends, nothing is refused."""
        await self.become(name, LOST, ways)

    async def cut(self, name: str) -> None:
        """Reset every connection, and refuse new ones."""
        await self._tell(do="cut", link=name)

    async def heal(self, *names: str) -> None:
        """Let everything pass again (of all links, when none is named)."""
        for name in names or self.links:
            await self.become(name, CLEAR)

    async def cpu_s(self) -> float:
        """CPU seconds that the links have cost so far."""
        return await self._tell(do="look")

    async def _tell(self, **command: object) -> float:
        async with self._turn:
            assert self._process.stdin is not None  # noqa: S101 - both are pipes
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            return await self.answered()

    async def answered(self) -> float:
        """Wait for the next answer."""
        assert self._process.stdout is not None  # noqa: S101 - both are pipes
        line = await self._process.stdout.readline()
        if not line:
            raise WorldFailed("the process of the network's links has ended")
        return float(json.loads(line)["cpu_s"])


@asynccontextmanager
async def open_network(links: Collection[Link]) -> AsyncIterator[Network]:
    """The links, as long as the context lasts."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.network.proxy"),
        json.dumps([asdict(link) for link in links]),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        preexec_fn=end_with_parent,
    )
    try:
        network = Network(links, process)
        await network.answered()
        yield network
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def free_ports(count: int, first: int = FIRST_PORT) -> list[int]:
    """Ports that nobody listens on, below the ephemeral ones."""
    found: list[int] = []
    for port in range(first, LAST_PORT):
        if len(found) == count:
            return found
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
    raise WorldFailed(f"no free ports from {first} to {LAST_PORT}")
