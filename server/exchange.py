"""One HTTP exchange as values: features turn a Request into a Reply and never see a socket."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from router import NOTHING_SEEN, SERVICE_ROLE, Deadline, Environment, Position, Reached
from shardmap import ShardId, TenantId


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, derived once from the credentials.

    `role` is the PostgreSQL role. `claims` is the JSON text of all claims. `session` is the
    session_id claim, else sub, else the tenant, else a hash of the key.
    """

    role: str
    tenant: TenantId | None
    session: str
    claims: str
    expires_at: float | None = None
    anonymous: bool = False
    """The role is that of callers who show no token."""

    @property
    def service(self) -> bool:
        """Whether this is the service role."""
        return self.role == SERVICE_ROLE

    @property
    def standing(self) -> str:
        """The role as errors know it: whatever the anonymous one is called, it is `anon`."""
        return "anon" if self.anonymous else self.role


NO_PARAMS: Final[Mapping[str, str]] = MappingProxyType({})


class Request(NamedTuple):
    """A request whose body is read and whose caller is known.

    `path` and `query` are raw (still percent-encoded); `headers` answers in any case.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    request_id: str
    deadline: Deadline
    principal: Principal
    params: Mapping[str, str] = NO_PARAMS
    """Percent-decoded variables of the route's template."""
    seen: Mapping[ShardId, Position] = NOTHING_SEEN
    """What the caller says to have seen of each shard."""
    reached: Reached | None = None
    """What the request adds to that, for the response to tell."""
    environment: Environment | None = None
    """What surrounds its statements besides role and claims."""


class Pieces(Protocol):
    """A body that comes in pieces. Whoever sends it closes it, in every outcome.

    When the iteration raises, what came so far is not the body.
    """

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def close(self) -> None:
        """Free what the rest of the body holds."""
        ...


class SocketClosed(Exception):
    """The other side of a socket has left."""


class Socket(Protocol):
    """A WebSocket, as features see it."""

    async def receive(self, timeout_s: float) -> str:
        """The next message.

        Raises:
            SocketClosed: The client has left.
            TimeoutError: There was none in time.
        """
        ...

    async def send(self, text: str) -> None:
        """Send a message.

        Raises:
            SocketClosed: The client has left.
        """
        ...

    async def close(self, code: int, reason: str) -> None:
        """Say good-bye. Harmless when repeated."""
        ...


Talk = Callable[[Socket], Awaitable[None]]
"""What is said on a socket, from its opening to its end."""


class Reply(NamedTuple):
    """A whole response. Content-Length, Date and X-Request-ID are added when it is written."""

    status: int
    body: bytes = b""
    content_type: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    pieces: Pieces | None = None
    """The body, in place of `body`, when it is too large to be held: its length is not known."""
    upgrade: Talk | None = None
    """With status 101: what follows on the connection."""
    reason: str = ""
    """Of the status line; empty: the usual one."""
