"""`fluxshard unpin`: a tenant goes back to its slot, and the slot's home."""

import click

from server.cli.mapaccess import Catalog, catalog_options
from server.cli.movetext import Screen, plan_text
from server.cli.moving import canonical, max_pause_option, with_moves, yes_option
from server.moves import Limits, MoveRefused, MoveRequest, Moves, State, newest_map, unpin_at_home
from shardmap import ShardMap, slot_of


@click.command("unpin")
@click.argument("tenant")
@click.option(
    "--reason",
    default="unpinned by hand",
    show_default=True,
    help="Why, for `fluxshard map history`.",
)
@max_pause_option
@yes_option
@catalog_options
def command(*, catalog: Catalog, tenant: str, reason: str, max_pause_s: float, yes: bool) -> None:
    """Take TENANT's pin away. If its slot is elsewhere, the tenant moves there first, for good."""
    limits = Limits(max_pause_s=max_pause_s)
    screen = Screen(as_json=False)

    async def home(moves: Moves, shard_map: ShardMap) -> None:
        key = canonical(shard_map, tenant)
        plans = await moves.plan(MoveRequest(shard_map.slots[slot_of(key)], tenants=(key,)))
        if not plans:
            return
        click.echo(plan_text(plans, max_pause_s))
        if plans[0].problems:
            raise MoveRefused(plans[0].problems)
        if not yes:
            click.confirm("Move it there, without a way back, and take the pin away?", abort=True)
        for outcome in await moves.run(plans, screen):
            if outcome.error is not None:
                raise outcome.error

    async def unpinned(moves: Moves, shard_map: ShardMap) -> ShardMap:
        key = canonical(shard_map, tenant)
        for move in await moves.journal.unfinished():
            if move.tenants == (key,) and move.state is State.MOVED:
                await moves.clean(move.id, screen)
        await unpin_at_home(moves.places, key, author=moves.author, reason=reason)
        return await newest_map(moves.places)

    with_moves(catalog, home, limits)
    after = with_moves(catalog, unpinned, limits)
    key = canonical(after, tenant)
    click.echo(
        f"tenant {key} is in slot {slot_of(key)} on {after.owner(key)}, epoch {after.epoch} is in force"
    )
