"""What a cluster is: its servers and who is the primary of each shard, as `cluster.json` keeps it.

The record is the intention, written before the deed: a server is promoted only once it is recorded
as primary, so that whoever comes next, after any crash, finishes the same thing.
"""

import json
import string
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from server.embedded.errors import RecordBroken, SpecConflict, UnknownServer
from server.embedded.spec import (
    DEFAULT_REPLICAS,
    DEFAULT_SHARDS,
    MAX_REPLICAS,
    PORTS,
    ClusterSpec,
    Listen,
    Sockets,
    Tcp,
)
from shardmap import CATALOG, Durability, ShardId

FORMAT: Final = 1
SOCKET_PORT: Final = 15400
"""With sockets only, ports are but the last part of a socket's name."""


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """One PostgreSQL server. The name has no role in it, since roles change by promotion."""

    name: str
    port: int


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """The servers of one shard, in order of name, and which of them is the primary."""

    id: ShardId
    primary: str
    servers: tuple[ServerRecord, ...]

    @property
    def standbys(self) -> tuple[ServerRecord, ...]:
        """All but the primary."""
        return tuple(server for server in self.servers if server.name != self.primary)

    def server(self, name: str) -> ServerRecord:
        """The server of that name."""
        for server in self.servers:
            if server.name == name:
                return server
        raise UnknownServer(name, [server.name for server in self.servers])


@dataclass(frozen=True, slots=True)
class ClusterRecord:
    """A whole cluster: the catalog first, then the shards in order of number."""

    cluster_id: str
    postgresql: int
    """The major version that made the data."""
    listen: Listen
    durability: Durability
    pg_bindir: str | None
    shards: tuple[ShardRecord, ...]

    @property
    def servers(self) -> Iterator[tuple[ShardRecord, ServerRecord]]:
        """Every server with its shard."""
        return ((shard, server) for shard in self.shards for server in shard.servers)

    def shard(self, name: str) -> ShardRecord:
        """The shard (or the catalog) of that id."""
        for shard in self.shards:
            if shard.id == name:
                return shard
        raise UnknownServer(name, [shard.id for shard in self.shards])

    def find(self, name: str) -> tuple[ShardRecord, ServerRecord]:
        """The server of that name, with its shard."""
        for shard, server in self.servers:
            if server.name == name:
                return shard, server
        raise UnknownServer(name, [server.name for _, server in self.servers])

    def with_primary(self, shard: ShardId, server: str) -> "ClusterRecord":
        """The same cluster with another server as the shard's primary."""
        return replace(
            self,
            shards=tuple(
                replace(one, primary=server) if one.id == shard else one for one in self.shards
            ),
        )


def lay_out(spec: ClusterSpec, *, cluster_id: str, postgresql: int) -> ClusterRecord:
    """The record of a new cluster.

    Raises:
        SpecConflict: The options are out of range.
    """
    empty = ClusterRecord(
        cluster_id=cluster_id,
        postgresql=postgresql,
        listen=spec.listen or Tcp(),
        durability=spec.durability or Durability.QUORUM,
        pg_bindir=str(spec.pg_bindir) if spec.pg_bindir is not None else None,
        shards=(),
    )
    return _grown(
        empty,
        DEFAULT_SHARDS if spec.shards is None else spec.shards,
        DEFAULT_REPLICAS if spec.replicas is None else spec.replicas,
    )


def adapt(record: ClusterRecord, spec: ClusterSpec) -> ClusterRecord:
    """The record of an existing cluster, grown to what is asked for now.

    Raises:
        SpecConflict: What is asked for would take servers or ports away.
    """
    if spec.listen is not None and spec.listen != record.listen:
        raise SpecConflict(
            f"the cluster listens on {_words(record.listen)}, not on {_words(spec.listen)}",
            hint="Leave the option away, or destroy the cluster and make it anew.",
        )
    shards = len(record.shards) - 1
    replicas = len(record.shards[0].servers) - 1
    for name, has, asked in (
        ("shards", shards, spec.shards),
        ("replicas", replicas, spec.replicas),
    ):
        if asked is not None and asked < has:
            raise SpecConflict(
                f"the cluster has {has} {name} and cannot shrink to {asked}",
                hint="Leave the option away, or destroy the cluster and make it anew.",
            )
    changed = replace(
        record,
        durability=spec.durability or record.durability,
        pg_bindir=str(spec.pg_bindir) if spec.pg_bindir is not None else record.pg_bindir,
    )
    return _grown(
        changed,
        shards if spec.shards is None else spec.shards,
        replicas if spec.replicas is None else spec.replicas,
    )


def _words(listen: Listen) -> str:
    match listen:
        case Tcp(base_port):
            return f"TCP ports from {base_port}"
        case Sockets():
            return "Unix sockets only"


def _grown(record: ClusterRecord, shards: int, replicas: int) -> ClusterRecord:
    """The record with so many shards and replicas; servers that are there keep their ports."""
    if shards < 1:
        raise SpecConflict(f"a cluster needs at least one shard, not {shards}")
    if not 0 <= replicas <= MAX_REPLICAS:
        raise SpecConflict(f"a shard has 0 to {MAX_REPLICAS} replicas, not {replicas}")
    first = record.listen.base_port if isinstance(record.listen, Tcp) else SOCKET_PORT
    taken = {server.port for _, server in record.servers}
    ports = (port for port in range(first, 2**16) if port not in taken)
    known = {shard.id: shard for shard in record.shards}
    result = []
    for shard_id in (CATALOG, *(ShardId(f"shard_{number}") for number in range(shards))):
        shard = known.get(shard_id, ShardRecord(shard_id, f"{shard_id}-a", ()))
        names = [f"{shard_id}-{letter}" for letter in string.ascii_lowercase[: replicas + 1]]
        here = {server.name: server for server in shard.servers}
        result.append(
            replace(
                shard,
                servers=tuple(here.get(name) or ServerRecord(name, next(ports)) for name in names),
            )
        )
    grown = replace(record, shards=tuple(result))
    used = [server.port for _, server in grown.servers]
    if isinstance(record.listen, Tcp) and (min(used) not in PORTS or max(used) not in PORTS):
        raise SpecConflict(
            f"the cluster needs ports {min(used)} to {max(used)}, "
            f"allowed are {PORTS.start} to {PORTS.stop - 1}",
            hint="Choose another --base-port.",
        )
    return grown


def dump(record: ClusterRecord) -> str:
    """The record as JSON text."""
    document = asdict(record)
    document["listen"] = (
        {"base_port": record.listen.base_port} if isinstance(record.listen, Tcp) else "sockets"
    )
    return json.dumps({"format": FORMAT, **document}, indent=2) + "\n"


def load(text: str, path: Path) -> ClusterRecord:
    """The record in the JSON text of `path`.

    Raises:
        RecordBroken: The text is not what `dump` writes.
    """
    try:
        document = json.loads(text)
        if document["format"] != FORMAT:
            raise RecordBroken(
                f"{path} has format {document['format']}, this release reads {FORMAT}"
            )
        listen = document["listen"]
        return ClusterRecord(
            cluster_id=document["cluster_id"],
            postgresql=int(document["postgresql"]),
            listen=Sockets() if listen == "sockets" else Tcp(int(listen["base_port"])),
            durability=Durability(document["durability"]),
            pg_bindir=document["pg_bindir"],
            shards=tuple(_shard(shard) for shard in document["shards"]),
        )
    except (ValueError, KeyError, TypeError, UnknownServer) as error:
        raise RecordBroken(
            f"{path} is not what this release wrote: {error!r}", hint="Restore the file."
        ) from error


def _shard(document: dict[str, Any]) -> ShardRecord:
    servers = tuple(ServerRecord(one["name"], int(one["port"])) for one in document["servers"])
    shard = ShardRecord(ShardId(document["id"]), document["primary"], servers)
    shard.server(shard.primary)
    return shard
