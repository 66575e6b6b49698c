"""What is known of the servers: declared by the record, observed on the machine."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from server.embedded import postmaster, questions
from server.embedded.errors import ServerUnreachable
from server.embedded.questions import Follower
from server.embedded.record import ServerRecord, ShardRecord
from server.embedded.site import Site
from server.embedded.together import together
from shardmap import Role, ShardId


@dataclass(frozen=True, slots=True)
class Server:
    """One server as the record declares it, and its process."""

    name: str
    shard: ShardId
    role: Role
    host: str
    """127.0.0.1, or the directory of its Unix socket."""
    port: int
    data: Path
    pid: int | None
    """The postmaster, or None: not running."""


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """One server as it was just now. What could not be learned is None."""

    server: Server
    answers: bool
    role: Role | None
    """What it says it is, which an unfinished promotion can make differ from `server.role`."""
    streaming: bool | None
    """For a replica: whether its primary sends it WAL."""
    sync_state: str | None
    """For a replica, in PostgreSQL's words: `quorum`, `async`."""
    lag_bytes: int | None
    """For a replica: WAL of the primary that it has not replayed."""

    @property
    def healthy(self) -> bool:
        """Whether it is what it should be."""
        return self.role is self.server.role and self.streaming is not False

    def as_json(self) -> dict[str, object]:
        """The same as a JSON object."""
        return {
            "name": self.server.name,
            "shard": self.server.shard,
            "declared": self.server.role,
            "role": self.role,
            "host": self.server.host,
            "port": self.server.port,
            "pid": self.server.pid,
            "data": str(self.server.data),
            "answers": self.answers,
            "streaming": self.streaming,
            "sync_state": self.sync_state,
            "lag_bytes": self.lag_bytes,
            "healthy": self.healthy,
        }


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """All servers, in order of shard and name."""

    cluster_id: str
    directory: Path
    servers: tuple[ServerStatus, ...]

    @property
    def healthy(self) -> bool:
        """Whether each server is what it should be."""
        return all(server.healthy for server in self.servers)


def describe(site: Site, shard: ShardRecord, server: ServerRecord) -> Server:
    """The server by the record, and its process."""
    at = site.address(server)
    return Server(
        name=server.name,
        shard=shard.id,
        role=Role.PRIMARY if server.name == shard.primary else Role.REPLICA,
        host=at.host,
        port=at.port,
        data=site.data(server),
        pid=postmaster.pid_of(site, server),
    )


async def observe(site: Site) -> ClusterStatus:
    """The cluster as it is now; a server that does not answer is told as such."""
    answers = await together(_observe_shard(site, shard) for shard in site.record.shards)
    return ClusterStatus(
        site.record.cluster_id,
        site.directory.root,
        tuple(server for shard in answers for server in shard),
    )


async def _observe_shard(site: Site, shard: ShardRecord) -> tuple[ServerStatus, ...]:
    roles = await together(_role(site, server) for server in shard.servers)
    primary = shard.server(shard.primary)
    followers: dict[str, Follower] | None = None
    with suppress(ServerUnreachable):
        if postmaster.pid_of(site, primary) is not None:
            answer = await questions.followers(site, primary)
            followers = {follower.name: follower for follower in answer}
    return tuple(
        _status(describe(site, shard, server), role, followers)
        for server, role in zip(shard.servers, roles, strict=True)
    )


def _status(
    server: Server, role: Role | None, followers: Mapping[str, Follower] | None
) -> ServerStatus:
    answers = role is not None
    if server.role is Role.PRIMARY or followers is None:
        return ServerStatus(server, answers, role, None, None, None)
    follower = followers.get(server.name)
    if follower is None:
        return ServerStatus(server, answers, role, streaming=False, sync_state=None, lag_bytes=None)
    return ServerStatus(
        server, answers, role, follower.streaming, follower.sync_state, follower.lag_bytes
    )


async def _role(site: Site, server: ServerRecord) -> Role | None:
    if postmaster.pid_of(site, server) is None:
        return None
    try:
        state = await questions.state(site, server)
    except ServerUnreachable:
        return None
    return Role.REPLICA if state.in_recovery else Role.PRIMARY
