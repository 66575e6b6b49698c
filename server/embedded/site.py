"""A cluster on this machine: its record together with the directory, account and password."""

from dataclasses import dataclass
from pathlib import Path

from server.embedded.account import Account, server_account
from server.embedded.configuration import Address, address, configuration, conninfo, title
from server.embedded.directory import ClusterDirectory
from server.embedded.errors import ClusterMissing, SystemRefused
from server.embedded.processes import Traces
from server.embedded.record import ClusterRecord, ServerRecord, ShardRecord
from server.embedded.spec import Sockets
from shardmap import Durability, ShardId


@dataclass(frozen=True, slots=True)
class Site:
    """All that is needed to find any server of the cluster and to talk to it."""

    directory: ClusterDirectory
    record: ClusterRecord
    account: Account
    secret: str

    def address(self, server: ServerRecord) -> Address:
        """Where the server listens."""
        return address(self.record, self.directory.sockets, server)

    def conninfo(self, server: ServerRecord, **more: str) -> str:
        """How PostgreSQL's programs connect to the server."""
        return conninfo(self.address(server), self.directory.passfile, **more)

    def configuration(self, shard: ShardRecord, server: ServerRecord) -> str:
        """The server's `postgresql.conf`."""
        return configuration(self.directory, self.record, shard, server)

    def data(self, server: ServerRecord) -> Path:
        """The server's data directory."""
        return self.directory.data_of(server.name)

    def is_standby(self, server: ServerRecord) -> bool:
        """Whether the server's data says that it follows a primary."""
        return (self.data(server) / "standby.signal").exists()

    def traces(self, server: ServerRecord) -> Traces:
        """How the server's processes are known."""
        making = self.directory.making_of(server.name)
        return Traces(
            frozenset({str(self.data(server)), str(making)}), title(self.directory, server.name)
        )


def open_site(directory: ClusterDirectory) -> Site:
    """The cluster in the directory.

    Raises:
        ClusterMissing: There is none yet.
        ForeignDirectory: The directory holds something else.
        ClusterOfAnother: It is another user's.
        RecordBroken: Its files do not hold what we wrote.
        SystemRefused: They cannot be read.
    """
    try:
        directory.require_ours()
        record = directory.read_record()
        if record is None:
            raise ClusterMissing(directory.root)
        return Site(directory, record, server_account(directory.data), directory.secret())
    except OSError as error:
        raise SystemRefused(directory.root, error) from error


def open_remains(directory: ClusterDirectory) -> Site:
    """What is left of a cluster whose record cannot be read: enough to end its servers."""
    names = {path.name.partition(".")[0] for path in directory.data.glob("*")}
    servers = tuple(ServerRecord(name, 0) for name in sorted(names))
    shards = tuple(ShardRecord(ShardId(one.name), one.name, (one,)) for one in servers)
    record = ClusterRecord("", 0, Sockets(), Durability.ASYNC, None, shards)
    return Site(directory, record, server_account(directory.data), secret="")
