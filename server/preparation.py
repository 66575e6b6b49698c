"""What happens once before a server serves: the map, the databases, room for connections."""

import asyncio
from typing import Final

from router import ShardUnavailable, connection_budget, prepare_cluster
from server.author import author
from server.mapcheck import Findings, check_before_start
from server.mapstart import Origin, StartingMap, given_cluster, starting_map
from server.observe.console import Console
from server.observe.lines import Level
from server.rpc import load_procedures
from server.services import backend_settings, login_source
from server.settings import Settings
from server.standalone import standalone_map
from server.state import last_good_copy
from shardmap import ShardMap

COMMAND_LINES: Final = 1
"""Connections that are left free on each server for `fluxshard map` and the like."""


async def prepare(settings: Settings, console: Console) -> StartingMap:
    """The map to serve by, with every database that answers made ready for it.

    A shard that does not answer is passed over with a warning, unless this is its first map: it
    was prepared when it joined, and the other tenants need not wait for it.

    Raises:
        InvalidMap, IdentityTaken, MapUnavailable, CredentialsUnavailable: There is no map to
            begin with, see `starting_map`.
        DatabaseNotPrepared: A login role lacks the right to prepare its database.
        ConnectionBudgetExceeded: A server has no room for all connections that we may open.
        ShardDown: A shard of a first map does not answer.
        TablesUnsafe: Tables are such that a statement could touch another tenant's rows.
        ProceduresInvalid: Files of procedures have problems.
        NumberTaken: A server makes ids with another shard's number.
    """
    if settings.postgrest.standalone:
        return await _as_it_is(settings, console)
    load_procedures(settings.rpc)  # each worker reads them for itself; what is wrong is told now
    copy = last_good_copy(settings)
    starting = await starting_map(given_cluster(settings), copy, settings.environ, author=author())
    shard_map = starting.shard_map
    console.tell(Level.INFO, "map_found", origin=starting.origin, epoch=shard_map.epoch)
    if starting.catalog_trouble is not None:
        console.tell(Level.WARN, "catalog_lost", reason=starting.catalog_trouble)
    for problem in starting.warnings:
        console.tell(
            Level.WARN, "settings_differ_from_map", path=problem.path, message=problem.message
        )
    if starting.origin is not Origin.LAST_GOOD:
        try:
            await asyncio.to_thread(copy.keep, shard_map)
        except OSError as error:
            console.tell(Level.WARN, "map_copy_failed", path=copy.path, reason=error.strerror)

    workers = settings.process.workers
    backends, login = backend_settings(settings, workers), login_source(settings)
    try:
        await prepare_cluster(shard_map, login, backends)
    except ShardUnavailable as error:
        if starting.origin is Origin.SEEDED:
            raise
        console.tell(Level.WARN, "shard_not_prepared", code=error.code, reason=error.message)
    _tell(await check_before_start(shard_map, settings.environ), console)
    await _check_room(settings, shard_map, console)
    return starting


async def _as_it_is(settings: Settings, console: Console) -> StartingMap:
    """The map of one database in which nothing is made."""
    shard_map = standalone_map(settings)
    await _check_room(settings, shard_map, console)
    return StartingMap(shard_map, Origin.STANDALONE)


async def _check_room(settings: Settings, shard_map: ShardMap, console: Console) -> None:
    """Whether every server has room for our connections.

    Each worker has one that watches the catalog's map, and one that hears what is to be reloaded.
    """
    all_workers = settings.process.workers * settings.process.instances
    kinds = (not settings.postgrest.standalone) + settings.postgrest.channel_enabled
    budgets = await connection_budget(
        shard_map,
        backend_settings(settings, settings.process.workers),
        login_source(settings),
        workers=all_workers,
        others=all_workers * kinds + COMMAND_LINES,
    )
    for budget in budgets:
        if budget.allowed is None:
            console.tell(Level.WARN, "server_not_reached", server=f"{budget.host}:{budget.port}")


def _tell(findings: Findings, console: Console) -> None:
    for finding in findings.problems + findings.warnings:
        console.tell(
            Level.WARN,
            "table_unfit",
            rule=finding.rule,
            path=finding.path,
            message=finding.message,
            hint=finding.hint,
        )
    for shard, reason in findings.unreachable.items():
        console.tell(Level.WARN, "tables_not_checked", shard=shard, reason=reason)
