"""The proxy that limits servers: one process before all of them, one capacity for each.

Requests wait for their turn, answers are held back until it is over; see `bench.limits`. Run as
a program it reads its doors as one JSON line from standard input, prints `ready`, and serves until
standard input ends. (How a network is that fails or is slow: `bench.network`.)
"""

import asyncio
import json
import os
import sys
import time
from collections import deque
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import uvloop

from bench.limits import Capacity, ServiceTime, read_limit
from bench.messages import Requests


@dataclass(frozen=True, slots=True)
class Door:
    """Where the proxy listens for a server, and where the server is (paths of Unix sockets)."""

    listen: str
    server: str


class Way:
    """Bytes in one direction: each piece leaves at a time of its own, in order."""

    def __init__(self) -> None:
        self._pieces: deque[tuple[float, bytes]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self.to: asyncio.Transport | None = None
        self._last = 0.0

    def send(self, data: bytes, at: float) -> None:
        """Let these bytes leave at this time, or after those before them."""
        at = self._last = max(self._last, at)
        if not self._pieces and self.to is not None and at <= time.perf_counter():
            self.to.write(data)
            return
        self._pieces.append((at, data))
        if self._timer is None:
            self._timer = self._loop.call_later(max(0.0, at - time.perf_counter()), self._due)

    def close(self) -> None:
        """Close where it leads, when everything has left."""
        if self._pieces:
            self._loop.call_later(max(0.0, self._last - time.perf_counter()) + 0.005, self.close)
        elif self.to is not None:
            self.to.close()

    def opened(self, to: asyncio.Transport) -> None:
        """Now there is where it leads to."""
        self.to = to
        if self._timer is None and self._pieces:
            self._due()

    def _due(self) -> None:
        self._timer = None
        if self.to is None:
            return
        pieces, now = self._pieces, time.perf_counter() + 0.0003
        if self.to.is_closing():  # the receiver has gone while it was on its way
            pieces.clear()
        while pieces and pieces[0][0] <= now:
            self.to.write(pieces.popleft()[1])
        if pieces:
            self._timer = self._loop.call_later(max(0.0, pieces[0][0] - now), self._due)


class ClientSide(asyncio.Protocol):
    """A connection from the system under test."""

    def __init__(self, door: Door, capacity: Capacity) -> None:
        self._door = door
        self._capacity = capacity
        self._requests = Requests()
        self._in = Way()
        self._out = Way()
        self._hold_until = 0.0
        self._opening: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connect to the server as well."""
        self._out.opened(cast("asyncio.Transport", transport))
        self._opening = asyncio.ensure_future(self._open())

    async def _open(self) -> None:
        try:
            transport, _ = await asyncio.get_running_loop().create_unix_connection(
                lambda: ServerSide(self), self._door.server
            )
        except OSError:
            self._out.close()
            return
        self._in.opened(transport)

    def data_received(self, data: bytes) -> None:
        """Give each request its turn."""
        now = time.perf_counter()
        for cut in self._requests.feed(data):
            if cut.counted:
                turn = self._capacity.turn(now)
                self._hold_until = turn.end
                self._in.send(cut.data, turn.begin)
            else:
                self._in.send(cut.data, now)

    def answered(self, data: bytes) -> None:
        """The server's bytes, held until the turn is over."""
        self._out.send(data, max(time.perf_counter(), self._hold_until))

    def server_left(self) -> None:
        """The server has closed."""
        self._out.close()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The client has left."""
        if self._opening is not None and not self._opening.done():
            self._opening.cancel()
        self._in.close()


class ServerSide(asyncio.Protocol):
    """The connection to the server that belongs to one from a client."""

    def __init__(self, client: ClientSide) -> None:
        self._client = client

    def data_received(self, data: bytes) -> None:
        """Pass it on."""
        self._client.answered(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Tell the client's side."""
        self._client.server_left()


async def main() -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    job = json.loads(await reader.readline())
    limit = read_limit(job["limit"])
    if not isinstance(limit, ServiceTime):
        raise SystemExit("only a service time is kept by a proxy")
    for number, given in enumerate(job["doors"]):
        door = Door(**given)
        capacity = Capacity(limit, job["seed"] + number)
        Path(door.listen).parent.mkdir(parents=True, exist_ok=True)
        await loop.create_unix_server(partial(ClientSide, door, capacity), door.listen)
        os.chmod(door.listen, 0o777)  # noqa: PTH101, S103 - as PostgreSQL's own socket
    print("ready", flush=True)
    await reader.read()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
