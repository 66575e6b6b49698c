"""`fluxshard cluster`: the local cluster of PostgreSQL servers, from the command line."""

import asyncio
import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Final, TypeVar

import click

from server.embedded import (
    ClusterMissing,
    ClusterSpec,
    ClusterStatus,
    EmbeddedCluster,
    EmbeddedError,
    ServerStatus,
    Sockets,
    Tcp,
)
from shardmap import Durability

T = TypeVar("T")

SIGNALS: Final = ("KILL", "QUIT", "TERM", "INT", "STOP", "CONT", "HUP", "ABRT")


def default_directory() -> Path:
    """Where the cluster is when nobody says."""
    if os.geteuid() == 0:
        return Path("/var/lib/fluxshard/cluster")
    return Path.home() / ".local" / "share" / "fluxshard" / "cluster"


def directory_option(command: Callable[..., None]) -> Callable[..., None]:
    """`--dir`, the same for every sub-command."""
    return click.option(
        "--dir",
        "directory",
        envvar="FLUXSHARD_CLUSTER_DIR",
        type=click.Path(file_okay=False, path_type=Path),
        default=default_directory,
        show_default="$FLUXSHARD_CLUSTER_DIR, else /var/lib/fluxshard/cluster for root"
        " and ~/.local/share/fluxshard/cluster for others",
        help="The cluster's directory.",
    )(command)


def run(work: Coroutine[object, object, T]) -> T:
    """The result; an error of the cluster ends the command with its code, message and hint."""
    try:
        return asyncio.run(work)
    except EmbeddedError as error:
        raise _Refusal(error) from error


class _Refusal(click.ClickException):
    """One of our errors, as click shows errors."""

    def __init__(self, error: EmbeddedError) -> None:
        hint = f"\nHint: {error.hint}" if error.hint else ""
        super().__init__(f"{error.code} {error}{hint}")


@click.group()
def command() -> None:
    """A local cluster: a catalog and shards, each a primary and its streaming replicas.

    Servers run on 127.0.0.1 with a random password, and go on when the command ends.
    """


@command.command()
@directory_option
@click.option("--shards", type=click.IntRange(min=1), help="Number of shards.  [default: 2]")
@click.option(
    "--replicas",
    type=click.IntRange(min=0, max=25),
    help="Replicas of each shard and of the catalog.  [default: 2]",
)
@click.option(
    "--base-port",
    type=click.IntRange(min=1024, max=32767),
    help="The first TCP port; the servers take one each from there.  [default: 15400]",
)
@click.option("--sockets-only", is_flag=True, help="Unix sockets in the directory, no TCP.")
@click.option(
    "--durability",
    type=click.Choice([durability.value for durability in Durability]),
    help="Whether a commit waits for one replica.  [default: quorum]",
)
@click.option(
    "--pg-bindir",
    envvar="FLUXSHARD_PG_BINDIR",
    type=click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path),
    help="The bin directory of a PostgreSQL 15 or newer.  [default: the one installed with pip]",
)
def up(  # noqa: PLR0913 - one parameter per option
    *,
    directory: Path,
    shards: int | None,
    replicas: int | None,
    base_port: int | None,
    sockets_only: bool,
    durability: str | None,
    pg_bindir: Path | None,
) -> None:
    """Make the cluster, or start, repair and complete it; its data is kept.

    Options left away mean: as the cluster is. More shards or replicas can be added later.
    """
    if sockets_only and base_port is not None:
        raise click.UsageError("--sockets-only and --base-port exclude each other")
    listen = Sockets() if sockets_only else Tcp(base_port) if base_port is not None else None
    cluster = EmbeddedCluster(
        ClusterSpec(
            directory=directory,
            shards=shards,
            replicas=replicas,
            listen=listen,
            durability=Durability(durability) if durability is not None else None,
            pg_bindir=pg_bindir,
        )
    )
    began = time.monotonic()
    run(cluster.up(click.echo))
    click.echo(
        f"\nUp after {time.monotonic() - began:.1f} s: {len(cluster.servers())} servers,"
        f" data in {cluster.directory}.\nConnect with:\n"
    )
    for name, value in cluster.environment().items():
        click.echo(f"{name}={shlex.quote(value)}")


@command.command()
@directory_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(*, directory: Path, as_json: bool) -> None:
    """Show each server. Ends with 0 if all are well, 3 if some are not, 4 without a cluster."""
    cluster = EmbeddedCluster(ClusterSpec(directory=directory))
    try:
        found = asyncio.run(cluster.status())
    except ClusterMissing as error:
        click.echo(json.dumps({"servers": []}) if as_json else f"{error}. {error.hint}")
        sys.exit(4)
    except EmbeddedError as error:
        raise _Refusal(error) from error
    click.echo(_json(found) if as_json else _table(found))
    if not found.healthy:
        sys.exit(3)


@command.command()
@directory_option
def down(*, directory: Path) -> None:
    """Stop every server; the data stays."""
    run(EmbeddedCluster(ClusterSpec(directory=directory)).down(click.echo))


@command.command()
@directory_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def destroy(*, directory: Path, yes: bool) -> None:
    """Stop every server and remove the cluster with all its data."""
    cluster = EmbeddedCluster(ClusterSpec(directory=directory))
    if not yes:
        click.confirm(f"Remove the cluster in {cluster.directory} with all its data?", abort=True)
    run(cluster.destroy(click.echo))
    click.echo(f"Removed {cluster.directory}.")


@command.command()
@directory_option
@click.option(
    "--signal",
    "name",
    type=click.Choice(SIGNALS, case_sensitive=False),
    default="KILL",
    show_default=True,
    help="What to send.",
)
@click.argument("server")
def kill(*, directory: Path, name: str, server: str) -> None:
    """Send a signal to SERVER (such as shard_0-a), to see what happens."""
    number = signal.Signals[f"SIG{name.upper()}"]
    pid = run(EmbeddedCluster(ClusterSpec(directory=directory)).kill(server, number))
    click.echo(f"Sent {number.name} to {server}, process {pid}.")


@command.command()
@directory_option
@click.option(
    "--accept-loss", is_flag=True, help="Promote even if acknowledged writes may be lost."
)
@click.argument("shard")
def promote(*, directory: Path, accept_loss: bool, shard: str) -> None:
    """Make the most advanced replica of SHARD its primary.

    A running primary is stopped first and becomes a replica. One that is down stays down until
    `up` brings it back as a replica.
    """
    cluster = EmbeddedCluster(ClusterSpec(directory=directory))
    heir = run(cluster.promote(shard, accept_loss=accept_loss, progress=click.echo))
    click.echo(f"{heir} is the primary of {shard}.")


def _json(found: ClusterStatus) -> str:
    return json.dumps(
        {
            "cluster_id": found.cluster_id,
            "directory": str(found.directory),
            "healthy": found.healthy,
            "servers": [server.as_json() for server in found.servers],
        },
        indent=2,
    )


def _table(found: ClusterStatus) -> str:
    rows = [("SERVER", "ROLE", "PORT", "PID", "STATE"), *(_row(one) for one in found.servers)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _row(one: ServerStatus) -> tuple[str, ...]:
    server = one.server
    pid = str(server.pid) if server.pid is not None else "-"
    return (server.name, server.role, str(server.port), pid, _state(one))


def _state(one: ServerStatus) -> str:
    if one.server.pid is None:
        return "stopped"
    if one.role is None:
        return "does not answer"
    if one.role is not one.server.role:
        return f"is a {one.role}"
    if one.streaming is None:
        return "running"
    if not one.streaming:
        return "running, does not stream"
    return f"streaming, {one.sync_state}, {one.lag_bytes or 0} bytes behind"
