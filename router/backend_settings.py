"""How the router deals with its PostgreSQL endpoints: sizes, limits and waits."""

from dataclasses import dataclass, field
from typing import Final

from router.live.breaker import Ejecting
from router.live.choice import ReplicaChoice
from router.live.hedge import HedgeAfter

DEFAULT_LAG_BYTES: Final = 16 * 1024 * 1024
"""One WAL segment: a replica further behind than that is not merely busy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendSettings:
    """Read once at start. All of it holds per endpoint and per process.

    `max_connections` bounds the connections of all roles together; a probe has one more of its own.
    """

    max_connections: int = 25
    min_connections: int = 5
    max_lifetime_s: float = 3600.0
    idle_time_s: float = 1800.0
    acquire_timeout_s: float = 5.0
    queue_length: int = 1000
    """How many requests may wait for a connection to one endpoint."""
    direct_connections: int = 4
    """How many more may go past a pooler in transaction mode, for what needs a session."""
    least_in_flight: int = 2
    """However slow an endpoint becomes, so many connections to it may be in use; 0: always all."""
    total_connections: int = 0
    """The most connections to all endpoints together, without probes; 0: only the sum of their limits."""
    connect_timeout_s: float = 2.0

    statement_timeout_s: float = 30.0
    """The session's `statement_timeout`: the default deadline of requests. Reads that have nearly
    as much time left need no transaction to set a shorter one."""
    statement_cache: int = 512
    """Prepared statements kept per connection."""

    probe_interval_s: float = 0.25
    probe_timeout_s: float = 1.0
    proof_age_s: float = 1.0
    """An endpoint whose last good probe is older than this answers nothing."""
    abandon_after_s: float = 2.0
    """Reads in flight on an endpoint that gave no sign of life for so long go elsewhere."""

    choice: ReplicaChoice = ReplicaChoice.POWER_OF_TWO
    zone: str | None = None
    """Where this process is: replicas of the same zone go before others."""
    slow_start_s: float = 10.0
    """For how long the share of a replica that returns grows."""
    ejecting: Ejecting = field(default_factory=Ejecting)
    """When a replica is left out because reads fail on it."""
    hedge_after: HedgeAfter | None = None
    """When a read is sent to a second replica as well; None: never."""
    hedge_share: float = 0.05
    """At most so many of a shard's reads are."""
    discover: bool = False
    """Whether replicas that the map does not name are found by asking primaries."""
    discover_port: int | None = None
    """Where standbys listen that do not say; None: where their primary does."""
    discover_interval_s: float = 2.0
    discover_again_s: float = 30.0
    """When one that was refused is tried again."""
    forget_after_s: float = 30.0
    """One that was found is forgotten when nobody has heard of it for so long."""

    max_lag_bytes: int = DEFAULT_LAG_BYTES
    max_lag_s: float = 10.0
    freshness_wait_s: float = 0.02
    """How long a read waits for a replica to reach its floor before the primary answers."""

    quorum_grace_s: float = 1.0
    """No standby confirmed anything for so long: new writes are refused."""
    write_hold_s: float = 0.0
    """How long a write waits for a primary to appear before it is refused."""
    held_writes: int = 1000
    """How many writes of one shard may wait so; one more is refused at once."""
    read_attempts: int = 4

    write_keys_kept_s: float = 86_400.0
    """How long a write's answer is kept under its key."""

    recovery_age_s: float = 5.0
    """A transaction that is prepared for so long was left behind: recovery ends it. Longer than a
    living process takes from PREPARE to its decision, whatever its statements take before that."""
    recovery_interval_s: float = 1.0

    exposed_schemas: tuple[str, ...] = ("public",)
    """The schemas that clients may use, the first is the default; also the `search_path`."""
    extra_search_path: tuple[str, ...] = ()
    """Schemas behind them in the `search_path`, for what their objects refer to."""
    bare: bool = False
    """One database as it is: nothing of ours is in it, not even who it is. No commit on several
    shards, no write keys; roles are whatever the login role may become."""
    schema_refresh_s: float = 30.0

    @property
    def search_path(self) -> tuple[str, ...]:
        """Where names without a schema are looked up, in order."""
        return tuple(dict.fromkeys((*self.exposed_schemas, *self.extra_search_path)))
