"""Our side of aiohttp's HTTP server: no task and no object per request, responses in one write."""

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import http_exceptions, web
from aiohttp.http import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import ERROR

from server.exchange import Talk
from server.front.websocket import WebSocket
from server.lifecycle import Lifecycle

MAX_LINE_BYTES: Final = 64 * 1024
"""Longest request line: a filter `in.(…)` of some thousand ids still fits."""

MAX_FIELD_BYTES: Final = 32 * 1024
"""Longest header field: tokens carry metadata of the application."""

MAX_HEADERS: Final = 128

JOINED_BYTES: Final = 64 * 1024
"""Up to here head and body are copied into one buffer; beyond, copying costs more than it saves."""

LINGER_S: Final = 2.0
"""How long the rest of a refused body is read and dropped, so that the client sees the answer."""

RESET: Final = struct.pack("ii", 1, 0)
"""`struct linger`: closing drops what was not sent, and tells the other side so."""

_KINDS: Final = (
    (http_exceptions.LineTooLong, 431, "REQUEST_TOO_LONG"),
    (http_exceptions.ContentEncodingError, 415, "ENCODING_UNSUPPORTED"),
    (http_exceptions.HttpProcessingError, 400, "REQUEST_MALFORMED"),
)

Malformed = Callable[[int, str], tuple[bytes, bytes]]
"""Head and body of the answer with that status and code."""


class Incoming:
    """One request as aiohttp parsed it.

    Stands where aiohttp's own request would: that one costs 2 us to make and is not needed.
    """

    __slots__ = ("message", "payload", "protocol")

    def __init__(
        self, message: RawRequestMessage, payload: StreamReader, protocol: "Connection"
    ) -> None:
        self.message = message
        self.payload = payload
        self.protocol = protocol

    def _finish(self) -> None:
        """Called by aiohttp before a response is sent that declines an upgrade."""

    def _cancel(self, error: BaseException) -> None:
        """Called by aiohttp when the connection is lost: whoever reads the body learns of it."""
        self.payload.set_exception(error)


class Outgoing:
    """One response, encoded. `keep_alive` says whether another request may follow."""

    __slots__ = ("_body", "head", "keep_alive")

    def __init__(self, head: bytes, body: bytes, *, keep_alive: bool) -> None:
        self.head = head
        self._body = body
        self.keep_alive = keep_alive

    @property
    def body_bytes(self) -> int:
        """Length of the body as sent."""
        return len(self._body)

    def write(self, connection: "Connection") -> None:
        """Write all of it.

        Raises:
            ConnectionResetError: The client has left.
        """
        transport = connection.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has left")
        if len(self._body) <= JOINED_BYTES:
            transport.write(self.head + self._body)
        else:
            transport.write(self.head)
            transport.write(self._body)

    async def prepare(self, request: Incoming) -> None:
        """The same, for aiohttp.

        Raises:
            ConnectionResetError: The client has left, or is too slow.
        """
        self.write(request.protocol)
        await request.protocol.taken()

    async def write_eof(self) -> None:
        """Nothing is left to be written."""


class Upgraded(Outgoing):
    """The acceptance of a WebSocket, and what is said on it. It counts as a request in flight."""

    __slots__ = ("_lifecycle", "_talk")

    def __init__(self, head: bytes, talk: Talk, lifecycle: Lifecycle) -> None:
        super().__init__(head, b"", keep_alive=False)
        self._talk = talk
        self._lifecycle = lifecycle

    async def prepare(self, request: Incoming) -> None:  # noqa: ARG002 - as the others have it
        """Called when aiohttp saw no upgrade where the handler did.

        Raises:
            ConnectionResetError: Always: the two sides would not speak of the same.
        """
        raise ConnectionResetError("the request asks for no upgrade")

    async def run(self, socket: WebSocket) -> None:
        """Talk until one of both sides has said all."""
        self._lifecycle.begin()
        try:
            await self._talk(socket)
        finally:
            self._lifecycle.end()


Handler = Callable[[Incoming], Awaitable[Outgoing]]


class Connection(web.RequestHandler):
    """One connection of aiohttp's server, whose requests are answered in its own task.

    aiohttp makes a task, a writer and a request object for each request: together a fifth of what
    a small one costs. What clients can do to a connection, and the server at its end, is as there.
    """

    __slots__ = ("_answer", "_malformed", "_socket", "_write_timeout_s")

    def __init__(
        self,
        manager: web.Server,
        *,
        answer: Handler,
        malformed: Malformed,
        write_timeout_s: float,
        **options: Any,
    ) -> None:
        super().__init__(manager, **options)
        self._answer = answer
        self._malformed = malformed
        self._write_timeout_s = write_timeout_s
        self._socket: WebSocket | None = None

    def close(self) -> None:
        """Take no more requests, and no more messages; what is being answered is answered."""
        super().close()
        if self._socket is not None:
            self._socket.go_away()

    async def start(self) -> None:
        """Answer one request after the other, until one of both sides ends the connection."""
        try:
            while not self._force_close and await self._next():
                pass
        except asyncio.CancelledError:
            self.force_close()
            raise
        except Exception as error:  # noqa: BLE001 - of this connection; the others go on
            self.log_exception("a connection failed", exc_info=error)
            self.force_close()
        if not self._force_close:
            self._task_handler = None
            if self.transport is not None:
                self.transport.close()

    async def _next(self) -> bool:
        """Wait for a request and answer it; whether another one may follow."""
        if not self._messages:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        message, payload = self._messages.popleft()
        if self._parser is not None:
            self._parser.message_consumed()
        if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
            self._resume_reading_if_drained()
        if isinstance(message, RawRequestMessage):
            request, error = Incoming(message, payload, self), None
        else:  # bytes that are no request
            request, error = Incoming(ERROR, payload, self), message.exc
        self._request_in_progress = True
        self._current_request = request  # type: ignore[assignment]  # ours has what is called
        try:
            outgoing = await self._answered(request) if error is None else self._no_request(error)
            self._current_request = None
            await self._send(request, outgoing)
        except ConnectionError:
            return False
        finally:
            self._current_request = None
            self._request_in_progress = False
            if self._handler_waiter is not None:
                self._handler_waiter.set_result(None)
        self._keepalive = outgoing.keep_alive
        if payload is not EMPTY_PAYLOAD:
            await self._leave_body(payload)
        if not self._keepalive or self._close or self._force_close:
            return False
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if self._keepalive_handle is None:
            self._keepalive_handle = self._loop.call_at(
                self._next_keepalive_close_time, self._process_keepalive
            )
        return True

    async def _answered(self, request: Incoming) -> Outgoing:
        try:
            return await self._answer(request)
        except Exception as error:  # noqa: BLE001 - the front catches all; but it could be wrong
            return self._no_request(error)

    async def _send(self, request: Incoming, outgoing: Outgoing) -> None:
        if self._upgraded and isinstance(outgoing, Upgraded):
            await self._talk(outgoing)
        elif self._upgraded:  # declined: aiohttp parses what came behind the request
            _, lost = await self.finish_response(request, outgoing, None)  # type: ignore[arg-type]
            if lost:
                raise ConnectionResetError("the client has left")
        elif type(outgoing) is Outgoing:
            outgoing.write(self)
            if self.writing_paused:
                await self.taken()
        else:
            await outgoing.prepare(request)

    def put(self, *parts: bytes) -> None:
        """Write parts of a response.

        Raises:
            ConnectionResetError: The client has left.
        """
        transport = self.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has left")
        transport.writelines(parts)

    def break_off(self) -> None:
        """End the connection in the middle of a response, so that nobody takes it for whole.

        With a reset where there is one: the end of the connection is how a response to HTTP/1.0
        ends well.
        """
        transport = self.transport
        if transport is None:
            return
        descriptor = transport.get_extra_info("socket")
        if descriptor is not None and descriptor.family in {socket.AF_INET, socket.AF_INET6}:
            with socket.socket(fileno=os.dup(descriptor.fileno())) as same:
                same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        transport.abort()

    async def _talk(self, upgraded: Upgraded) -> None:
        upgraded.write(self)
        self._socket = WebSocket(self, self._write_timeout_s)
        try:
            await upgraded.run(self._socket)
        finally:
            self._socket = None

    async def taken(self) -> None:
        """Wait until a slow client has taken enough; cut it off when it does not.

        Raises:
            ConnectionResetError: The client has left, or is too slow.
        """
        if not self.writing_paused:
            return
        try:
            async with asyncio.timeout(self._write_timeout_s):
                await self._drain_helper()  # what aiohttp's StreamWriter.drain calls
        except TimeoutError as error:
            if self.transport is not None:
                self.transport.abort()
            raise ConnectionResetError("the client does not take its response") from error

    async def _leave_body(self, payload: StreamReader) -> None:
        """Drop the rest of a body that nobody read, so that the client sees the answer."""
        try:
            async with asyncio.timeout(LINGER_S):
                while not payload.is_eof() and not self._force_close:
                    await payload.readany()
        except TimeoutError:
            self.close()
        payload.set_exception(web.PayloadAccessError())

    def _no_request(self, error: BaseException | None) -> Outgoing:
        """The answer to bytes that are no request, or to an error that nobody caught."""
        code, status = "INTERNAL_ERROR", 500
        for kind, its_status, its_code in _KINDS:
            if isinstance(error, kind):
                status, code = its_status, its_code
                break
        else:
            self.log_exception("an error passed all handlers", exc_info=error)
        head, body = self._malformed(status, code)
        return Outgoing(head, body, keep_alive=False)


class HttpServer(web.Server):
    """Makes a `Connection` for each client. A client that leaves cancels its handler."""

    def __init__(
        self,
        answer: Handler,
        *,
        malformed: Malformed,
        idle_timeout_s: float,
        write_timeout_s: float,
    ) -> None:
        super().__init__(answer, handler_cancellation=True)  # type: ignore[arg-type]  # our types
        self._options: dict[str, Any] = {
            "answer": answer,
            "malformed": malformed,
            "write_timeout_s": write_timeout_s,
            "keepalive_timeout": idle_timeout_s,
            "access_log": None,
            "lingering_time": LINGER_S,
            "max_line_size": MAX_LINE_BYTES,
            "max_field_size": MAX_FIELD_BYTES,
            "max_headers": MAX_HEADERS,
        }

    def __call__(self) -> web.RequestHandler:
        """A protocol for a new connection."""
        return Connection(self, loop=asyncio.get_running_loop(), **self._options)
