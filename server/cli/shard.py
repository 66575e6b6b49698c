"""`fluxshard shard`: shards join, leave, weigh more or less, take over from others."""

import json
from collections.abc import Callable
from typing import Any

import click

from router import RouterError
from server.cli.mapaccess import PROBLEMS, Catalog, Failed, catalog_options, json_option, run
from server.cli.maptext import columns_text
from server.cli.wanting import Wanted, wanting
from server.joining import JoinError, join, settle_reference_tables
from shardmap import (
    Endpoint,
    Plain,
    Shard,
    ShardId,
    ShardMap,
    handed_over,
    read_document,
    weighted,
    with_shard,
    without_shard,
    write_document,
)


@click.group("shard")
def command() -> None:
    """The shards of the map: list, add, remove, set-weight, replace.

    Ends with 0 if all is well, 1 with problems or a refusal, 2 for wrong usage, 3 when a server
    cannot be reached.
    """


@command.command("list")
@json_option
@catalog_options
def list_(*, catalog: Catalog, as_json: bool) -> None:
    """Show each shard with its slots, pins and servers."""
    shard_map = run(catalog.stored())
    if shard_map is None:
        raise Failed(["no map has been applied"], PROBLEMS)
    rows = [_row(shard_map, shard) for shard in shard_map.shards.values()]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    table = [("SHARD", "SLOTS", "PINS", "WEIGHT", "REGION", "PRIMARY", "REPLICAS")]
    table += [
        (
            row["shard"],
            str(row["slots"]),
            str(row["pins"]),
            str(row["weight"]),
            row["region"] or "",
            row["primary"],
            ", ".join(row["replicas"]),
        )
        for row in rows
    ]
    click.echo(columns_text(table), nl=False)


@command.command()
@click.argument("name")
@click.option("--primary", required=True, metavar="URL", help="Its server, without a password.")
@click.option("--replica", "replicas", multiple=True, metavar="URL|HOST:PORT", help="A replica.")
@click.option("--credentials", metavar="REF", help="env:NAME or file:/path, where its password is.")
@click.option("--weight", type=click.IntRange(0, 100), default=1, show_default=True)
@click.option(
    "--durability", type=click.Choice(["async", "quorum"]), default="async", show_default=True
)
@click.option("--region", help="A label.")
@wanting
def add(  # noqa: PLR0913 - one parameter per option
    *,
    wanted: Wanted,
    name: str,
    primary: str,
    replicas: tuple[str, ...],
    credentials: str | None,
    weight: int,
    durability: str,
    region: str | None,
) -> None:
    """Let the empty database at URL join as shard NAME, without slots.

    With --apply it gets roles and functions, the schema of an existing shard (by pg_dump), the
    ledger of migrations and the rows of reference tables; then the map names it. `fluxshard
    rebalance` moves tenants there.
    """
    old = wanted.old()
    form: dict[str, Any] = {
        "primary": {"url": primary, **({"credentials": credentials} if credentials else {})},
        "replicas": list(replicas),
        "weight": weight,
        "durability": durability,
        **({"region": region} if region else {}),
    }
    asked, shard = run(_joined(old, name, form))
    if wanted.apply:
        _join(wanted, asked, shard)
    wanted.carry_out(old, asked)
    if wanted.apply:
        _settle(wanted, shard)


@command.command()
@click.argument("name")
@wanting
def remove(*, wanted: Wanted, name: str) -> None:
    """Take the empty shard NAME out of the map. `fluxshard drain` empties it."""
    _change(wanted, lambda old: without_shard(old, ShardId(name)))


@command.command("set-weight")
@click.argument("name")
@click.argument("weight", type=click.IntRange(0, 100))
@wanting
def set_weight(*, wanted: Wanted, name: str, weight: int) -> None:
    """Give shard NAME another weight: its share of slots at the next `fluxshard rebalance`."""
    _change(wanted, lambda old: weighted(old, ShardId(name), weight))


@command.command()
@click.argument("old_name", metavar="OLD")
@click.argument("new_name", metavar="NEW")
@wanting
def replace(*, wanted: Wanted, old_name: str, new_name: str) -> None:
    """Move everything from shard OLD to the empty shard NEW, which takes its weight.

    For another machine or a newer PostgreSQL: `shard add` NEW first, `shard remove` OLD afterwards.
    """
    _change(wanted, lambda old: handed_over(old, ShardId(old_name), ShardId(new_name)))


def _change(wanted: Wanted, asked: Callable[[ShardMap], ShardMap]) -> None:
    old = wanted.old()

    async def work() -> ShardMap:
        return asked(old)

    wanted.carry_out(old, run(work()))


async def _joined(old: ShardMap, name: str, form: dict[str, Any]) -> tuple[ShardMap, Shard]:
    known = write_document(old)
    with_it = read_document({**known, "shards": {**_shards(known), name: form}})
    shard = with_it.shards[ShardId(name)]
    return with_shard(old, shard), shard


def _join(wanted: Wanted, asked: ShardMap, shard: Shard) -> None:
    exposed = wanted.catalog.settings.api.exposed_schemas
    try:
        done = run(join(asked, shard, wanted.catalog.environ, exposed))
    except JoinError as error:
        raise Failed([f"{error.code} {error}"], PROBLEMS) from error
    except RouterError as error:
        raise Failed([f"{error.code} {error.message}"], PROBLEMS) from error
    for line in done:
        click.echo(f"{shard.id} has {line}", err=True)


def _settle(wanted: Wanted, shard: Shard) -> None:
    newest = wanted.old()
    for table in run(settle_reference_tables(newest, shard, wanted.catalog.environ)):
        click.echo(f"{table} was written meanwhile, and copied again", err=True)


def _shards(document: dict[str, Plain]) -> dict[str, Plain]:
    found = document["shards"]
    return found if isinstance(found, dict) else {}


def _row(shard_map: ShardMap, shard: Shard) -> dict[str, Any]:
    return {
        "shard": shard.id,
        "slots": shard_map.slots.count(shard.id),
        "pins": sum(pin.shard == shard.id for pin in shard_map.pins.values()),
        "weight": shard.weight,
        "region": shard.region,
        "durability": shard.durability.value,
        "primary": _place(shard.primary),
        "replicas": [_place(replica) for replica in shard.replicas],
    }


def _place(endpoint: Endpoint) -> str:
    return f"{endpoint.name} ({endpoint.host}:{endpoint.port}/{endpoint.database})"
