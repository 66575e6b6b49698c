"""`fluxshard pin`: a tenant gets an entry of the map of its own, where it is or on another shard."""

import click

from server.cli.mapaccess import Catalog, catalog_options
from server.cli.move import command as move_command
from server.cli.moving import canonical, max_pause_option, with_moves, yes_option
from server.moves import Moves, pin_at_home
from shardmap import ShardMap


@click.command("pin")
@click.argument("tenant")
@click.option("--to", "target", metavar="SHARD", help="Move it there.  [default: where it is]")
@click.option(
    "--reason",
    default="pinned by hand",
    show_default=True,
    help="Why, for `fluxshard map history`.",
)
@max_pause_option
@yes_option
@catalog_options
@click.pass_context
def command(  # noqa: PLR0913 - the options
    ctx: click.Context,
    *,
    catalog: Catalog,
    tenant: str,
    target: str | None,
    reason: str,
    max_pause_s: float,
    yes: bool,
) -> None:
    """Keep TENANT where it is, whatever becomes of its slot; or on the shard given by --to."""

    async def work(moves: Moves, shard_map: ShardMap) -> ShardMap:
        key = canonical(shard_map, tenant)
        return await pin_at_home(moves.places, key, author=moves.author, reason=reason)

    shard_map = with_moves(catalog, work)
    key = canonical(shard_map, tenant)
    click.echo(
        f"tenant {key} is pinned on {shard_map.owner(key)}, epoch {shard_map.epoch} is in force"
    )
    if target is not None and target != shard_map.owner(key):
        ctx.invoke(
            move_command,
            catalog_url=catalog.url,
            config=catalog.file,
            tenants=(tenant,),
            slots_text=None,
            target=target,
            dry_run=False,
            max_pause_s=max_pause_s,
            at_once=1,
            yes=yes,
            as_json=False,
        )
