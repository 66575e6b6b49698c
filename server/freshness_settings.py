"""The settings about freshness: what reads may miss, and how instances share what sessions saw."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from router import Consistency
from server.configuration.declaration import setting
from server.configuration.forms import (
    BOOLEAN,
    CONSISTENCIES,
    CONSISTENCY,
    REDIS_URL,
    TEXT,
    choice,
    integer,
    positive_duration,
    secret,
)


@dataclass(frozen=True, slots=True)
class FreshnessSettings:
    """How fresh reads are."""

    consistency: Consistency = setting(  # noqa: RUF009 - makes a dataclass field
        "FLUXSHARD_CONSISTENCY",
        CONSISTENCY,
        "session",
        "what reads may miss unless their caller says otherwise; see docs/freshness.md",
    )
    routes: Mapping[str, Consistency] = setting(
        "FLUXSHARD_CONSISTENCY_ROUTES",
        CONSISTENCIES,
        "",
        "the same for single tables and for the SQL API: `products=any,sales.orders=strong,sql=tenant`",
    )
    position_header: bool = setting(
        "FLUXSHARD_POSITION_HEADER",
        BOOLEAN,
        "true",
        "whether responses carry Fluxshard-Position, and requests may",
    )


@dataclass(frozen=True, slots=True)
class SharedSettings:
    """Where the state is that all instances share."""

    backend: str = setting(
        "FLUXBASE_SCALING_BACKEND",
        choice("local", "postgres", "redis"),
        "local",
        "who keeps what sessions have seen: the workers of this port, the catalog's database, or "
        "Redis; redis when FLUXBASE_REDIS_ENABLED",
    )
    redis_url: str | None = setting(
        "FLUXBASE_SCALING_REDIS_URL",
        REDIS_URL,
        None,
        "the Redis server, `redis://:password@host:6379/0` or `rediss://…`; wins over "
        "FLUXBASE_REDIS_HOST and its like",
    )
    redis_enabled: bool = setting(
        "FLUXBASE_REDIS_ENABLED", BOOLEAN, "false", "whether shared state is in Redis"
    )
    redis_host: str = setting("FLUXBASE_REDIS_HOST", TEXT, "localhost", "where it is")
    redis_port: int = setting("FLUXBASE_REDIS_PORT", integer(1, 65535), "6379", "its port")
    redis_password: str = setting("FLUXBASE_REDIS_PASSWORD", secret(), "", "its password")
    redis_db: int = setting("FLUXBASE_REDIS_DB", integer(0, 10_000), "0", "its database")
    timeout_s: float = setting(
        "FLUXSHARD_SHARED_TIMEOUT",
        positive_duration(),
        "250ms",
        "longest wait for shared state; then reads go to primaries and writes are acknowledged",
    )
    retention_s: float = setting(
        "FLUXSHARD_FLOOR_TTL",
        positive_duration(60),
        "1h",
        "how long the store remembers what a session has seen of a shard",
    )

    @property
    def chosen(self) -> str:
        """`local`, `postgres` or `redis`."""
        return "redis" if self.redis_enabled and self.backend == "local" else self.backend

    @property
    def address(self) -> str:
        """The url of the Redis server."""
        if self.redis_url is not None:
            return self.redis_url
        login = f":{quote(self.redis_password, safe='')}@" if self.redis_password else ""
        host = f"[{self.redis_host}]" if ":" in self.redis_host else self.redis_host
        return f"redis://{login}{host}:{self.redis_port}/{self.redis_db}"
