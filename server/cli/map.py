"""`fluxshard map`: the shard map as operators read, check and change it.

Ends with 0 if all is well, 1 with problems or a refusal, 2 for wrong usage, 3 without a catalog.
"""

import asyncio
import getpass
import json
import os
import socket
import sys
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Final, TypeVar

import click

from server.catalog import catalog_session
from server.cli.maptext import explanation, explanation_text, history_text, summary_text
from server.cli.proposal import Proposal, propose_change
from server.configuration.reading import load_cluster_settings, load_replica_settings
from server.errors import SettingsInvalid
from server.mapcheck import Findings, check_servers, claim_newcomers, settle_uniques
from server.mapstart import given_cluster, new_cluster_id
from server.settings import ReplicaSettings, Settings
from shardmap import (
    CATALOG,
    CatalogSource,
    CredentialsUnavailable,
    Endpoint,
    InvalidMap,
    InvalidUrl,
    MapRefused,
    MapUnavailable,
    Problem,
    ShardMap,
    ShardMapError,
    adopted,
    endpoint_at_url,
    first_from,
    read_map,
    tenant_id,
    write_json,
    write_yaml,
)

T = TypeVar("T")

PROBLEMS: Final = 1
USAGE: Final = 2
UNREACHABLE: Final = 3

_CATALOG_OPTION: Final = "--catalog"


class _Failed(click.ClickException):
    """What ends a command: lines for people, and an exit code for scripts."""

    def __init__(self, lines: list[str], exit_code: int) -> None:
        super().__init__("\n".join(lines))
        self.exit_code = exit_code  # type: ignore[misc]  # click reads it from the instance

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the lines as they are."""
        click.echo(self.message, err=True, file=file)


@dataclass(frozen=True, slots=True)
class Catalog:
    """Where the maps are, as the options and the environment say; looked up when it is used."""

    url: str | None
    file: Path | None

    @property
    def settings(self) -> Settings:
        """What the environment says about the cluster."""
        return load_cluster_settings(os.environ, self.file)

    @property
    def environ(self) -> Mapping[str, str]:
        """Where `env:` credentials are looked up; `--catalog` counts as one of them."""
        if self.url is None:
            return self.settings.environ
        return {**os.environ, _CATALOG_OPTION: self.url}

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The servers of the catalog, the declared primary first."""
        if self.url is not None:
            return (endpoint_at_url(self.url, CATALOG, credentials=f"env:{_CATALOG_OPTION}"),)
        seeded = first_from(given_cluster(self.settings), "undecided")
        return (seeded.catalog, *seeded.catalog_replicas)

    async def replicas(self) -> ReplicaSettings:
        """What the environment says about replicas."""
        return load_replica_settings(os.environ, self.file)

    async def stored(self) -> ShardMap | None:
        """The map in force."""
        async with catalog_session(self.endpoints, self.environ, writable=False) as session:
            return await CatalogSource(session).newest()


def catalog_options(command: Callable[..., None]) -> Callable[..., None]:
    """`--catalog` and `--config`, given to the command as one `catalog`."""

    def with_catalog(*, catalog_url: str | None, config: Path | None, **others: Any) -> None:
        command(catalog=Catalog(catalog_url, config), **others)

    with_catalog.__doc__ = command.__doc__
    with_catalog.__name__ = command.__name__
    with_config = click.option(
        "--config",
        envvar="FLUXSHARD_CONFIG",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="A file of settings, for names that the environment lacks.",
    )(with_catalog)
    return click.option(
        _CATALOG_OPTION,
        "catalog_url",
        metavar="URL",
        help="The catalog's database.  [default: $DATABASE_URL]",
    )(with_config)


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
file_argument = click.argument("file", type=click.File(encoding="utf-8"))


def run(work: Coroutine[object, object, T]) -> T:
    """The result; an error ends the command with its code, its lines and an exit code."""
    try:
        return asyncio.run(work)
    except SettingsInvalid as error:
        raise _Failed([str(problem) for problem in error.problems], USAGE) from error
    except InvalidUrl as error:
        raise _Failed([f"{_CATALOG_OPTION}: {error}"], USAGE) from error
    except (InvalidMap, MapRefused) as error:
        raise _Failed(
            [f"{error.code} {problem}" for problem in error.problems], PROBLEMS
        ) from error
    except (MapUnavailable, CredentialsUnavailable) as error:
        raise _Failed([f"{error.code} {error}"], UNREACHABLE) from error
    except ShardMapError as error:
        raise _Failed([f"{error.code} {error}"], PROBLEMS) from error


@click.group("map")
def command() -> None:
    """The shard map: which shard has which tenant, and where tables are.

    Ends with 0 if all is well, 1 with problems or a refusal, 2 for wrong usage, 3 when the catalog
    cannot be reached. The document is described in docs/shard-map.md.
    """


@command.command()
@click.option("--epoch", type=click.IntRange(min=1), help="Which one.  [default: the newest]")
@json_option
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write to this file.",
)
@catalog_options
def get(*, catalog: Catalog, epoch: int | None, as_json: bool, output: Path | None) -> None:
    """Print the map, to read or to edit."""

    async def work() -> ShardMap | None:
        async with catalog_session(catalog.endpoints, catalog.environ, writable=False) as session:
            source = CatalogSource(session)
            return await (source.newest() if epoch is None else source.at(epoch))

    found = run(work())
    if found is None:
        what = "no map has been applied" if epoch is None else f"there is no epoch {epoch}"
        raise _Failed([what], PROBLEMS)
    _put(found, output, as_json=as_json)


@command.command()
@file_argument
@click.option("--live", is_flag=True, help="Check the tables on the servers as well.")
@click.option(
    "--config",
    envvar="FLUXSHARD_CONFIG",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With --live: a file of settings, for credentials that the environment lacks.",
)
def lint(*, file: IO[str], live: bool, config: Path | None) -> None:
    """Check a document: everything that is wrong with it, each with its path."""

    async def work() -> tuple[ShardMap, Findings]:
        text = _text(file)
        shard_map = read_map(text)
        if not live:
            return shard_map, Findings((), {})
        environ = Catalog(None, config).environ if config is not None else os.environ
        given = "shard_numbers" in text
        return shard_map, await check_servers(shard_map, environ, None, numbers_given=given)

    shard_map, findings = run(work())
    lines = [line for finding in findings.all for line in finding.lines(finding.severity)]
    lines += [f"{shard} was not checked: {why}" for shard, why in findings.unreachable.items()]
    if findings.problems or findings.unreachable:
        raise _Failed(lines, PROBLEMS if findings.problems else UNREACHABLE)
    for line in lines:
        click.echo(line, err=True)
    click.echo(f"{file.name}: {summary_text(shard_map)}")


@command.command()
@click.argument("file", type=click.File(encoding="utf-8"), required=False)
@click.option("--from-env", is_flag=True, help="Take the servers' addresses from the environment.")
@json_option
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write the whole new map to this file.",
)
@catalog_options
def plan(
    *,
    catalog: Catalog,
    file: IO[str] | None,
    from_env: bool,
    as_json: bool,
    output: Path | None,
) -> None:
    """Show what applying FILE would change, and what of it would be refused."""
    if (file is None) != from_env:
        raise click.UsageError("give either FILE or --from-env")

    async def work() -> tuple[ShardMap, Proposal]:
        old = await catalog.stored()
        if file is not None:
            asked = _read(file, old)
        elif old is not None:
            asked = adopted(old, given_cluster(catalog.settings))
        else:
            asked = first_from(given_cluster(catalog.settings), new_cluster_id())
        return asked, propose_change(old, asked)

    asked, proposal = run(work())
    if output is not None:
        _put(asked, output, as_json=False)
    if as_json:
        click.echo(json.dumps(proposal.document(), indent=2, ensure_ascii=False))
    else:
        click.echo(proposal.text(), nl=False)
    if proposal.refused:
        sys.exit(PROBLEMS)


@command.command()
@file_argument
@click.option("--reason", required=True, help="Why, for `fluxshard map history`.")
@click.option("--author", help="Who.  [default: user@host]")
@click.option("--yes", is_flag=True, help="Do not ask.")
@catalog_options
def apply(*, catalog: Catalog, file: IO[str], reason: str, author: str | None, yes: bool) -> None:
    """Put FILE in force as the next epoch.

    Checks the document, the change, and the tables on every server that answers; claims the
    servers of new shards, and guards globally unique columns. If somebody else has applied a map
    meanwhile, nothing happens.
    """

    async def look() -> tuple[Proposal, Findings]:
        old = await catalog.stored()
        proposal = propose_change(old, _read(file, old))
        return proposal, await check_servers(proposal.new, catalog.environ, old)

    async def change(proposal: Proposal) -> ShardMap:
        await claim_newcomers(proposal.new, catalog.environ, proposal.old)
        await settle_uniques(proposal.new, catalog.environ, proposal.old)
        async with catalog_session(catalog.endpoints, catalog.environ, writable=True) as session:
            return await CatalogSource(session).apply(
                proposal.new,
                expected_epoch=proposal.old.epoch if proposal.old is not None else 0,
                author=author or _author(),
                reason=reason,
            )

    proposal, findings = run(look())
    click.echo(proposal.text(), nl=False)
    for finding in findings.warnings:
        click.echo("\n".join(finding.lines("warning")), err=True)
    problems: list[Problem] = []
    for shard, why in findings.unreachable.items():
        if proposal.stays(shard):
            click.echo(f"warning: {shard} was not checked: {why}", err=True)
        else:
            place = "catalog" if shard == CATALOG else f"shards.{shard}"
            message = f"does not answer, and has to prove who it is before it is used: {why}"
            problems.append(Problem(f"{place}.primary", message))
    lines = [f"refused: {problem}" for problem in problems]
    lines += [line for finding in findings.blocking for line in finding.lines("refused")]
    for finding in findings.awaited:
        click.echo(f"note: {finding}; fluxshard migrate makes it", err=True)
    if lines or proposal.refused:
        raise _Failed(lines, PROBLEMS)
    if not proposal.changed:
        run(settle_uniques(proposal.new, catalog.environ, proposal.old))
        return
    if not yes:
        click.confirm(f"Apply this as epoch {proposal.new.epoch}?", abort=True)
    applied = run(change(proposal))
    click.echo(f"epoch {applied.epoch} is in force")


@command.command()
@click.argument("tenant")
@click.option("--map", "file", type=click.File(encoding="utf-8"), help="Ask this document.")
@json_option
@catalog_options
def explain(*, catalog: Catalog, tenant: str, file: IO[str] | None, as_json: bool) -> None:
    """Show where TENANT lives, and why."""

    async def work() -> dict[str, Any] | None:
        found = _read(file, None) if file is not None else await catalog.stored()
        return explanation(found, tenant_id(found.key_type, tenant)) if found is not None else None

    found = run(work())
    if found is None:
        raise _Failed(["no map has been applied"], PROBLEMS)
    click.echo(json.dumps(found, indent=2) if as_json else explanation_text(found), nl=as_json)


@command.command()
@json_option
@catalog_options
def history(*, catalog: Catalog, as_json: bool) -> None:
    """List who applied which epoch, when and why, the newest first."""

    async def work() -> str:
        async with catalog_session(catalog.endpoints, catalog.environ, writable=False) as session:
            records = await CatalogSource(session).history()
        if as_json:
            return json.dumps([asdict(record) for record in records], indent=2, default=str) + "\n"
        return history_text(records)

    click.echo(run(work()), nl=False)


def _author() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a uid without a name, as in containers
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _read(file: IO[str], previous: ShardMap | None) -> ShardMap:
    return read_map(_text(file), previous)


def _text(file: IO[str]) -> str:
    try:
        return file.read()
    except UnicodeDecodeError as error:
        raise InvalidMap([Problem("document", "is not UTF-8")]) from error


def _put(shard_map: ShardMap, output: Path | None, *, as_json: bool) -> None:
    text = write_json(shard_map) if as_json else write_yaml(shard_map)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise _Failed([f"{output}: {error.strerror}"], USAGE) from error
