"""Where a server of PostgreSQL, or a pooler in front of it, is: a Unix socket by directory and port."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from bench.world import World


@dataclass(frozen=True, slots=True)
class Address:
    """One server as a client of PostgreSQL finds it."""

    host: str
    port: int
    user: str
    password: str
    database: str

    @property
    def url(self) -> str:
        """For libpq and asyncpg. Holds the password."""
        login = f"postgresql://{quote(self.user)}:{quote(self.password)}@"
        return f"{login}/{quote(self.database)}?host={quote(self.host)}&port={self.port}"

    @property
    def socket(self) -> str:
        """The path of its socket."""
        return f"{self.host}/.s.PGSQL.{self.port}"

    def at(self, host: Path, port: int) -> "Address":
        """The same login somewhere else."""
        return Address(str(host), port, self.user, self.password, self.database)


def readers(world: World) -> list[Address]:
    """The servers that read: the replicas of the first shard, or its primary if there are none.

    Where servers are limited, the addresses are those of the limits.
    """
    shard = next(iter(world.shard_map.shards.values()))
    login = urlsplit(world.cluster.url(shard.primary.name))
    return [
        Address(
            host=endpoint.host,
            port=endpoint.port,
            user=unquote(login.username or ""),
            password=unquote(login.password or ""),
            database=login.path.lstrip("/"),
        )
        for endpoint in shard.replicas or (shard.primary,)
    ]
