"""`Idempotency-Key`: a write that is sent twice is done once, and answered the same both times.

The handler runs with a router whose writes stay open; its reply is kept by the transaction that
commits them (`Router.once`). Requests without the header never come here.
"""

import hashlib
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from dataclasses import replace
from functools import wraps
from typing import Any, Final

import orjson

from router import (
    Description,
    InteractiveTransaction,
    Outcome,
    PlanOptions,
    QueryContext,
    Result,
    Router,
    RouterError,
    ServerPlan,
    Statement,
    Stream,
    TransactionOptions,
    WriteKey,
)
from server.errors import ServerError, failure_of, failure_reply
from server.exchange import Principal, Reply, Request
from server.routes import Handler, Route

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = (("Idempotency-Replayed", "true"),)
METHODS: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
MAX_KEY_CHARS: Final = 256
MAX_BODY_BYTES: Final = 64 * 1024
"""Of a longer body only status and headers are kept."""

_TRANSIENT: Final = frozenset({401, 408, 425, 429})
"""Statuses that say nothing of the request itself: it is done again."""
_OF_TARGET: Final = ("Content-Profile",)
"""Headers that say which table is meant."""

_router: ContextVar[Router] = ContextVar("router of the key")


class IdempotencyKeyTooLong(ServerError):
    """The key has more characters than are kept."""

    status = 400
    code = "IDEMPOTENCY_KEY_TOO_LONG"
    postgrest_code = "IDEMPOTENCY_KEY_TOO_LONG"

    def __init__(self) -> None:
        super().__init__(f"An {HEADER} has at most {MAX_KEY_CHARS} characters")


class KeyedRouter:
    """The router of the request's key, for handlers that are made once."""

    async def answer(self, statement: Statement, context: QueryContext) -> Result:
        """The statement's result."""
        return await _router.get().answer(statement, context)

    async def stream(
        self, statement: Statement, context: QueryContext, longest_s: float
    ) -> Result | Stream:
        """The same; in pieces when it is large."""
        return await _router.get().stream(statement, context, longest_s)

    async def planned_rows(self, statement: Statement, context: QueryContext) -> int:
        """How many rows the planners expect."""
        return await _router.get().planned_rows(statement, context)

    async def server_plans(
        self, statement: Statement, context: QueryContext, options: PlanOptions
    ) -> tuple[ServerPlan, ...]:
        """PostgreSQL's plans of the statement."""
        return await _router.get().server_plans(statement, context, options)

    async def describe(self, statement: Statement, context: QueryContext) -> Description:
        """What the statement takes and gives; it is not run."""
        return await _router.get().describe(statement, context)

    async def transaction(
        self, statements: Sequence[Statement], context: QueryContext, options: TransactionOptions
    ) -> Sequence[Result]:
        """The results of all statements, as one transaction on one shard."""
        return await _router.get().transaction(statements, context, options)

    def interactive(
        self, context: QueryContext, options: TransactionOptions
    ) -> InteractiveTransaction:
        """A transaction that is told its statements one at a time; it has no key."""
        return _router.get().interactive(context, options)


class Idempotency:
    """Lets requests with a key go the way of keys."""

    def __init__(self, router: Router) -> None:
        self._router = router

    def routes(self, plain: Iterable[Route], keyed: Iterable[Route]) -> tuple[Route, ...]:
        """The plain routes, where writes with a key are handled by their twins among `keyed`."""
        return tuple(
            self._route(route, twin.handler) if route.method in METHODS else route
            for route, twin in zip(plain, keyed, strict=True)
        )

    def _route(self, route: Route, keyed: Handler) -> Route:
        plain = route.handler

        @wraps(plain)
        async def handle(request: Request) -> Reply:
            name = request.headers.get(HEADER)
            if not name:
                return await plain(request)
            return await self._once(request, write_key(request, name), route, keyed)

        return replace(route, handler=handle)

    async def _once(self, request: Request, key: WriteKey, route: Route, keyed: Handler) -> Reply:
        who = request.principal
        replies: list[Reply | Exception] = []

        async def work(router: Router) -> Outcome:
            token = _router.set(router)
            try:
                reply = await keyed(request)
            except (RouterError, ServerError) as error:
                failure = failure_of(
                    error, route.dialect, role=who.standing, operation=route.operation
                )
                if failure.status >= 500 or failure.status in _TRANSIENT:
                    raise
                replies.append(error)
                reply = failure_reply(failure, route.dialect, request.request_id)
                return Outcome(encoded(reply), undone=True)
            finally:
                _router.reset(token)
            replies.append(reply)
            return Outcome(None if reply.pieces is not None else encoded(reply))

        context = QueryContext(
            who.role,
            who.tenant,
            who.session,
            who.claims,
            request.deadline,
            seen=request.seen,
            reached=request.reached,
            environment=request.environment,
        )
        kept = await self._router.once(key, context, work)
        if kept is not None:
            return decoded(kept)
        reply = replies[-1]
        if isinstance(reply, Exception):
            raise reply
        return reply


def write_key(request: Request, name: str) -> WriteKey:
    """The digests of a request and of the name that its caller gave it.

    Raises:
        IdempotencyKeyTooLong: The name is too long.
    """
    if len(name) > MAX_KEY_CHARS:
        raise IdempotencyKeyTooLong
    who = request.principal
    profile = [request.headers.get(header, "") for header in _OF_TARGET]
    return WriteKey(
        _digest(who.role, who.tenant or "", _user(who), name),
        _digest(request.method, request.path, request.query, *profile),
        hashlib.sha256(request.body).digest(),
    )


def _user(who: Principal) -> str:
    """The user, however often they sign in; who has no id is known by the session."""
    claims: Any = orjson.loads(who.claims)
    subject = claims.get("sub") if isinstance(claims, dict) else None
    return f"sub {subject}" if isinstance(subject, str) else f"session {who.session}"


def _digest(*parts: str) -> bytes:
    """A digest of texts that no other texts have."""
    digest = hashlib.blake2b(digest_size=32, person=b"fluxshard key")
    for part in parts:
        text = part.encode("utf-8", "surrogateescape")
        digest.update(len(text).to_bytes(8) + text)
    return digest.digest()


def encoded(reply: Reply) -> bytes:
    """A reply as it is kept: a line of JSON, then the body, if it is not too long."""
    whole = len(reply.body) <= MAX_BODY_BYTES
    head = [reply.status, reply.content_type if whole else None, reply.headers]
    return orjson.dumps(head) + b"\n" + (reply.body if whole else b"")


def decoded(kept: bytes) -> Reply:
    """The reply that was kept, marked as a repetition."""
    head, _, body = kept.partition(b"\n")
    status, content_type, headers = orjson.loads(head)
    pairs = tuple((name, value) for name, value in headers)
    return Reply(status, body, content_type, pairs + REPLAYED)
