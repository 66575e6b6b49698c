"""The settings about databases: which there are, and how many connections may go to each."""

from dataclasses import dataclass, field

from server.configuration.declaration import setting
from server.configuration.forms import (
    DURATION,
    ENDPOINTS,
    TEXT,
    URL,
    choice,
    integer,
    positive_duration,
    secret,
)


@dataclass(frozen=True, slots=True)
class ShardSettings:
    """One `FLUXBASE_DATABASE_SHARD_n`, with the name that holds its credentials."""

    url: str = field(repr=False)
    url_name: str
    read_replicas: tuple[str, ...] = field(default=(), repr=False)
    read_replicas_name: str = ""


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Which databases there are, and how many connections may go to each."""

    url: str | None = setting(
        "DATABASE_URL",
        URL,
        None,
        "the primary database: the catalog, and the only shard if there are no shards",
        aliases=("FLUXBASE_DATABASE_URL",),
    )
    host: str = setting(
        "FLUXBASE_DATABASE_HOST", TEXT, "localhost", "the same in parts; DATABASE_URL wins"
    )
    port: int = setting("FLUXBASE_DATABASE_PORT", integer(1, 65535), "5432", "its port")
    user: str = setting("FLUXBASE_DATABASE_USER", TEXT, "postgres", "its login role")
    password: str = setting(
        "FLUXBASE_DATABASE_PASSWORD", secret(), "postgres", "the login role's password"
    )
    database: str = setting("FLUXBASE_DATABASE_DATABASE", TEXT, "fluxbase", "its database")
    ssl_mode: str = setting(
        "FLUXBASE_DATABASE_SSL_MODE",
        choice("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
        "disable",
        "encryption of the database given in parts; a url says `?sslmode=…`",
    )
    read_replicas: tuple[str, ...] = setting(
        "FLUXBASE_DATABASE_READ_REPLICAS",
        ENDPOINTS,
        "",
        "replicas of DATABASE_URL: reads go there, writes never; user, password and database "
        "are the primary's unless a url says otherwise; `?zone=…&weight=…` may follow each",
    )
    max_connections: int = setting(
        "FLUXBASE_DATABASE_MAX_CONNECTIONS",
        integer(1, 10_000),
        "25",
        "ceiling of this instance for one endpoint, over all its workers and roles",
    )
    min_connections: int = setting(
        "FLUXBASE_DATABASE_MIN_CONNECTIONS",
        integer(0, 10_000),
        "5",
        "connections kept open for one endpoint",
    )
    max_conn_lifetime_s: float = setting(
        "FLUXBASE_DATABASE_MAX_CONN_LIFETIME",
        positive_duration(1),
        "1h",
        "age at which a connection is replaced",
    )
    max_conn_idle_time_s: float = setting(
        "FLUXBASE_DATABASE_MAX_CONN_IDLE_TIME",
        positive_duration(1),
        "30m",
        "idle time after which a connection above the minimum is closed",
    )
    acquire_timeout_s: float = setting(
        "FLUXSHARD_ACQUIRE_TIMEOUT",
        positive_duration(),
        "5s",
        "longest wait for a free connection; then 503 P201",
    )
    pool_queue: int = setting(
        "FLUXSHARD_POOL_QUEUE",
        integer(0, 1_000_000),
        "1000",
        "most requests of one worker that wait for a connection to one endpoint; then 503 P211",
    )
    least_in_flight: int = setting(
        "FLUXSHARD_LEAST_IN_FLIGHT",
        integer(0, 10_000),
        "2",
        "when statements become slower the more of them run at an endpoint, fewer are let in, so that "
        "tenants take turns here instead; so many of one worker at least, 0: always as many as there "
        "may be connections",
    )
    direct_connections: int = setting(
        "FLUXSHARD_DIRECT_CONNECTIONS",
        integer(1, 10_000),
        "4",
        "most connections of one worker past a pooler in transaction mode, for what needs a session",
    )
    total_connections: int = setting(
        "FLUXSHARD_MAX_TOTAL_CONNECTIONS",
        integer(0, 1_000_000),
        "0",
        "most connections of one worker to all endpoints together, probes not counted; 0: the sum "
        "of their own ceilings",
    )
    write_hold_s: float = setting(
        "FLUXSHARD_WRITE_HOLD",
        DURATION,
        "5s",
        "longest time that a write waits for a shard's primary to be back, within the request's "
        "own time; then 503 P203",
    )
    move_pause_limit_s: float = setting(
        "FLUXSHARD_MOVE_PAUSE_LIMIT",
        positive_duration(),
        "5s",
        "longest that a statement waits for a tenant on the move; then 503 P220 or P221",
    )
    held_writes: int = setting(
        "FLUXSHARD_HELD_WRITES",
        integer(1, 1_000_000),
        "1000",
        "most writes of one shard that wait so in one worker; one more is 503 P203 at once",
    )
    idempotency_ttl_s: float = setting(
        "FLUXSHARD_IDEMPOTENCY_TTL",
        positive_duration(1),
        "24h",
        "how long the answer to a write is kept under its Idempotency-Key",
    )
    freshness_wait_s: float = setting(
        "FLUXSHARD_FRESHNESS_WAIT",
        DURATION,
        "20ms",
        "longest wait for a replica to reach what the reader has seen; then the primary answers",
    )
    max_lag_s: float = setting(
        "FLUXSHARD_MAX_LAG", positive_duration(), "10s", "a replica further behind gets no reads"
    )
    probe_interval_s: float = setting(
        "FLUXSHARD_PROBE_INTERVAL",
        positive_duration(0.05),
        "250ms",
        "how often each endpoint is asked how it is",
    )
    quorum_grace_s: float = setting(
        "FLUXSHARD_QUORUM_GRACE",
        positive_duration(),
        "1s",
        "how long no standby may confirm a quorum shard's commits before new writes are refused",
    )
    schema_refresh_s: float = setting(
        "FLUXSHARD_SCHEMA_REFRESH",
        positive_duration(1),
        "30s",
        "how often the tables are looked up anew; an unknown name makes it sooner",
    )
    admin_user: str = setting(
        "FLUXBASE_DATABASE_ADMIN_USER",
        TEXT,
        "",
        "who `fluxshard migrate` and `fluxshard failover` log in as, on every server; empty: as the server does",
    )
    admin_password: str = setting(
        "FLUXBASE_DATABASE_ADMIN_PASSWORD", secret(), "", "the password of that role"
    )
    migrations_path: str = setting(
        "FLUXBASE_DATABASE_USER_MIGRATIONS_PATH",
        TEXT,
        "/migrations/user",
        "the directory of `fluxshard migrate`; see docs/migrations.md",
    )
    pull_up_rows: int = setting(
        "FLUXSHARD_PULL_UP_ROWS",
        integer(1, 10_000_000),
        "100000",
        "most rows that one statement may fetch from all shards into one; then 400 P130",
    )
    pull_up_bytes: int = setting(
        "FLUXSHARD_PULL_UP_BYTES",
        integer(1024, 512 * 1024 * 1024),
        "67108864",
        "the same in bytes; the router holds them, and so does the shard that computes the answer",
    )
    url_name: str = ""
    """The variable that holds the primary's credentials."""
    shards: tuple[ShardSettings, ...] = ()
