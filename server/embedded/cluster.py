"""The embedded cluster: PostgreSQL primaries and replicas on this machine, as one thing."""

import signal
import socket
import uuid
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from server.embedded import postmaster, promotion, status
from server.embedded.account import require_reach, server_account
from server.embedded.assembly import assemble, follow, raise_primary, raise_standby
from server.embedded.binaries import find_binaries
from server.embedded.configuration import DATABASE, HOST
from server.embedded.directory import ClusterDirectory, require_socket_path
from server.embedded.endpoints import ClusterEndpoints, endpoints, environment, url
from server.embedded.errors import (
    BinariesUnsuitable,
    ClusterMissing,
    PortInUse,
    RecordBroken,
    ServerUnreachable,
)
from server.embedded.postmaster import Children, Works
from server.embedded.programs import Programs
from server.embedded.record import ServerRecord, adapt, lay_out
from server.embedded.replication import timeline, usable
from server.embedded.site import Site, open_remains, open_site
from server.embedded.spec import ClusterSpec, Sockets, Tcp
from server.embedded.status import ClusterStatus, Server
from server.embedded.together import together
from server.embedded.truth import Facts, primary_of
from shardmap import ShardId


def _silent(_: str) -> None:
    """Tell nobody."""


class EmbeddedCluster:
    """A catalog and shards, each one primary and its streaming replicas.

    Servers outlive the process that starts them; the object holds nothing but the processes to
    reap, so any number of them, in any process, serve one cluster. What changes the cluster holds
    the lock of its directory: a second change at the same time raises ClusterBusy. Every method
    raises only `EmbeddedError`.
    """

    def __init__(self, spec: ClusterSpec) -> None:
        bindir = spec.pg_bindir
        self._spec = replace(spec, pg_bindir=bindir.absolute() if bindir is not None else None)
        self._directory = ClusterDirectory(spec.directory.resolve())
        self._children = Children()

    @property
    def directory(self) -> Path:
        """Where the cluster is."""
        return self._directory.root

    async def up(self, progress: Callable[[str], None] = _silent) -> None:
        """Make the cluster, or complete, repair and start it. Data that is whole is never wiped.

        Returns when every replica streams. `progress` is told each step in words. May be
        cancelled or killed at any moment: the next `up` goes on from there.
        """
        async with self._directory.changing(claim=True):
            prepared = self._prepare(progress)
            works = self._with_true_primaries(prepared)
            await together(
                assemble(works, shard, shard.standbys) for shard in works.site.record.shards
            )

    async def down(self, progress: Callable[[str], None] = _silent) -> None:
        """Stop every server in an orderly way; the data stays."""
        async with self._directory.changing():
            await self._stop_all(open_site(self._directory), progress)

    async def destroy(self, progress: Callable[[str], None] = _silent) -> None:
        """Stop every server and remove all that is ours in the directory.

        Raises:
            ForeignDirectory: The directory is not a cluster's; nothing was touched.
        """
        async with self._directory.changing():
            try:
                site = open_site(self._directory)
            except (ClusterMissing, RecordBroken):
                site = open_remains(self._directory)
            await self._stop_all(site, progress)
            self._directory.erase()

    async def start(self, *names: str, progress: Callable[[str], None] = _silent) -> None:
        """Start these servers in the roles that they now have, rewinding where that is needed."""
        async with self._opened(progress) as opened:
            found = [opened.site.record.find(name) for name in names]
            works = self._with_true_primaries(opened, {shard.id for shard, _ in found})
            chosen = [works.site.record.find(name) for name in names]
            for shard, server in chosen:
                if server.name == shard.primary:
                    await raise_primary(works, shard)
            for shard, server in chosen:
                if server.name != shard.primary:
                    await raise_standby(works, shard, server)
                    if postmaster.pid_of(works.site, shard.server(shard.primary)) is not None:
                        await follow(works, shard, [server])

    async def stop(self, *names: str) -> None:
        """Stop these servers in an orderly way."""
        async with self._directory.changing():
            site = open_site(self._directory)
            servers = [site.record.find(name)[1] for name in names]
            await together(postmaster.stop(site, self._children, server) for server in servers)

    async def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to the server's postmaster alone; its pid. Needs no lock.

        After a signal that ends a server, return when it has ended.

        Raises:
            ServerUnreachable: It does not run.
        """
        site = open_site(self._directory)
        _, server = site.record.find(name)
        pid = await postmaster.kill(site, self._children, server, number)
        if pid is None:
            raise ServerUnreachable(f"{name} is not running")
        return pid

    async def promote(
        self,
        shard: str,
        *,
        to: str | None = None,
        accept_loss: bool = False,
        progress: Callable[[str], None] = _silent,
    ) -> str:
        """Make the shard's most advanced replica, or `to`, its primary; the replica's name.

        A primary that runs is stopped first and becomes a replica; one that is down stays down
        until `up` or `start` brings it back as a replica.

        Raises:
            PromotionRefused: It could lose acknowledged writes, and `accept_loss` is not given.
        """
        async with self._opened(progress) as opened:
            record = opened.site.record.shard(shard)
            works = opened
            if usable(opened.site, record.server(record.primary)):
                works = self._with_true_primaries(opened, {record.id})
            return await promotion.promote(
                works, works.site.record.shard(shard), to=to, accept_loss=accept_loss
            )

    async def status(self) -> ClusterStatus:
        """What each server is just now. Needs no lock and waits for no server for long."""
        return await status.observe(open_site(self._directory))

    def servers(self) -> tuple[Server, ...]:
        """Every server by the record, with its process; in order of shard and name."""
        site = open_site(self._directory)
        self._children.reap()
        return tuple(status.describe(site, shard, server) for shard, server in site.record.servers)

    def server(self, name: str) -> Server:
        """The server of that name."""
        site = open_site(self._directory)
        self._children.reap()
        return status.describe(site, *site.record.find(name))

    def url(self, name: str, database: str = DATABASE) -> str:
        """How any PostgreSQL client connects to the server. Holds the password."""
        site = open_site(self._directory)
        return url(site, site.record.find(name)[1], database)

    def endpoints(self, database: str = DATABASE) -> ClusterEndpoints:
        """The cluster as a shard map declares it, in the roles recorded now."""
        return endpoints(open_site(self._directory), database)

    def environment(self, database: str = DATABASE) -> dict[str, str]:
        """The settings that lead a Fluxshard server to the cluster. They hold the password."""
        return environment(open_site(self._directory), database)

    async def _stop_all(self, site: Site, progress: Callable[[str], None]) -> None:
        async def stop(server: ServerRecord) -> None:
            if postmaster.pid_of(site, server) is not None:
                await postmaster.stop(site, self._children, server)
                progress(f"{server.name}: stopped")
            else:
                await postmaster.clear(site, self._children, server)

        await together(stop(server) for _, server in site.record.servers)

    @asynccontextmanager
    async def _opened(self, progress: Callable[[str], None]) -> AsyncIterator[Works]:
        """An existing cluster, held for a change."""
        async with self._directory.changing():
            yield self._works(open_site(self._directory), progress)

    def _works(self, site: Site, progress: Callable[[str], None]) -> Works:
        configured = site.record.pg_bindir
        binaries = find_binaries(
            Path(configured) if configured is not None else None,
            site.account,
            self._directory.binaries,
        )
        if binaries.version != site.record.postgresql:
            raise BinariesUnsuitable(
                f"the cluster was made by PostgreSQL {site.record.postgresql},"
                f" {binaries.bindir} is {binaries.version}"
            )
        programs = Programs(binaries, site.account, self._directory.passfile)
        return Works(site, programs, self._children, progress)

    def _prepare(self, progress: Callable[[str], None]) -> Works:
        """The directory furnished and the record written, before anything is made."""
        spec, directory = self._spec, self._directory
        directory.sweep()
        record = directory.read_record()
        account = server_account(directory.data)
        if record is None:
            binaries = find_binaries(spec.pg_bindir, account, directory.binaries)
            wanted = lay_out(spec, cluster_id=str(uuid.uuid4()), postgresql=binaries.version)
        else:
            wanted = adapt(record, spec)
        if isinstance(wanted.listen, Sockets):
            require_socket_path(directory)
        directory.furnish(account)
        require_reach(account, directory.root)
        site = Site(directory, wanted, account, directory.secret())
        works = self._works(site, progress)
        _require_ports(site)
        if wanted != record:
            directory.write_record(wanted)
        return works

    def _with_true_primaries(self, works: Works, only: Collection[ShardId] | None = None) -> Works:
        """The same, once the record agrees with what the servers' files say of these shards.

        Raises:
            DataMissing: A primary's data is gone.
            SplitBrain: Two servers claim to be the primary of a shard.
        """
        site = works.site
        record = site.record
        for shard in record.shards:
            if only is not None and shard.id not in only:
                continue
            primary = primary_of(shard, {one.name: _facts(site, one) for one in shard.servers})
            if primary != shard.primary:
                works.progress(f"{primary}: found to be the primary of {shard.id}")
                record = record.with_primary(shard.id, primary)
        if record == site.record:
            return works
        self._directory.write_record(record)
        return replace(works, site=replace(site, record=record))


def _facts(site: Site, server: ServerRecord) -> Facts:
    return Facts(
        usable=usable(site, server),
        standby=site.is_standby(server),
        running=postmaster.pid_of(site, server) is not None,
        timeline=timeline(site, server),
    )


def _require_ports(site: Site) -> None:
    """Make sure that the ports of servers that do not run are free.

    Raises:
        PortInUse: Some are not.
    """
    match site.record.listen:
        case Sockets():
            return
        case Tcp():
            idle = [one for _, one in site.record.servers if postmaster.pid_of(site, one) is None]
    taken = [server.port for server in idle if not _free(server.port)]
    if taken:
        raise PortInUse(taken)


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
