"""The settings of a server: one frozen value, read once at start."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from server.auth_settings import AuthSettings
from server.configuration.declaration import setting
from server.configuration.forms import (
    ADDRESS,
    BOOLEAN,
    DURATION,
    LIST,
    SIZE,
    TEXT,
    ListenAddress,
    choice,
    fraction,
    integer,
    positive_duration,
)
from server.database_settings import DatabaseSettings, ShardSettings
from server.freshness_settings import FreshnessSettings, SharedSettings
from server.move_settings import MoveSettings
from server.openapi_settings import OpenApiSettings
from server.postgrest_settings import PostgrestSettings
from server.replica_settings import ReplicaSettings
from server.request_settings import RequestSettings
from server.rpc_settings import RpcSettings

__all__ = [
    "ApiSettings",
    "AuthSettings",
    "CorsSettings",
    "DatabaseSettings",
    "FreshnessSettings",
    "HttpSettings",
    "LoggingSettings",
    "MetricsSettings",
    "MoveSettings",
    "OpenApiSettings",
    "PostgrestSettings",
    "ProcessSettings",
    "ReplicaSettings",
    "RequestSettings",
    "RpcSettings",
    "Settings",
    "ShardSettings",
    "SharedSettings",
    "SqlSettings",
]


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Where the server listens, and what it takes."""

    address: ListenAddress = setting(  # noqa: RUF009 - makes a dataclass field
        "FLUXBASE_SERVER_ADDRESS", ADDRESS, ":8080", "where the API listens"
    )
    read_timeout_s: float = setting(
        "FLUXBASE_SERVER_READ_TIMEOUT",
        positive_duration(),
        "300s",
        "longest time for a request's body to arrive; the request's own time also ends it",
    )
    write_timeout_s: float = setting(
        "FLUXBASE_SERVER_WRITE_TIMEOUT",
        positive_duration(),
        "300s",
        "longest time for a client to take its response; then the connection is cut",
    )
    idle_timeout_s: float = setting(
        "FLUXBASE_SERVER_IDLE_TIMEOUT",
        positive_duration(),
        "120s",
        "how long a kept connection may be silent",
    )
    body_limit_bytes: int = setting(
        "FLUXBASE_SERVER_BODY_LIMIT", SIZE, "2GiB", "no body is larger, whatever its route"
    )
    body_limits_enabled: bool = setting(
        "FLUXBASE_SERVER_BODY_LIMITS_ENABLED", BOOLEAN, "true", "limits by kind of route"
    )
    default_limit_bytes: int = setting(
        "FLUXBASE_SERVER_BODY_LIMITS_DEFAULT_LIMIT", SIZE, "1MiB", "bodies of other routes"
    )
    rest_limit_bytes: int = setting(
        "FLUXBASE_SERVER_BODY_LIMITS_REST_LIMIT", SIZE, "1MiB", "bodies of one row"
    )
    bulk_limit_bytes: int = setting(
        "FLUXBASE_SERVER_BODY_LIMITS_BULK_LIMIT", SIZE, "10MiB", "bodies of many rows"
    )
    admin_limit_bytes: int = setting(
        "FLUXBASE_SERVER_BODY_LIMITS_ADMIN_LIMIT", SIZE, "5MiB", "bodies of the admin API"
    )
    request_timeout_s: float = setting(
        "FLUXSHARD_REQUEST_TIMEOUT",
        positive_duration(),
        "30s",
        "time of one request; what is left of it is the statement_timeout of its statements",
    )
    stream_timeout_s: float = setting(
        "FLUXSHARD_STREAM_TIMEOUT",
        positive_duration(),
        "300s",
        "longest time of an answer that is sent in pieces; FLUXSHARD_REQUEST_TIMEOUT is for each",
    )
    shed_after_s: float = setting(
        "FLUXSHARD_SHED_AFTER",
        DURATION,
        "500ms",
        "how long requests may stand in line for the CPU of a worker before the newest of the "
        "tenant with most of them are told 503 OVERLOADED; 0: none are",
    )
    drain_delay_s: float = setting(
        "FLUXSHARD_DRAIN_DELAY",
        DURATION,
        "1s",
        "after SIGTERM: how long /ready is 503 before the listeners close",
    )
    drain_timeout_s: float = setting(
        "FLUXSHARD_DRAIN_TIMEOUT",
        DURATION,
        "25s",
        "after SIGTERM: how long requests in flight may take to end",
    )


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Limits of one page, and which schemas there are."""

    exposed_schemas: tuple[str, ...] = setting(
        "FLUXSHARD_EXPOSED_SCHEMAS",
        LIST,
        "public",
        "schemas that clients may use; the first is the default",
    )
    max_page_size: int = setting(
        "FLUXBASE_API_MAX_PAGE_SIZE", integer(1), "1000", "largest `limit` of a read"
    )
    default_page_size: int = setting(
        "FLUXBASE_API_DEFAULT_PAGE_SIZE", integer(1), "1000", "`limit` of a read that has none"
    )
    max_rows: int = setting(
        "FLUXSHARD_MAX_ROWS", integer(0), "0", "most rows of one answer under /rest/v1; 0: no limit"
    )
    aggregates: bool = setting(
        "FLUXSHARD_AGGREGATES",
        BOOLEAN,
        "false",
        "whether `select` under /rest/v1 may hold count(), sum() and so on, of as many rows as there are",
        aliases=("PGRST_DB_AGGREGATES_ENABLED",),
    )
    plans: bool = setting(
        "FLUXSHARD_PLANS",
        BOOLEAN,
        "false",
        "whether clients of /rest/v1 may see PostgreSQL's plans (`application/vnd.pgrst.plan`)",
        aliases=("PGRST_DB_PLAN_ENABLED",),
    )
    served_by: bool = setting(
        "FLUXSHARD_SERVED_BY",
        BOOLEAN,
        "false",
        "adds X-Served-By: which shard and endpoint answered",
    )
    max_total_results: int = setting(
        "FLUXBASE_API_MAX_TOTAL_RESULTS",
        integer(1),
        "10000",
        "largest offset + limit; service keys are exempt",
    )
    max_batch_size: int = setting(
        "FLUXBASE_API_MAX_BATCH_SIZE", integer(1), "1000", "most rows of one insert"
    )


@dataclass(frozen=True, slots=True)
class SqlSettings:
    """Statements and transactions at /api/v1/sql."""

    enabled: bool = setting(
        "FLUXSHARD_SQL_ENABLED", BOOLEAN, "true", "whether there is the SQL API"
    )
    tenants: bool = setting(
        "FLUXSHARD_SQL_TENANTS",
        BOOLEAN,
        "false",
        "whether others than the service role may use it, held to their tenant's rows",
    )
    read_only: bool = setting(
        "FLUXSHARD_SQL_READ_ONLY", BOOLEAN, "false", "whether it refuses what does not only read"
    )
    max_statements: int = setting(
        "FLUXSHARD_SQL_MAX_STATEMENTS",
        integer(1, 10_000),
        "100",
        "most statements of one transaction that is sent whole",
    )
    max_transactions: int = setting(
        "FLUXSHARD_SQL_MAX_TRANSACTIONS",
        integer(0, 10_000),
        "5",
        "most interactive transactions of one worker at a time, each of which holds a connection",
    )
    lifetime_s: float = setting(
        "FLUXSHARD_SQL_TRANSACTION_LIFETIME",
        positive_duration(),
        "60s",
        "longest time of an interactive transaction; then it is rolled back",
    )
    idle_s: float = setting(
        "FLUXSHARD_SQL_TRANSACTION_IDLE",
        positive_duration(),
        "10s",
        "how long an interactive transaction waits for its next statement; then it is rolled back",
    )


@dataclass(frozen=True, slots=True)
class CorsSettings:
    """Which pages of other origins may call."""

    allowed_origins: tuple[str, ...] = setting(
        "FLUXBASE_CORS_ALLOWED_ORIGINS",
        LIST,
        "http://localhost:5173,http://localhost:8080",
        "origins that may call; `*` allows all",
    )
    allowed_methods: tuple[str, ...] = setting(
        "FLUXBASE_CORS_ALLOWED_METHODS",
        LIST,
        "GET,POST,PUT,PATCH,DELETE,OPTIONS",
        "methods that they may use",
    )
    allowed_headers: tuple[str, ...] = setting(
        "FLUXBASE_CORS_ALLOWED_HEADERS",
        LIST,
        "Origin,Content-Type,Accept,Authorization,X-Request-ID,X-CSRF-Token,"
        "X-Impersonation-Token,Prefer,apikey,x-client-app,x-client-info,Idempotency-Key,Range,"
        "Range-Unit,If-None-Match,Accept-Profile,Content-Profile,X-Tenant-ID,Fluxshard-Position",
        "request headers that they may send",
    )
    exposed_headers: tuple[str, ...] = setting(
        "FLUXBASE_CORS_EXPOSED_HEADERS",
        LIST,
        "Content-Range,Content-Encoding,Content-Length,Content-Location,Location,X-Request-ID,"
        "X-RateLimit-Limit,X-RateLimit-Remaining,X-RateLimit-Reset,ETag,Idempotency-Replayed,"
        "Fluxshard-Position,Preference-Applied",
        "response headers that they may read",
    )
    allow_credentials: bool = setting(
        "FLUXBASE_CORS_ALLOW_CREDENTIALS", BOOLEAN, "true", "whether cookies may be sent along"
    )
    max_age_s: int = setting(
        "FLUXBASE_CORS_MAX_AGE", integer(0, 86400), "300", "seconds that a preflight is valid"
    )


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """Where the metrics are."""

    enabled: bool = setting("FLUXBASE_METRICS_ENABLED", BOOLEAN, "true", "whether there are any")
    port: int = setting(
        "FLUXBASE_METRICS_PORT",
        integer(0, 65535),
        "9090",
        "port of their own, at the host of FLUXBASE_SERVER_ADDRESS; 0: only the API port",
    )
    path: str = setting("FLUXBASE_METRICS_PATH", TEXT, "/metrics", "their path on both ports")


@dataclass(frozen=True, slots=True)
class LoggingSettings:
    """What is logged, to standard error."""

    console_enabled: bool = setting(
        "FLUXBASE_LOGGING_CONSOLE_ENABLED", BOOLEAN, "true", "whether anything is logged"
    )
    console_level: str = setting(
        "FLUXBASE_LOGGING_CONSOLE_LEVEL",
        choice("debug", "info", "warn", "error"),
        "info",
        "lowest level of what is logged",
    )
    console_format: str = setting(
        "FLUXBASE_LOGGING_CONSOLE_FORMAT", choice("console", "json"), "console", "form of a line"
    )
    debug: bool = setting(
        "FLUXBASE_DEBUG", BOOLEAN, "false", "level debug, and one line for every request"
    )
    access_sample: float = setting(
        "FLUXSHARD_ACCESS_LOG_SAMPLE",
        fraction(),
        "0",
        "share of ordinary requests that get a line; failed and slow ones always do",
    )
    slow_request_s: float = setting(
        "FLUXSHARD_SLOW_REQUEST", positive_duration(), "1s", "from here on a request is slow"
    )


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """How the server runs on its machine."""

    workers: int = setting(
        "FLUXSHARD_WORKERS", integer(1, 256), "1", "processes that share the port"
    )
    instances: int = setting(
        "FLUXSHARD_INSTANCES",
        integer(1, 10_000),
        "1",
        "servers like this one, for the sum of connections that is checked at start",
    )
    state_dir: str = setting(
        "FLUXSHARD_STATE_DIR",
        TEXT,
        "",
        "where the last good shard map is kept; empty: a directory for this catalog below "
        "$XDG_STATE_HOME/fluxshard or ~/.local/state/fluxshard",
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything an operator can set.

    `environ` is what `env:NAME` credentials are looked up in: the environment over the file.
    """

    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    replicas: ReplicaSettings = field(default_factory=ReplicaSettings)
    freshness: FreshnessSettings = field(default_factory=FreshnessSettings)
    shared: SharedSettings = field(default_factory=SharedSettings)
    moves: MoveSettings = field(default_factory=MoveSettings)
    http: HttpSettings = field(default_factory=HttpSettings)
    api: ApiSettings = field(default_factory=ApiSettings)
    request: RequestSettings = field(default_factory=RequestSettings)
    openapi: OpenApiSettings = field(default_factory=OpenApiSettings)
    rpc: RpcSettings = field(default_factory=RpcSettings)
    sql: SqlSettings = field(default_factory=SqlSettings)
    auth: AuthSettings = field(default_factory=AuthSettings)
    postgrest: PostgrestSettings = field(default_factory=PostgrestSettings)
    cors: CorsSettings = field(default_factory=CorsSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    logging: LoggingSettings = field(default_factory=LoggingSettings)
    process: ProcessSettings = field(default_factory=ProcessSettings)
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
