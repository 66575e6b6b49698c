"""GET /api/v1/sql/transaction: one transaction, told one statement after the other over a WebSocket.

The socket holds at most one connection to one shard. Whatever ends it, what is not committed is
rolled back.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson

from router import (
    CommitUnknown,
    Deadline,
    InteractiveTransaction,
    QueryContext,
    Reached,
    RouterError,
    TransactionOptions,
)
from server.errors import Dialect, ServerError, failure_of
from server.exchange import Reply, Request, Socket, SocketClosed
from server.front.websocket import handshake
from server.rest import exact_json
from server.settings import SqlSettings
from server.sql.answering import Answering
from server.sql.errors import SqlMalformed, TransactionsFull
from server.sql.question import (
    Layout,
    check_keys,
    isolation_of,
    json_object,
    layout_of,
    question_of,
    truth,
)

IDLE: Final = 4000
LIFETIME: Final = 4001
"""Codes of closing, of the range that applications have for themselves (RFC 6455, 7.4.2)."""
DONE: Final = 1000

COMMIT_S: Final = 10.0
"""A COMMIT may take so long, also at the end of the lifetime."""

_QUERY_KEYS: Final = frozenset({"isolation", "read_only", "format", "token"})
_STATEMENT_KEYS: Final = frozenset(
    {"id", "sql", "statement", "query", "params", "parameters", "format"}
)
_ENDING_KEYS: Final = frozenset({"id", "commit", "rollback"})

Begin = Callable[[QueryContext, TransactionOptions], InteractiveTransaction]


@dataclass(frozen=True, slots=True)
class _Way:
    """How one socket's transaction is begun and answered."""

    context: QueryContext
    options: TransactionOptions
    layout: Layout


@dataclass(frozen=True, slots=True)
class SqlLimits:
    """How many sockets a worker may have, the time of one statement, and of an answer in pieces."""

    most: int
    request_timeout_s: float
    stream_s: float


class TransactionSockets:
    """Accepts sockets, as many at a time as the settings allow."""

    def __init__(
        self,
        answering: Answering,
        begin: Begin,
        settings: SqlSettings,
        limits: SqlLimits,
        position: Callable[[Reached], str] | None,
    ) -> None:
        self._position = position
        self._answering = answering
        self._begin = begin
        self._settings = settings
        self._limits = limits
        self._open = 0

    def accept(self, request: Request, context: QueryContext) -> Reply:
        """The upgrade of a request to a socket.

        Raises:
            RequestMalformed: It asks for no WebSocket.
            SqlMalformed: Its query is not understood.
            TransactionsFull: There are too many at the moment.
        """
        headers = handshake(request.headers)
        way = self._way(request, context)
        if self._open >= self._limits.most:
            raise TransactionsFull(self._limits.most)

        async def talk(socket: Socket) -> None:
            self._open += 1
            try:
                await self._serve(socket, way)
            finally:
                self._open -= 1

        return Reply(101, headers=headers, upgrade=talk)

    def _way(self, request: Request, context: QueryContext) -> _Way:
        form: dict[str, Any] = dict(parse_qsl(request.query, keep_blank_values=True))
        check_keys(form, _QUERY_KEYS)
        words = {"true": True, "false": False}
        if "read_only" in form:
            form["read_only"] = words.get(form["read_only"], form["read_only"])
        read_only = context.read_only or truth(form, "read_only")
        lifetime = Deadline.after(self._settings.lifetime_s)
        return _Way(
            context=context._replace(deadline=lifetime, read_only=read_only, reached=[]),
            options=TransactionOptions(isolation_of(form), read_only=read_only),
            layout=layout_of(form),
        )

    async def _serve(self, socket: Socket, way: _Way) -> None:
        transaction = self._begin(way.context, way.options)
        try:
            await self._talk(socket, way, transaction)
        except SocketClosed:
            pass  # what is not committed is rolled back
        finally:
            transaction.leave()

    async def _talk(self, socket: Socket, way: _Way, transaction: InteractiveTransaction) -> None:
        lifetime = way.context.deadline
        ended = False
        while not ended:
            left_s = lifetime.remaining_s()
            try:
                text = await socket.receive(min(left_s, self._settings.idle_s))
            except TimeoutError:
                transaction.leave()
                if lifetime.remaining_s() <= 0:
                    await socket.close(LIFETIME, "the transaction's time ran out")
                else:
                    await socket.close(IDLE, "no statement came in time")
                return
            answer, ended = await self._answer(text, way, transaction)
            await socket.send(answer)
        transaction.leave()
        await socket.close(DONE, "")

    async def _answer(
        self, text: str, way: _Way, transaction: InteractiveTransaction
    ) -> tuple[str, bool]:
        """The answer to a message, and whether the transaction has ended with it."""
        identity: Any = None
        ending: str | None = None
        try:
            form = json_object(text)
            identity = form.get("id")
            ending = _ending(form)
            if ending == "commit":
                await transaction.commit(Deadline.after(COMMIT_S))
            elif ending == "rollback":
                transaction.leave()
            else:
                body = await self._ran(form, way, transaction)
                return _text(identity, "open", body[1:-1]), False
        except (RouterError, ServerError) as error:
            return _failed(identity, error, way.context.role, transaction), ending is not None
        if ending == "rollback":
            return _text(identity, "rolled back"), True
        reached, position = way.context.reached, ""
        if reached and self._position is not None:
            position = f'"position":"{self._position(reached)}"'
        return _text(identity, "committed", position), True

    async def _ran(
        self, form: dict[str, Any], way: _Way, transaction: InteractiveTransaction
    ) -> str:
        check_keys(form, _STATEMENT_KEYS)
        layout = layout_of(form) if "format" in form else way.layout
        until = min(way.context.deadline, Deadline.after(self._limits.request_timeout_s))
        asking = way.context._replace(deadline=until)
        statement, shape = await self._answering.prepared(question_of(form), asking, layout)
        result = await transaction.run(statement, until)
        return self._answering.text(result, shape, layout)


def _ending(form: dict[str, Any]) -> str | None:
    """`commit` or `rollback`, if the message is one of those.

    Raises:
        SqlMalformed: It is both, or something else besides.
    """
    if "commit" not in form and "rollback" not in form:
        return None
    check_keys(form, _ENDING_KEYS)
    commit, rollback = truth(form, "commit"), truth(form, "rollback")
    if commit == rollback:
        raise SqlMalformed('The end is either "commit": true or "rollback": true')
    return "commit" if commit else "rollback"


def _text(identity: Any, state: str, members: str = "") -> str:
    parts = [] if identity is None else [f'"id":{exact_json.dumps(identity)}']
    parts.append(f'"transaction":"{state}"')
    if members:
        parts.append(members)
    return f"{{{','.join(parts)}}}"


def _failed(
    identity: Any,
    error: RouterError | ServerError,
    role: str,
    transaction: InteractiveTransaction,
) -> str:
    failure = failure_of(error, Dialect.NATIVE, role=role)
    told: dict[str, Any] = {
        "status": failure.status,
        "code": failure.code,
        "message": failure.message,
    }
    if failure.hint is not None:
        told["hint"] = failure.hint
    if failure.details is not None:
        told["details"] = failure.details
    state = "failed" if transaction.over else "open"
    if isinstance(error, CommitUnknown):
        state = "unknown"
    return _text(identity, state, f'"error":{orjson.dumps(told).decode()}')
