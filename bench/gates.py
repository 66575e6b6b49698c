"""The gates before the servers of a world: the limiting proxy as the world handles it."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.errors import WorldFailed
from bench.limits import ServiceTime, written
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


@asynccontextmanager
async def opened_gates(
    cluster: EmbeddedCluster, directory: Path, limit: ServiceTime, seed: int
) -> AsyncIterator[Gates]:
    """A gate before each server of each shard; the catalog has none."""
    doors = [
        {
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
        job = {"doors": doors, "limit": written(limit), "seed": seed}
        process.stdin.write(json.dumps(job).encode() + b"\n")
        if await process.stdout.readline() != b"ready\n":
            raise WorldFailed("the limiting proxy did not start")
        yield Gates(str(directory), process)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
