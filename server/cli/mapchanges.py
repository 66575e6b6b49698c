"""`fluxshard map plan | apply | rollback`: a change of the map is shown, then carried out."""

import json
import sys
from pathlib import Path
from typing import IO

import click

from server.author import author
from server.catalog import catalog_session
from server.cli.carrying import carry_out, shown
from server.cli.mapaccess import (
    PROBLEMS,
    Catalog,
    Failed,
    catalog_options,
    file_argument,
    json_option,
    put_map,
    read_file,
    run,
)
from server.mapchange.applying import Why
from server.mapstart import given_cluster, new_cluster_id
from shardmap import CatalogSource, ShardMap, adopted, first_from, reverted

reason_option = click.option("--reason", required=True, help="Why, for `fluxshard map history`.")
author_option = click.option("--author", "actor", help="Who.  [default: user@host]")
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


@click.command()
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
    """Show what applying FILE would change, and what of it would be refused.

    Of tenants that change their home it tells rows, bytes, minutes and the pause of their writes.
    """
    if (file is None) != from_env:
        raise click.UsageError("give either FILE or --from-env")

    async def work() -> tuple[ShardMap | None, ShardMap]:
        old = await catalog.stored()
        if file is not None:
            return old, read_file(file, old)
        given = given_cluster(catalog.settings)
        if old is not None:
            return old, adopted(old, given)
        return old, first_from(given, new_cluster_id())

    old, asked = run(work())
    proposal, estimate = run(shown(catalog, old, asked))
    if output is not None:
        put_map(asked, output, as_json=False)
    if as_json:
        document = {**proposal.document(), "estimate": estimate.document() if estimate else None}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        click.echo(proposal.text() + (estimate.text() if estimate else ""), nl=False)
    if proposal.refused:
        sys.exit(PROBLEMS)


@click.command()
@file_argument
@reason_option
@author_option
@yes_option
@catalog_options
def apply(*, catalog: Catalog, file: IO[str], reason: str, actor: str | None, yes: bool) -> None:
    """Put FILE in force as the next epoch.

    Checks the document, the change, and the tables on every server that answers; claims the
    servers of new shards, and guards globally unique columns. If somebody else has applied a map
    meanwhile, nothing happens.
    """

    async def work() -> tuple[ShardMap | None, ShardMap]:
        old = await catalog.stored()
        return old, read_file(file, old)

    old, asked = run(work())
    carry_out(catalog, old, asked, Why(actor or author(), "cli", reason), yes=yes)


@click.command()
@click.argument("epoch", type=click.IntRange(min=1))
@reason_option
@author_option
@yes_option
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
@catalog_options
def rollback(  # noqa: PLR0913 - one parameter per option
    *, catalog: Catalog, epoch: int, reason: str, actor: str | None, yes: bool, dry_run: bool
) -> None:
    """Put in force again what EPOCH said, as a new epoch.

    Epochs of units stay: they never go back. Tenants that have moved since then move back.
    """

    async def work() -> tuple[ShardMap, ShardMap]:
        async with catalog_session(catalog.endpoints, catalog.environ, writable=False) as session:
            source = CatalogSource(session)
            newest, older = await source.newest(), await source.at(epoch)
        if newest is None or older is None:
            raise Failed([f"there is no epoch {epoch}"], PROBLEMS)
        return newest, reverted(newest, older)

    old, asked = run(work())
    why = Why(actor or author(), "cli", f"{reason} (back to epoch {epoch})")
    carry_out(catalog, old, asked, why, yes=yes, dry_run=dry_run)
