"""`fluxshard move`: a tenant, or whole slots, to another shard, while clients go on."""

import json
from collections.abc import Sequence
from typing import Final

import click

from server.cli.mapaccess import PROBLEMS, Catalog, Failed, catalog_options, json_option
from server.cli.movetext import Screen, plan_text
from server.cli.moving import canonical, command_error, max_pause_option, with_moves, yes_option
from server.moves import Limits, MovePlan, MoveRequest, Moves, Outcome
from shardmap import SLOTS, ShardId, ShardMap, parse_ranges

AT_ONCE: Final = 2


@click.command("move")
@click.argument("tenants", nargs=-1, metavar="TENANT…")
@click.option(
    "--slots", "slots_text", metavar="RANGES", help='Whole slots instead, such as "0-63, 512".'
)
@click.option("--to", "target", required=True, metavar="SHARD", help="The shard they are to be on.")
@click.option("--dry-run", is_flag=True, help="Check everything, change nothing.")
@max_pause_option
@click.option(
    "--at-once",
    type=click.IntRange(1, 16),
    default=AT_ONCE,
    show_default=True,
    help="Moves at the same time.",
)
@yes_option
@json_option
@catalog_options
def command(  # noqa: PLR0913 - the options
    *,
    catalog: Catalog,
    tenants: tuple[str, ...],
    slots_text: str | None,
    target: str,
    dry_run: bool,
    max_pause_s: float,
    at_once: int,
    yes: bool,
    as_json: bool,
) -> None:
    """Move TENANT to another shard while it is read and written.

    The rows are copied, compared with their origin, and the home changes within --max-pause. For as
    long as you like `fluxshard moves rollback` brings them back, with what was written since; `moves
    clean` ends that. Ends with 0 if all moved, 1 with a refusal or an error, 3 when a server is away.
    """
    if bool(tenants) == (slots_text is not None):
        raise click.UsageError("give either tenants or --slots")
    slots = _slots(slots_text)
    limits = Limits(at_once=at_once, per_shard=at_once, max_pause_s=max_pause_s)

    async def plan(moves: Moves, shard_map: ShardMap) -> tuple[MovePlan, ...]:
        keys = tuple(dict.fromkeys(canonical(shard_map, tenant) for tenant in tenants))
        return await moves.plan(MoveRequest(ShardId(target), tenants=keys, slots=slots))

    plans = with_moves(catalog, plan, limits)
    _tell(plans, target, limits, as_json=as_json, dry_run=dry_run)
    if dry_run or not plans:
        return
    if not yes:
        click.confirm("Move?", abort=True)

    async def work(moves: Moves, _: ShardMap) -> tuple[Outcome, ...]:
        return await moves.run(plans, Screen(as_json=as_json))

    _conclude(with_moves(catalog, work, limits), target, as_json=as_json)


def _tell(
    plans: Sequence[MovePlan], target: str, limits: Limits, *, as_json: bool, dry_run: bool
) -> None:
    if as_json and dry_run:
        click.echo(json.dumps([one.document() for one in plans], indent=2))
    elif plans:
        click.echo(plan_text(plans, limits.max_pause_s), err=as_json)
    else:
        click.echo(f"all of it is on {target}", err=as_json)
    if any(one.problems for one in plans):
        raise Failed(["V101 nothing was begun"], PROBLEMS)


def _conclude(outcomes: Sequence[Outcome], target: str, *, as_json: bool) -> None:
    for outcome in outcomes:
        if outcome.error is not None:
            raise command_error(outcome.error)
        if outcome.move is not None and not as_json:
            number = outcome.move.id
            click.echo(
                f"move {number}: {outcome.move.title} is on {target}. `fluxshard moves rollback"
                f" {number}` takes it back, `moves clean {number}` forgets the old rows"
            )


def _slots(text: str | None) -> tuple[int, ...]:
    if text is None:
        return ()
    try:
        slots = parse_ranges(text)
    except ValueError as error:
        raise click.UsageError(f"--slots: {error}") from error
    if any(slot >= SLOTS for slot in slots):
        raise click.UsageError(f"--slots: slots are numbered from 0 to {SLOTS - 1}")
    return tuple(slots)
