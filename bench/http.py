"""An HTTP client that costs the machine little: one connection, one request in flight.

What a load generator spends, the system under test does not have: this one speaks only what our
own API answers with (`Content-Length` or chunks, keep-alive), and reads no header that is not asked
for.
"""

import asyncio
import time
from typing import Final, NamedTuple, cast

TIMEOUT_S: Final = 10.0
"""A request that has not been answered by then is an error, and its connection is closed."""

_LENGTH: Final = b"\r\ncontent-length:"


class Reply(NamedTuple):
    """A response. Status 0: the connection broke, or nothing came in time; `body` says which."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: bytes) -> str:
        """A header's value by its lower-case name, or nothing."""
        at = self.head.lower().find(b"\r\n" + name + b":")
        if at < 0:
            return ""
        begin = at + len(name) + 3
        end = self.head.find(b"\r\n", begin)
        return self.head[begin : end if end >= 0 else len(self.head)].strip().decode("latin-1")


class Connection(asyncio.Protocol):
    """One keep-alive connection, made anew when it is needed and gone."""

    def __init__(self, host: str, port: int, timeout_s: float = TIMEOUT_S) -> None:
        self._host = host
        self._port = port
        self._timeout_s = timeout_s
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._waiting: asyncio.Future[Reply] | None = None
        self._sent_at = 0.0

    async def ask(self, request: bytes) -> Reply:
        """Send a request, and wait for its response."""
        if self._transport is None or self._transport.is_closing():
            self._transport = None
            try:
                async with asyncio.timeout(self._timeout_s):
                    await self.open()
            except (OSError, TimeoutError) as error:
                return Reply(0, b"", type(error).__name__.encode())
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[Reply] = loop.create_future()
        self._waiting = waiting
        self._sent_at = time.perf_counter()
        assert self._transport is not None  # noqa: S101 - it has just been opened
        self._transport.write(request)
        return await waiting

    async def open(self) -> None:
        """Connect, if that has not been done."""
        if self._transport is None:
            await asyncio.get_running_loop().create_connection(lambda: self, self._host, self._port)

    def close(self) -> None:
        """Close it."""
        if self._transport is not None:
            self._transport.close()

    def expire(self, now: float) -> None:
        """Give up a request that is out of time; called by whoever looks after connections."""
        if self._waiting is not None and now - self._sent_at > self._timeout_s:
            self._fail(b"timeout")
            if self._transport is not None:
                self._transport.abort()
                self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is there."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop has classes of its own
        self._buffer.clear()

    def data_received(self, data: bytes) -> None:
        """Collect one response."""
        buffer = self._buffer
        if buffer or (reply := _whole(data)) is None:
            buffer += data
            reply = _whole(bytes(buffer))
            if reply is None:
                return
            buffer.clear()
        waiting, self._waiting = self._waiting, None
        if reply.status >= 300 and reply.header(b"connection").lower() == "close":
            self.close()
            self._transport = None
        if waiting is not None and not waiting.done():
            waiting.set_result(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        """A request in flight gets no answer."""
        self._transport = None
        self._fail(b"broken" if exc is None else type(exc).__name__.encode())

    def _fail(self, why: bytes) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(Reply(0, b"", why))


async def look_after(connections: list[Connection]) -> None:
    """Expire requests of these connections, for ever. One timer for all costs nothing."""
    while True:
        await asyncio.sleep(0.25)
        now = time.perf_counter()
        for connection in connections:
            connection.expire(now)


def _whole(data: bytes) -> Reply | None:
    """The response, if all of it is there."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = data[: end + 2]
    at = head.lower().find(_LENGTH)
    if at >= 0:
        length = int(head[at + len(_LENGTH) : head.find(b"\r\n", at + 2)])
        if len(data) < end + 4 + length:
            return None
        body = data[end + 4 : end + 4 + length]
    elif b"chunked" in head.lower():
        chunks = _chunks(data, end + 4)
        if chunks is None:
            return None
        body = chunks
    else:
        body = b""
    return Reply(int(data[9:12]), head, body)


def _chunks(data: bytes, at: int) -> bytes | None:
    """A chunked body from `at` on, if it is whole."""
    pieces: list[bytes] = []
    while (end := data.find(b"\r\n", at)) >= 0:
        length = int(data[at:end].split(b";")[0], 16)
        if length == 0:
            return b"".join(pieces) if data[end : end + 4] == b"\r\n\r\n" else None
        pieces.append(data[end + 2 : end + 2 + length])
        at = end + 2 + length + 2
        if at > len(data):
            return None
    return None
