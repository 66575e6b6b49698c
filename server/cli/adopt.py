"""`fluxshard adopt URL`: an existing application's database as shard 0, and how it can be sharded."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Final

import click

from server.adopting.proposing import Adoption, migration, propose_adoption
from server.author import author
from server.catalog import connected
from server.cli.mapaccess import USAGE, Failed, run
from server.mapchange.applying import Known, Why, apply_change, look_at, stored_map
from server.mapstart import new_cluster_id
from shardmap import (
    CATALOG,
    SLOTS,
    Endpoint,
    Facts,
    MapRefused,
    Problem,
    Shard,
    Sharded,
    ShardId,
    ShardMap,
    TableName,
    Unsharded,
    endpoint_at_url,
    read_facts,
    table_findings,
    write_yaml,
)

SHARD: Final = ShardId("shard_0")
_TABLES: Final = """
select n.nspname || '.' || c.relname as name
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and not c.relispartition
    and n.nspname not in ('pg_catalog', 'information_schema', 'fluxshard', 'auth')
    and n.nspname not like 'pg\\_%'
order by 1
"""


@click.command("adopt")
@click.argument("url")
@click.option("--credentials", metavar="REF", help="env:NAME or file:/path, where the password is.")
@click.option(
    "--tenant-column", "column", help="What the tenant column is called.  [default: guessed]"
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the maps and the migration into this directory.",
)
@click.option(
    "--apply", is_flag=True, help="Put the first map in force: the database unchanged, as shard 0."
)
def command(
    *, url: str, credentials: str | None, column: str | None, output: Path | None, apply: bool
) -> None:  # fmt: skip
    """Look at the database at URL, and show how its tables could be placed.

    Tables are placed by their columns and foreign keys; what lacks the tenant column is listed.
    With -o the directory gets 1-as-it-is.yaml (the database unchanged, everything on one shard),
    migration.sql, and 2-sharded.yaml, to be applied after the migration. Then `fluxshard shard add`
    and `fluxshard rebalance` move tenants to other servers while they are served.
    """

    async def look() -> tuple[Endpoint, Facts]:
        primary = endpoint_at_url(url, SHARD, credentials)
        async with connected(primary, os.environ) as session:
            names = [TableName(row["name"]) for row in await session.fetch(_TABLES)]
            return primary, await read_facts(session, names)

    async def proposed() -> Adoption:
        return propose_adoption(facts, column)

    primary, facts = run(look())
    adoption = run(proposed())
    before, after = _maps(primary, adoption)
    _show(adoption, facts, after)
    if output is not None:
        _write(output, before, after, migration(adoption, facts))
    if apply:
        run(_apply(before, primary))
        click.echo("epoch 1 is in force: the database is shard_0, unchanged")


def _maps(primary: Endpoint, adoption: Adoption) -> tuple[ShardMap, ShardMap]:
    """The database as it is, and as it can be once it was migrated."""
    before = ShardMap(
        cluster_id=new_cluster_id(),
        epoch=0,
        key_type=adoption.key_type,
        shards={SHARD: Shard(SHARD, primary, ())},
        catalog=replace(primary, name=f"{CATALOG}-a"),
        catalog_replicas=(),
        slots=(SHARD,) * SLOTS,
        default_placement=Unsharded(),
    )
    return before, replace(before, tables=adoption.tables, default_placement=None)


def _show(adoption: Adoption, facts: Facts, after: ShardMap) -> None:
    tenants = f", whose own table is {adoption.tenants}" if adoption.tenants else ""
    click.echo(f"tenants are told by {adoption.column} ({adoption.type}){tenants}")
    lacking = {one.table: one.parent for one in adoption.lacking}
    for table, placement in adoption.tables.items():
        words = f"sharded by {placement.column}" if isinstance(placement, Sharded) else "reference"
        parent = f"; lacks the column, which {lacking[table]} has" if table in lacking else ""
        click.echo(f"  {table}: {words}{parent}")
    for finding in table_findings(after, SHARD, facts):
        click.echo("\n".join(finding.lines(finding.severity)))


def _write(directory: Path, before: ShardMap, after: ShardMap, sql: str) -> None:
    files = {
        "1-as-it-is.yaml": write_yaml(before),
        "migration.sql": sql,
        "2-sharded.yaml": write_yaml(after),
    }
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            with (directory / name).open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise Failed([f"{error.filename}: {error.strerror}"], USAGE) from error
    click.echo(f"{', '.join(files)} are in {directory}")


async def _apply(before: ShardMap, primary: Endpoint) -> None:
    catalogue = Known((before.catalog,), os.environ)
    if await stored_map(catalogue) is not None:
        raise MapRefused([Problem("epoch", "the database has a map already")])
    looked = await look_at(catalogue, None, before)
    if looked.problems:
        raise MapRefused(looked.problems)
    why = Why(author(), "cli", f"adopted {primary.database}")
    await apply_change(catalogue, looked.proposal, why)
