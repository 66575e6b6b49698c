"""The cluster as others address it: endpoints of a shard map, urls, environment variables."""

from dataclasses import dataclass
from urllib.parse import quote

from server.embedded.configuration import SUPERUSER
from server.embedded.record import ServerRecord, ShardRecord
from server.embedded.site import Site
from shardmap import CATALOG, Endpoint, Shard


@dataclass(frozen=True, slots=True)
class ClusterEndpoints:
    """One database of the cluster as a shard map declares it."""

    catalog: Shard
    shards: tuple[Shard, ...]

    @property
    def all(self) -> tuple[Shard, ...]:
        """The catalog, then the shards."""
        return (self.catalog, *self.shards)


def endpoints(site: Site, database: str) -> ClusterEndpoints:
    """Every server, as its current role has it, with the password by reference."""
    catalog, *shards = (_shard(site, shard, database) for shard in site.record.shards)
    return ClusterEndpoints(catalog, tuple(shards))


def url(site: Site, server: ServerRecord, database: str) -> str:
    """How any PostgreSQL client connects. Holds the password."""
    at = site.address(server)
    login = f"postgresql://{SUPERUSER}:{site.secret}@"
    if at.host.startswith("/"):
        return f"{login}/{database}?host={quote(at.host)}&port={at.port}"
    return f"{login}{at.host}:{at.port}/{database}"


def environment(site: Site, database: str) -> dict[str, str]:
    """The settings that lead a Fluxshard server to the cluster. They hold the password."""
    variables = {}
    for shard in site.record.shards:
        name = (
            ("DATABASE_URL", "FLUXBASE_DATABASE_READ_REPLICAS")
            if shard.id == CATALOG
            else (
                f"FLUXBASE_DATABASE_{shard.id.upper()}",
                f"FLUXBASE_DATABASE_{shard.id.upper()}_READ_REPLICAS",
            )
        )
        variables[name[0]] = url(site, shard.server(shard.primary), database)
        if shard.standbys:
            variables[name[1]] = ",".join(url(site, one, database) for one in shard.standbys)
    return variables


def _shard(site: Site, shard: ShardRecord, database: str) -> Shard:
    credentials = f"file:{site.directory.password}"

    def endpoint(server: ServerRecord) -> Endpoint:
        at = site.address(server)
        return Endpoint(
            name=server.name,
            host=at.host,
            port=at.port,
            database=database,
            user=SUPERUSER,
            credentials=credentials,
        )

    return Shard(
        id=shard.id,
        primary=endpoint(shard.server(shard.primary)),
        replicas=tuple(endpoint(server) for server in shard.standbys),
        durability=site.record.durability,
    )
