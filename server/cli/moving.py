"""What the commands about moves have in common: the moves of the catalog's map, and how they end."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Final, TypeVar

import click

from server.cli.mapaccess import PROBLEMS, UNREACHABLE, Catalog, Failed, run
from server.moves import Limits, MoveAway, MoveError, Moves, Places, server_errors
from shardmap import ShardMap, TenantId, tenant_id

T = TypeVar("T")

INTERRUPTED: Final = 130

max_pause_option = click.option(
    "--max-pause",
    "max_pause_s",
    type=click.FloatRange(0.02, 60),
    default=0.5,
    show_default=True,
    metavar="S",
    help="How long writers may wait in one attempt at the cutover.",
)
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


def with_moves(
    catalog: Catalog, work: Callable[[Moves, ShardMap], Awaitable[T]], limits: Limits | None = None
) -> T:
    """The result of work on the moves of the map in force; errors end the command by name."""

    async def outer() -> T:
        shard_map = await catalog.stored()
        if shard_map is None:
            raise Failed(["no map has been applied"], PROBLEMS)
        return await work(Moves(Places(shard_map, catalog.environ), limits), shard_map)

    try:
        return named(outer())
    except (KeyboardInterrupt, asyncio.CancelledError) as error:
        raise Failed(
            ["interrupted; `fluxshard moves` shows where, `moves resume` goes on"], INTERRUPTED
        ) from error


def named(work: Coroutine[object, object, T]) -> T:
    """The result; an error of a move, or of a server that it needs, ends the command by name."""

    async def outer() -> T:
        with server_errors():
            return await work

    try:
        return run(outer())
    except MoveError as error:
        raise command_error(error) from error


def canonical(shard_map: ShardMap, tenant: str) -> TenantId:
    """The tenant's key in canonical text."""
    return tenant_id(shard_map.key_type, tenant)


def command_error(error: MoveError) -> Failed:
    """An error of one of several moves, as the end of the command."""
    code = UNREACHABLE if isinstance(error, MoveAway) else PROBLEMS
    return Failed([f"{error.code} {line}" for line in error.lines], code)
