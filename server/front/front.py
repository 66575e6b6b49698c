"""One HTTP exchange from end to end; `Front.respond` is the order of everything in it."""

import time
from collections.abc import Mapping
from typing import Final

from aiohttp.http import RawRequestMessage

from router import NOTHING_SEEN, Deadline, Position, Reached
from server.errors import (
    Dialect,
    Failure,
    MethodRefused,
    failure_of,
    failure_reply,
    foreseen,
)
from server.exchange import Reply, Request
from server.front.body import limits, read_body
from server.front.connection import HttpServer, Incoming, Outgoing, Upgraded
from server.front.encode import encode, http_date
from server.front.pieces import OutgoingPieces
from server.front.target import dialect_of, target
from server.front.turnstile import Turnstile
from server.lifecycle import Lifecycle
from server.middleware.cors import Cors
from server.middleware.entry import Doorkeeper
from server.middleware.request_id import RequestIds
from server.observe.facts import AnswerBroken, FactObserver, RequestAnswered, RequestCrashed
from server.positions import HEADER as POSITION
from server.positions import Positions
from server.routes import Entry, Routes
from server.settings import HttpSettings
from shardmap import ShardId

CLIENT_LEFT: Final = 499
"""The status of a request whose client did not wait for it, as nginx writes it."""

NO_ROUTE: Final = "(no route)"
MALFORMED: Final = "(malformed)"
"""Route labels of requests that have no route: their paths could be anything."""


class _Exchange:
    """What is known of one exchange so far, for whoever has to end it."""

    route = NO_ROUTE
    dialect: Dialect | None = None
    operation = ""
    role = ""
    received_bytes = 0
    code: str | None = None
    seen: Mapping[ShardId, Position] = NOTHING_SEEN
    entered: tuple[float, float] | None = None
    """When its caller came to the door, and was let in; where anybody wants to know."""

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.reached: Reached = []


class Front:
    """Turns requests into responses: what is here holds for each of them.

    `observe` hears of every request once, when its response is ready or its client has left.
    """

    def __init__(  # noqa: PLR0913 - everything that an exchange passes
        self,
        routes: Routes,
        door: Doorkeeper,
        cors: Cors,
        *,
        settings: HttpSettings,
        lifecycle: Lifecycle,
        observe: FactObserver,
        turnstile: Turnstile,
        positions: Positions | None = None,
        only: Dialect | None = None,
        trace: str = "",
        timing: bool = False,
    ) -> None:
        """`only`: the dialect of paths without a route, if there is one dialect.

        `trace`: a request header that goes back with the response. `timing`: responses say what
        took how long.
        """
        self._trace, self._timing = trace, timing
        self._turnstile = turnstile
        self._only = only
        self._positions = positions
        self._routes = routes
        self._door = door
        self._cors = cors
        self._settings = settings
        self._limits = limits(settings)
        self._lifecycle = lifecycle
        self._observe = observe
        self._request_ids = RequestIds()
        self._date = ""
        self._date_second = -1

    @property
    def _answering(self) -> tuple[Routes, Doorkeeper, Cors, str, bool]:
        return self._routes, self._door, self._cors, self._trace, self._timing

    def become(self, other: "Front") -> None:
        """Answer as the other does from the next request on: it was made of newer settings."""
        answering = other._answering  # noqa: SLF001 - of our own kind
        self._routes, self._door, self._cors, self._trace, self._timing = answering

    def http_server(self) -> HttpServer:
        """A factory of connections, for `loop.create_server`."""
        return HttpServer(
            self.respond,
            malformed=self._malformed,
            idle_timeout_s=self._settings.idle_timeout_s,
            write_timeout_s=self._settings.write_timeout_s,
        )

    async def respond(self, incoming: Incoming) -> Outgoing:
        """The response to one request. Raises nothing but cancellation."""
        begun = time.perf_counter()
        message, lifecycle = incoming.message, self._lifecycle
        exchange = _Exchange(self._request_ids.of(message.headers.get("X-Request-ID")))
        status, sent_bytes, going_on = CLIENT_LEFT, 0, False
        lifecycle.begin()
        try:
            try:
                reply = await self._answer(exchange, incoming)
                if reply.pieces is None:
                    response = self._response(exchange, incoming, reply)
                else:
                    response = await self._in_pieces(exchange, incoming, reply, begun)
                    going_on = type(response) is OutgoingPieces
            except Exception as error:  # noqa: BLE001 - the one catch-all: whatever it is, answer
                reply = self._failed(exchange, message, error)
                response = self._response(exchange, incoming, reply)
            status, sent_bytes = reply.status, response.body_bytes
            return response
        finally:
            if not going_on:
                self._ended(exchange, message, status, sent_bytes, begun)

    async def _in_pieces(
        self, exchange: _Exchange, incoming: Incoming, reply: Reply, begun: float
    ) -> Outgoing:
        """The response of a reply in pieces: the exchange goes on until the last has been sent."""
        message, pieces = incoming.message, reply.pieces
        if pieces is None:
            raise AssertionError("a reply that is whole")

        def ended(sent_bytes: int, whole: bool, failure: Exception | None) -> None:  # noqa: FBT001 - as declared
            status = reply.status if whole or failure is not None else CLIENT_LEFT
            if failure is not None:
                dialect = exchange.dialect or Dialect.NATIVE
                exchange.code = failure_of(failure, dialect, role=exchange.role).code
                self._observe(
                    AnswerBroken(exchange.route, exchange.request_id, exchange.code, sent_bytes)
                )
                if not foreseen(failure):
                    self._observe(
                        RequestCrashed(message.method, exchange.route, exchange.request_id, failure)
                    )
            self._ended(exchange, message, status, sent_bytes, begun)

        chunked = message.version >= (1, 1)
        handed_on = False
        try:
            whole = self._response(exchange, incoming, reply, closes=not chunked)
            if message.method == "HEAD":
                return whole
            handed_on = True
            return OutgoingPieces(
                whole.head, pieces, chunked=chunked, keep_alive=whole.keep_alive, ended=ended
            )
        finally:
            if not handed_on:
                await pieces.close()

    async def _answer(self, exchange: _Exchange, incoming: Incoming) -> Reply:
        message = incoming.message
        method, headers = message.method, message.headers
        preflight = self._cors.preflight(method, headers)
        if preflight is not None:
            return preflight

        path, query = target(message.path)
        try:
            match = self._routes.match(method, path)
        except MethodRefused as refused:
            if method != "OPTIONS":
                raise
            return Reply(200, headers=refused.headers)
        route = match.route
        exchange.route, exchange.dialect = route.template, route.dialect
        exchange.operation = route.operation

        deadline = Deadline.after(self._settings.request_timeout_s)
        token = headers.get(POSITION)
        if token is not None and self._positions is not None:
            exchange.seen = await self._positions.heeded(token, deadline)
        came = time.perf_counter() if self._timing else 0.0
        caller = self._door.admit(route.entry, headers, query)
        if self._timing:
            exchange.entered = (came, time.perf_counter())
        exchange.role = caller.standing
        if self._turnstile.engaged and route.entry is not Entry.OPEN:
            await self._turnstile.turn(caller.tenant or caller.role)
        body = b""
        if "Content-Length" in headers or message.chunked:
            timeout_s = min(self._settings.read_timeout_s, deadline.remaining_s())
            body = await read_body(incoming, self._limits[route.body], timeout_s)
            exchange.received_bytes = len(body)

        return await route.handler(
            Request(
                method,
                path,
                query,
                headers,
                body,
                exchange.request_id,
                deadline,
                caller,
                match.params,
                exchange.seen,
                exchange.reached,
            )
        )

    def _ended(
        self,
        exchange: _Exchange,
        message: RawRequestMessage,
        status: int,
        sent_bytes: int,
        begun: float,
    ) -> None:
        self._lifecycle.end()
        self._observe(
            RequestAnswered(
                message.method,
                exchange.route,
                status,
                time.perf_counter() - begun,
                exchange.received_bytes,
                sent_bytes,
                exchange.request_id,
                exchange.code,
            )
        )

    def _failed(self, exchange: _Exchange, message: RawRequestMessage, error: Exception) -> Reply:
        if not foreseen(error):
            self._observe(
                RequestCrashed(message.method, exchange.route, exchange.request_id, error)
            )
        dialect = exchange.dialect or self._only or dialect_of(message.path)
        failure = failure_of(error, dialect, role=exchange.role, operation=exchange.operation)
        exchange.code = failure.code
        return failure_reply(failure, dialect, exchange.request_id)

    def _response(
        self, exchange: _Exchange, incoming: Incoming, reply: Reply, *, closes: bool = False
    ) -> Outgoing:
        """The reply, encoded. A connection with an unread body behind it is not kept.

        `closes`: the end of the connection is the end of the body.
        """
        message = incoming.message
        keep_alive = reply.upgrade is not None or not (
            message.should_close
            or self._lifecycle.draining
            or not incoming.payload.is_eof()
            or closes
        )
        more_headers = self._cors.header_lines(message.headers.get("Origin"))
        if exchange.reached and self._positions is not None:
            token = self._positions.write(exchange.seen, exchange.reached)
            more_headers = f"{more_headers}{POSITION}: {token}\r\n"
        if self._timing and exchange.entered is not None:
            more_headers += _timed(*exchange.entered)
        if self._trace:
            more_headers += self._traced(message.headers.get(self._trace))
        head, body = encode(
            reply,
            minor=1 if message.version >= (1, 1) else 0,
            head=message.method == "HEAD",
            keep_alive=keep_alive,
            date=self._now(),
            request_id=exchange.request_id,
            more_headers=more_headers,
        )
        if reply.upgrade is not None:
            return Upgraded(head, reply.upgrade, self._lifecycle)
        return Outgoing(head, body, keep_alive=keep_alive)

    def _traced(self, sent: str | None) -> str:
        """The line that sends the trace header back as it came, if it did."""
        if sent is None or not (sent.isascii() and sent.isprintable()):
            return ""
        return f"{self._trace}: {sent}\r\n"

    def _malformed(self, status: int, code: str) -> tuple[bytes, bytes]:
        """The answer to bytes that are no request."""
        request_id = self._request_ids.of(None)
        failure = Failure(status, code, "Not a valid HTTP request")
        reply = failure_reply(failure, Dialect.NATIVE, request_id)
        self._observe(
            RequestAnswered(
                "-", MALFORMED, status, 0.0, 0, len(reply.body), request_id, failure.code
            )
        )
        return encode(
            reply,
            minor=1,
            head=False,
            keep_alive=False,
            date=self._now(),
            request_id=request_id,
        )

    def _now(self) -> str:
        now = time.time()
        if int(now) != self._date_second:
            self._date_second = int(now)
            self._date = http_date(now)
        return self._date


def _timed(came: float, admitted: float) -> str:
    """W3C Server Timing: milliseconds for the token, and for everything behind it."""
    token_ms, rest_ms = 1000 * (admitted - came), 1000 * (time.perf_counter() - admitted)
    return f"Server-Timing: jwt;dur={token_ms:.3f}, response;dur={rest_ms:.3f}\r\n"
