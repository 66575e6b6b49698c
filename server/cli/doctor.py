"""`fluxshard doctor`: what moves have left on servers, and how to mend it."""

import json

import click

from server.cli.mapaccess import PROBLEMS, Catalog, Failed, catalog_options, json_option
from server.cli.moving import with_moves
from server.moves import Ailment, Moves, examine
from shardmap import ShardMap


@click.command("doctor")
@json_option
@catalog_options
def command(*, catalog: Catalog, as_json: bool) -> None:
    """Look for leftover publications, slots, subscriptions, fences, locks and prepared transactions.

    Changes nothing; says for each what mends it. Ends with 1 if there is anything.
    """

    async def work(moves: Moves, _: ShardMap) -> tuple[Ailment, ...]:
        return await examine(moves.places)

    found = with_moves(catalog, work)
    if as_json:
        click.echo(json.dumps([one.document() for one in found], indent=2))
    elif not found:
        click.echo("all is well")
    if found:
        lines = [f"{one.place}: {one.what}\n    {one.mend}" for one in found]
        raise Failed([] if as_json else lines, PROBLEMS)
