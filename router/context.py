"""Who asks, and how long they wait: what a request carries through the router."""

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, Self

from router.consistency import SESSION, Consistency
from router.environment import Environment
from router.live.freshness import Position
from shardmap import ShardId, TenantId

SERVICE_ROLE: Final = "service_role"
"""The PostgreSQL role that sees every tenant. The only one that may go without a tenant."""


class Deadline(NamedTuple):
    """A point in monotonic time, shared by every wait and retry of one request."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Self:
        """The deadline that many seconds from now."""
        return cls(time.monotonic() + seconds)

    def remaining_s(self) -> float:
        """Seconds left; negative once it has passed."""
        return self.at - time.monotonic()


NOTHING_SEEN: Final[Mapping[ShardId, Position]] = MappingProxyType({})

Reached = list[tuple[ShardId, Position]]
"""Where a request has written, and up to where it has read, as it goes on."""


class QueryContext(NamedTuple):
    """The caller of one statement, as derived once from its credentials."""

    role: str
    """The PostgreSQL role that statements run as; the login role has to be a member of it."""
    tenant: TenantId | None
    session: str
    """Whose freshness floor counts: the session_id claim, else sub, else the tenant."""
    claims: str
    """JSON text of all claims, for `request.jwt.claims`."""
    deadline: Deadline
    read_only: bool = False
    """Whatever is not known to only read is refused."""
    snapshot: bool = False
    """A read of several shards sees each write on several shards wholly, or not at all."""
    consistency: Consistency = SESSION
    """How fresh its reads are."""
    seen: Mapping[ShardId, Position] = NOTHING_SEEN
    """What the caller says that it has seen: its reads are not older, whatever their policy but ANY."""
    reached: Reached | None = None
    """Whoever answers adds to it; None: nobody wants to know."""
    environment: Environment | None = None
    """What surrounds its statements besides role and claims."""

    @property
    def service(self) -> bool:
        """Whether the caller is the service role."""
        return self.role == SERVICE_ROLE


def party(context: QueryContext) -> tuple[str, str]:
    """Who waits in its own turn: each tenant, the service role without one, everybody else."""
    tenant = context.tenant
    return ("tenant", tenant) if tenant is not None else ("role", context.role)
