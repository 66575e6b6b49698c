"""Data directories: made by initdb, copied from a primary, or rewound to follow a new one."""

import re
from typing import Final

from server.embedded import postmaster, questions
from server.embedded.configuration import SUPERUSER
from server.embedded.directory import erase_tree, sync_directory, write_file
from server.embedded.errors import ProgramFailed, ServerTrouble
from server.embedded.postmaster import Works
from server.embedded.record import ServerRecord, ShardRecord
from server.embedded.site import Site

_SEGMENT: Final = re.compile(r"([0-9A-F]{8})[0-9A-F]{16}(?:\.partial)?")
_CHECKPOINT: Final = re.compile(
    r"^Latest checkpoint location: +([0-9A-F]+)/([0-9A-F]+)$", re.MULTILINE
)
_CLUSTER_STATE: Final = re.compile(r"^Database cluster state: +(.+)$", re.MULTILINE)


async def make_primary(works: Works, shard: ShardRecord, server: ServerRecord) -> None:
    """Make the first data directory of a shard, with a system identifier of its own."""
    site = works.site
    making = site.directory.making_of(server.name)
    await _discard(works, server)
    secret = site.directory.data / f"{server.name}.secret"
    write_file(secret, site.secret + "\n", site.account)
    try:
        await works.programs.run(
            server.name,
            "initdb",
            "--pgdata",
            str(making),
            f"--username={SUPERUSER}",
            f"--pwfile={secret}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--data-checksums",
            "--no-instructions",
        )
    finally:
        secret.unlink(missing_ok=True)
    postmaster.configure(site, shard, server, making)
    _finish(site, server)


async def copy_primary(works: Works, shard: ShardRecord, server: ServerRecord) -> None:
    """Make a standby's data directory from the running primary; it replaces one that is there."""
    site = works.site
    making = site.directory.making_of(server.name)
    await _discard(works, server)
    await works.programs.run(
        server.name,
        "pg_basebackup",
        "--pgdata",
        str(making),
        f"--dbname={site.conninfo(shard.server(shard.primary), application_name=server.name)}",
        "--checkpoint=fast",
        "--wal-method=stream",
    )
    write_file(making / "standby.signal", "", site.account)
    postmaster.configure(site, shard, server, making)
    old = site.directory.replaced_of(server.name)
    if site.data(server).exists():
        site.data(server).rename(old)
    _finish(site, server)
    erase_tree(old)
    site.directory.rewinding_of(server.name).unlink(missing_ok=True)


async def rewind(works: Works, shard: ShardRecord, server: ServerRecord) -> bool:
    """Turn a stopped server that has gone its own way into a standby of the running primary.

    What it alone had written is undone. False: pg_rewind cannot, and the data directory is of no
    use any more until `copy_primary` replaces it.
    """
    site = works.site
    await postmaster.clear(site, works.children, server)
    data = site.data(server)
    mark = site.directory.rewinding_of(server.name)
    postmaster.configure(site, shard, server, data)
    write_file(mark, "")
    # In single-user mode, in which pg_rewind ends a crash recovery first, PostgreSQL refuses it.
    (data / "standby.signal").unlink(missing_ok=True)
    source = site.conninfo(shard.server(shard.primary))
    try:
        await works.programs.run(
            server.name, "pg_rewind", "--target-pgdata", str(data), f"--source-server={source}"
        )
    except ProgramFailed:
        return False
    write_file(data / "standby.signal", "", site.account)
    postmaster.configure(site, shard, server, data)
    mark.unlink()
    await questions.advance(site, shard.server(shard.primary))
    return True


def usable(site: Site, server: ServerRecord) -> bool:
    """Whether the server has a data directory that is whole."""
    return site.data(server).exists() and not site.directory.rewinding_of(server.name).exists()


def timeline(site: Site, server: ServerRecord) -> int:
    """The newest timeline that the server has written or received; 0 without data.

    Read from the names of its WAL files, the first of which is there from the first moment of a
    timeline; the control file learns of it only at the next checkpoint. History files prove
    nothing: a standby that has strayed fetches them as well.
    """
    wal = site.data(server) / "pg_wal"
    if not wal.is_dir():
        return 0
    matches = (_SEGMENT.fullmatch(path.name) for path in wal.iterdir())
    return max((int(match[1], 16) for match in matches if match is not None), default=0)


async def shutdown_lsn(works: Works, server: ServerRecord) -> int:
    """Where the last WAL record of an orderly stopped primary begins.

    Raises:
        ServerTrouble: The server was not stopped in an orderly way.
    """
    text = await works.programs.run(
        server.name, "pg_controldata", "--pgdata", str(works.site.data(server))
    )
    state, location = _CLUSTER_STATE.search(text), _CHECKPOINT.search(text)
    if state is None or location is None or state[1] != "shut down":
        raise ServerTrouble(f"{server.name} was not shut down in an orderly way")
    return (int(location[1], 16) << 32) + int(location[2], 16)


async def _discard(works: Works, server: ServerRecord) -> None:
    """Remove a half-made or replaced data directory, and end what may still be working on it."""
    directory = works.site.directory
    await postmaster.clear(works.site, works.children, server)
    erase_tree(directory.making_of(server.name))
    erase_tree(directory.replaced_of(server.name))


def _finish(site: Site, server: ServerRecord) -> None:
    """Give a data directory its final name: from now on it is whole."""
    site.directory.making_of(server.name).rename(site.data(server))
    sync_directory(site.directory.data)
