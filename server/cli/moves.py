"""`fluxshard moves`: the journal, and what can be done with a move that it has."""

import json
from collections.abc import Awaitable, Callable

import click

from server.cli.mapaccess import PROBLEMS, Catalog, Failed, catalog_options, json_option
from server.cli.movetext import Screen, move_text, moves_text
from server.cli.moving import with_moves, yes_option
from server.moves import ENDED, Move, Moves, Progress
from shardmap import ShardMap

id_argument = click.argument("move", metavar="ID", type=click.IntRange(min=1))
all_option = click.option("--all", "everything", is_flag=True, help="Those that have ended, too.")


@click.group("moves", invoke_without_command=True)
@all_option
@json_option
@catalog_options
@click.pass_context
def command(ctx: click.Context, *, catalog: Catalog, everything: bool, as_json: bool) -> None:
    """List moves, and pause, resume, abort, roll back, compare or clean one up."""
    if ctx.invoked_subcommand is not None:
        return

    async def work(moves: Moves, _: ShardMap) -> tuple[Move, ...]:
        return await moves.journal.all()

    found = [one for one in with_moves(catalog, work) if everything or one.state not in ENDED]
    if as_json:
        click.echo(json.dumps([one.document() for one in found], indent=2))
    elif found:
        click.echo(moves_text(found))
    else:
        click.echo("no move is under way or within its retention", err=True)


@command.command()
@id_argument
@json_option
@catalog_options
def show(*, catalog: Catalog, move: int, as_json: bool) -> None:
    """Show a move with every transition."""

    async def work(moves: Moves, _: ShardMap) -> str:
        found, steps = await moves.journal.one(move), await moves.journal.steps(move)
        if as_json:
            return json.dumps({**found.document(), "steps": list(steps)}, indent=2)
        return move_text(found, steps)

    click.echo(with_moves(catalog, work))


@command.command()
@id_argument
@catalog_options
def pause(*, catalog: Catalog, move: int) -> None:
    """Stop a move before its cutover; the copy goes on following its source."""

    async def work(moves: Moves, _: ShardMap) -> None:
        await moves.journal.pause(move)

    with_moves(catalog, work)
    click.echo(f"move {move} stops before its next step")


@command.command()
@id_argument
@click.option("--repair", is_flag=True, help="Put rows right that differ.")
@json_option
@catalog_options
def resume(*, catalog: Catalog, move: int, repair: bool, as_json: bool) -> None:
    """Go on with a move that was paused, failed, or lost its process."""
    _carry(catalog, as_json, lambda moves, observe: moves.resume(move, observe, repair=repair))


@command.command()
@id_argument
@json_option
@catalog_options
def abort(*, catalog: Catalog, move: int, as_json: bool) -> None:
    """Undo a move before its cutover: nothing is left of it."""
    _carry(catalog, as_json, lambda moves, observe: moves.abort(move, observe))


@command.command()
@id_argument
@yes_option
@json_option
@catalog_options
def rollback(*, catalog: Catalog, move: int, yes: bool, as_json: bool) -> None:
    """Bring home again what a move took away, with what was written since."""
    if not yes:
        click.confirm(f"Roll move {move} back?", abort=True)
    _carry(catalog, as_json, lambda moves, observe: moves.rollback(move, observe))


@command.command()
@id_argument
@yes_option
@json_option
@catalog_options
def clean(*, catalog: Catalog, move: int, yes: bool, as_json: bool) -> None:
    """End a move's retention: the old rows go, and with them the way back."""
    if not yes:
        click.confirm(f"Take the old rows of move {move} away?", abort=True)
    _carry(catalog, as_json, lambda moves, observe: moves.clean(move, observe))


@command.command()
@id_argument
@json_option
@catalog_options
def verify(*, catalog: Catalog, move: int, as_json: bool) -> None:
    """Compare both sides of a move row by row, while clients go on; ends with 1 if rows differ."""

    async def work(moves: Moves, _: ShardMap) -> tuple[list[dict[str, object]], list[str], int]:
        found, rows = await moves.compare(move)
        return [one.document() for one in found], [str(one) for one in found], rows

    documents, lines, rows = with_moves(catalog, work)
    if as_json:
        click.echo(json.dumps({"rows": rows, "differences": documents}, indent=2))
    if lines:
        raise Failed([] if as_json else lines, PROBLEMS)
    if not as_json:
        click.echo(f"{rows:,} rows, all the same")


def _carry(
    catalog: Catalog,
    as_json: bool,  # noqa: FBT001 - as the option
    how: Callable[[Moves, Callable[[Progress], None]], Awaitable[Move]],
) -> None:
    screen = Screen(as_json=as_json)

    async def work(moves: Moves, _: ShardMap) -> Move:
        return await how(moves, screen)

    ended = with_moves(catalog, work)
    if not as_json:
        click.echo(f"move {ended.id}: {ended.title} is {ended.state}")
