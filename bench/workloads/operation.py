"""One operation of a workload as a request to the API, and a client that sends such requests."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from bench.http import Connection, Reply
from bench.outcome import Outcome

SERVICE: Final = 0
"""The tenant of a request that comes from the service, and so from no tenant."""


class Operation(NamedTuple):
    """A request, and what it counts as."""

    kind: str
    tenant: int
    """Whose token is sent; `SERVICE`: the service's."""
    method: str
    target: str
    """Path and query."""
    body: str | None = None
    rows: bool = False
    """An answer without rows is an error: the workload knows that there are some."""
    then: "Operation | None" = None
    """A second request of the same operation, sent when the first went well."""


Operations = Callable[[int], Iterator[Operation]]
"""By number of client: its operations, without end. The number seeds their chance."""


class Tokens:
    """The heads of requests of each tenant, put together once."""

    def __init__(self, tokens: Mapping[int, str]) -> None:
        self._heads = {
            tenant: f" HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n"
            for tenant, token in tokens.items()
        }

    def request(self, operation: Operation) -> bytes:
        """The bytes to send."""
        head = f"{operation.method} {operation.target}{self._heads[operation.tenant]}"
        if operation.body is None:
            return f"{head}\r\n".encode()
        body = operation.body.encode()
        return (
            f"{head}Content-Type: application/json\r\nPrefer: return=minimal\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body


class Client:
    """One client of the API; calling it does its next operation."""

    def __init__(
        self, connection: Connection, tokens: Tokens, operations: Iterator[Operation]
    ) -> None:
        self._connection = connection
        self._tokens = tokens
        self._operations = operations

    async def __call__(self) -> Outcome:
        """The next operation's outcome."""
        operation: Operation | None = next(self._operations)
        kind = operation.kind if operation is not None else ""
        outcome = Outcome(kind)
        while operation is not None and not outcome.error:
            reply = await self._connection.ask(self._tokens.request(operation))
            outcome = _judged(kind, operation, reply)
            operation = operation.then
        return outcome


def _judged(kind: str, operation: Operation, reply: Reply) -> Outcome:
    served = reply.header(b"x-served-by")
    if reply.status == 0:
        return Outcome(kind, reply.body.decode(), served)
    if reply.status >= 300:
        return Outcome(kind, f"{reply.status} {_code(reply.body)}".rstrip(), served)
    if operation.rows and len(reply.body) <= 2:
        return Outcome(kind, "no rows", served)
    return Outcome(kind, "", served)


def _code(body: bytes) -> str:
    """The code in an error's body, whichever dialect it has."""
    at = body.find(b'"code":')
    if at < 0:
        return ""
    return body[at + 7 : at + 40].split(b'"')[1].decode("ascii", "replace")
