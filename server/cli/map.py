"""`fluxshard map`: the shard map as operators read, check and change it.

Ends with 0 if all is well, 1 with problems or a refusal, 2 for wrong usage, 3 without a catalog.
"""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import click

from server.catalog import catalog_session
from server.cli.mapaccess import (
    PROBLEMS,
    UNREACHABLE,
    USAGE,
    Catalog,
    Failed,
    catalog_options,
    file_argument,
    file_text,
    json_option,
    put_map,
    read_file,
    run,
)
from server.cli.mapchanges import apply, plan, rollback
from server.cli.mapedit import edit
from server.cli.maptext import explanation, explanation_text, history_text
from server.mapchange.proposal import summary_text
from server.mapcheck import Findings, check_servers
from shardmap import (
    CatalogSource,
    ShardMap,
    changes_between,
    changes_document,
    changes_text,
    document_schema,
    read_map,
    tenant_id,
)


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
        raise Failed([what], PROBLEMS)
    put_map(found, output, as_json=as_json)


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
        text = file_text(file)
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
        raise Failed(lines, PROBLEMS if findings.problems else UNREACHABLE)
    for line in lines:
        click.echo(line, err=True)
    click.echo(f"{file.name}: {summary_text(shard_map)}")


@command.command()
@click.argument("tenant")
@click.option("--map", "file", type=click.File(encoding="utf-8"), help="Ask this document.")
@json_option
@catalog_options
def explain(*, catalog: Catalog, tenant: str, file: IO[str] | None, as_json: bool) -> None:
    """Show where TENANT lives, and why."""

    async def work() -> dict[str, Any] | None:
        found = read_file(file, None) if file is not None else await catalog.stored()
        return explanation(found, tenant_id(found.key_type, tenant)) if found is not None else None

    found = run(work())
    if found is None:
        raise Failed(["no map has been applied"], PROBLEMS)
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


@command.command()
@click.argument("before", metavar="A")
@click.argument("after", metavar="B", required=False)
@json_option
@catalog_options
def diff(*, catalog: Catalog, before: str, after: str | None, as_json: bool) -> None:
    """Show what B does differently from A: each is an epoch or a file.

    B is the map in force if it is left out. A line with ! moves data.
    """

    async def work() -> tuple[ShardMap, ShardMap]:
        first = await _named(catalog, before)
        return first, await _named(catalog, after) if after is not None else await _newest(catalog)

    changes = changes_between(*run(work()))
    if as_json:
        click.echo(json.dumps(changes_document(changes), indent=2, ensure_ascii=False))
    else:
        click.echo(changes_text(changes), nl=False)


@command.command()
def schema() -> None:
    """Print the JSON Schema of the document, for editors that complete and check it."""
    click.echo(json.dumps(document_schema(), indent=2))


for one in (plan, apply, edit, rollback):
    command.add_command(one)


async def _named(catalog: Catalog, name: str) -> ShardMap:
    """The map of an epoch, or of a file."""
    if not (name.isascii() and name.isdigit()):
        return _of_file(Path(name))
    async with catalog_session(catalog.endpoints, catalog.environ, writable=False) as session:
        found = await CatalogSource(session).at(int(name))
    if found is None:
        raise Failed([f"there is no epoch {name}"], PROBLEMS)
    return found


async def _newest(catalog: Catalog) -> ShardMap:
    found = await catalog.stored()
    if found is None:
        raise Failed(["no map has been applied"], PROBLEMS)
    return found


def _of_file(path: Path) -> ShardMap:
    try:
        return read_map(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Failed([f"{path}: {error.strerror}"], USAGE) from error
    except UnicodeDecodeError as error:
        raise Failed([f"{path}: is not UTF-8"], PROBLEMS) from error
