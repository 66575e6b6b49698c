"""Our side of aiohttp's HTTP server: requests not wrapped, responses in one write."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import http_exceptions, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.streams import StreamReader

MAX_LINE_BYTES: Final = 64 * 1024
"""Longest request line: a filter `in.(…)` of some thousand ids still fits."""

MAX_FIELD_BYTES: Final = 32 * 1024
"""Longest header field: tokens carry metadata of the application."""

MAX_HEADERS: Final = 128

JOINED_BYTES: Final = 64 * 1024
"""Up to here head and body are copied into one buffer; beyond, copying costs more than it saves."""

LINGER_S: Final = 2.0
"""How long the rest of a refused body is read and dropped, so that the client sees the answer."""

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

    __slots__ = ("_task", "message", "payload", "protocol", "writer")

    def __init__(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: "asyncio.Task[None]",
    ) -> None:
        self.message = message
        self.payload = payload
        self.protocol = protocol
        self.writer = writer
        self._task = task

    def _finish(self) -> None:
        """Called by aiohttp before the response is sent."""

    def _cancel(self, error: BaseException) -> None:
        """Called by aiohttp when the connection is lost: whoever reads the body learns of it."""
        self.payload.set_exception(error)


class Outgoing:
    """One response, encoded. `keep_alive` says whether another request may follow."""

    __slots__ = ("_body", "_head", "_protocol", "_write_timeout_s", "keep_alive")

    def __init__(
        self, head: bytes, body: bytes, *, keep_alive: bool, write_timeout_s: float
    ) -> None:
        self._head = head
        self._body = body
        self._write_timeout_s = write_timeout_s
        self._protocol: web.RequestHandler | None = None
        self.keep_alive = keep_alive

    @property
    def body_bytes(self) -> int:
        """Length of the body as sent."""
        return len(self._body)

    async def prepare(self, request: Incoming) -> None:
        """Write all of it.

        Raises:
            ConnectionResetError: The client has left.
        """
        self._protocol = request.protocol
        transport = request.protocol.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has left")
        if len(self._body) <= JOINED_BYTES:
            transport.write(self._head + self._body)
        else:
            transport.write(self._head)
            transport.write(self._body)

    async def write_eof(self) -> None:
        """Wait until a slow client has taken enough; cut it off when it does not.

        Raises:
            ConnectionResetError: The client has left, or is too slow.
        """
        protocol = self._protocol
        if protocol is None or not protocol.writing_paused:
            return
        try:
            async with asyncio.timeout(self._write_timeout_s):
                await protocol._drain_helper()  # noqa: SLF001 - what its StreamWriter.drain calls
        except TimeoutError as error:
            if protocol.transport is not None:
                protocol.transport.abort()
            raise ConnectionResetError("the client does not take its response") from error


class Connection(web.RequestHandler):
    """One connection. Differs from aiohttp's in what a client is told that speaks no HTTP."""

    __slots__ = ("_malformed", "_write_timeout_s")

    def __init__(
        self, manager: web.Server, *, malformed: Malformed, write_timeout_s: float, **options: Any
    ) -> None:
        super().__init__(manager, **options)
        self._malformed = malformed
        self._write_timeout_s = write_timeout_s

    def handle_error(  # type: ignore[override]  # the response is ours, too
        self,
        request: Incoming,  # noqa: ARG002 - aiohttp passes it
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - its texts quote the client's bytes
    ) -> Outgoing:
        """The answer to bytes that are no request, or to an error that nobody caught."""
        code = "INTERNAL_ERROR"
        for kind, its_status, its_code in _KINDS:
            if isinstance(exc, kind):
                status, code = its_status, its_code
                break
        else:
            self.log_exception("an error passed all handlers", exc_info=exc)
        head, body = self._malformed(status, code)
        return Outgoing(head, body, keep_alive=False, write_timeout_s=self._write_timeout_s)


class HttpServer(web.Server):
    """Makes a `Connection` for each client. A client that leaves cancels its handler."""

    def __init__(
        self,
        handler: Callable[[Incoming], Awaitable[Outgoing]],
        *,
        malformed: Malformed,
        idle_timeout_s: float,
        write_timeout_s: float,
    ) -> None:
        super().__init__(
            handler,  # type: ignore[arg-type]  # takes and gives our types, see Incoming
            request_factory=Incoming,  # type: ignore[arg-type]
            handler_cancellation=True,
        )
        self._options: dict[str, Any] = {
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
