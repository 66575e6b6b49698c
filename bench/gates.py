"""The gates before the servers of a world: the limiting proxy as the world handles it."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bench.errors import WorldFailed
from bench.limits import Limit, ServiceTime, Unlimited, written
from server.embedded import EmbeddedCluster
from shardmap import CATALOG


class Gates:
    """The running proxy; `host` is the directory of its sockets, numbered as the servers' own."""

    def __init__(self, host: str, process: asyncio.subprocess.Process) -> None:
        self.host = host
        self._process = process

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    async def order(self, server: str, **order: Any) -> None:
        """Change the network before a server: `latency_ms`, `cut`; see `bench.throttle`."""
        assert self._process.stdin is not None  # noqa: S101 - a pipe
        self._process.stdin.write(json.dumps({"name": server, **order}).encode() + b"\n")
        await self._process.stdin.drain()


@asynccontextmanager
async def opened_gates(
    cluster: EmbeddedCluster, directory: Path, limit: Limit, seed: int
) -> AsyncIterator[Gates]:
    """A gate before each server of each shard; the catalog has none."""
    doors = [
        {
            "name": server.name,
            "listen": str(directory / f".s.PGSQL.{server.port}"),
            "server": f"{server.host}/.s.PGSQL.{server.port}",
        }
        for server in cluster.servers()
        if server.shard != CATALOG
    ]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.throttle"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None  # noqa: S101 - pipes
    assert process.stdout is not None  # noqa: S101 - pipes
    try:
        text = written(limit if isinstance(limit, ServiceTime) else Unlimited())
        process.stdin.write(
            json.dumps({"doors": doors, "limit": text, "seed": seed}).encode() + b"\n"
        )
        if await process.stdout.readline() != b"ready\n":
            raise WorldFailed("the limiting proxy did not start")
        yield Gates(str(directory), process)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
