"""Where one PostgreSQL listens, how to log in to it, and which of them make a shard."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

from shardmap.ids import ShardId


class Role(StrEnum):
    """What an endpoint was declared as. What it *is* now, a probe says."""

    PRIMARY = "primary"
    REPLICA = "replica"


class Durability(StrEnum):
    """What a shard's commit waits for (`synchronous_standby_names`)."""

    QUORUM = "quorum"
    """`ANY 1 (…)`: a commit is acknowledged once one standby has it."""
    ASYNC = "async"


class Tls(StrEnum):
    """How a connection is encrypted and proved: libpq's `sslmode`, by its own words."""

    DISABLE = "disable"
    ALLOW = "allow"
    PREFER = "prefer"
    REQUIRE = "require"
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"


class Pooling(StrEnum):
    """Whether a connection pooler (PgBouncer) stands at an endpoint's address, and in which mode."""

    NONE = "none"
    """Nobody is in between."""
    SESSION = "session"
    """A client has a server connection of its own until it leaves."""
    TRANSACTION = "transaction"
    """It has one for each transaction: nothing of a session survives."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server listens by itself, when a pooler stands at its endpoint's address."""

    host: str
    port: int
    database: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One PostgreSQL server and database. Holds no secret: `credentials` says where they are.

    `host` is a name, an address, or the absolute path of a socket directory. `credentials` is
    `env:NAME` or `file:/path`: its content is a password, or a whole URL whose user and password
    count. Without it, the driver's own sources (`PGPASSWORD`, `~/.pgpass`) apply.
    """

    name: str
    host: str
    port: int
    database: str
    user: str
    credentials: str | None = None
    zone: str | None = None
    weight: int = 1
    """The share of its shard's reads, relative to the other replicas."""
    tls: Tls | None = None
    """None: the driver's default, which encrypts where the server offers it."""
    pooling: Pooling = Pooling.NONE
    """What stands at the address."""
    direct: Place | None = None
    """The same database past the pooler, for what needs a session of its own."""

    @property
    def address(self) -> tuple[str, int, str]:
        """Host, port and database: two endpoints with the same address are the same database."""
        return (self.host, self.port, self.database)

    @property
    def straight(self) -> Self:
        """The same database by its direct address, if it has one; else the endpoint itself."""
        place = self.direct
        if place is None:
            return self
        return replace(
            self,
            host=place.host,
            port=place.port,
            database=place.database,
            pooling=Pooling.NONE,
            direct=None,
        )


@dataclass(frozen=True, slots=True)
class Shard:
    """One primary and its streaming replicas: the same rows, one writer."""

    id: ShardId
    primary: Endpoint
    replicas: tuple[Endpoint, ...] = ()
    weight: int = 1
    """The share of slots the ring proposes for this shard, relative to the others."""
    durability: Durability = Durability.ASYNC
    region: str | None = None

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """All of them, the primary first."""
        return (self.primary, *self.replicas)
