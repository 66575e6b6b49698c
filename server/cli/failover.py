"""`fluxshard failover`: another server of a shard becomes its primary."""

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from server.author import author
from server.cli.mapaccess import Catalog, catalog_options, json_option
from server.embedded import ClusterSpec, EmbeddedCluster, EmbeddedError
from server.errors import SettingsInvalid
from server.failover import (
    Asked,
    Done,
    FailoverError,
    FailoverPlan,
    FailoverRefused,
    NotPermitted,
    ServerFacts,
    Servers,
    Streaming,
    make_plan,
)
from server.mapstart import given_cluster
from server.state import last_good_copy
from shardmap import (
    CATALOG,
    Durability,
    Endpoint,
    Login,
    MapUnavailable,
    Shard,
    ShardMap,
    ShardMapError,
    first_from,
    resolve,
)

CANNOT: Final = 1
REFUSED: Final = 3
BROKEN: Final = 4
BY_HAND: Final = 5

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The command's arguments."""

    shard: str
    to: str | None
    accept_loss: bool
    only_plan: bool
    as_json: bool

    def tell(self, line: str) -> None:
        """A line for people: beside the JSON, if that is asked for."""
        click.echo(line, err=self.as_json)


@click.command("failover")
@click.argument("shard")
@click.option("--to", metavar="ENDPOINT", help="Promote this replica.  [default: the furthest one]")
@click.option(
    "--accept-loss", is_flag=True, help="Go on even if acknowledged writes may be lost with it."
)
@click.option("--plan", "only_plan", is_flag=True, help="Only show what would be done.")
@click.option(
    "--dir",
    "directory",
    envvar="FLUXSHARD_CLUSTER_DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The shard is of the embedded cluster in this directory.  [default:"
    " $FLUXSHARD_CLUSTER_DIR; without either, its servers are those of the shard map]",
)
@json_option
@catalog_options
def command(  # noqa: PLR0913 - one parameter per option
    *,
    catalog: Catalog,
    directory: Path | None,
    shard: str,
    to: str | None,
    accept_loss: bool,
    only_plan: bool,
    as_json: bool,
) -> None:
    """Make another server of SHARD its primary: the plan is shown, then carried out.

    A primary that answers is demoted first, and nothing is lost. One that does not is given up:
    then the furthest replica is promoted, and what could lose acknowledged writes is refused by
    name. On plain streaming replication the login is FLUXBASE_DATABASE_ADMIN_USER, a superuser. How to
    go back, and what else there is to know, is in docs/failover.md.

    Ends with 0 when it is done, 1 when it cannot be begun, 3 when it is refused and nothing was
    changed, 4 when it was begun and could not be finished, 5 when it is done and something is left
    to be done by hand.
    """
    wanted = _Wanted(shard, to, accept_loss, only_plan, as_json)
    try:
        if directory is not None:
            work = _embedded(EmbeddedCluster(ClusterSpec(directory=directory)), wanted)
        else:
            work = _streaming(catalog, wanted)
        done = asyncio.run(work)
    except SettingsInvalid as error:
        _end(wanted, CANNOT, "SETTINGS", "; ".join(map(str, error.problems)))
    except (FailoverRefused, NotPermitted) as error:
        _end(wanted, REFUSED, error.code, error.message, error.hint)
    except FailoverError as error:
        _end(wanted, BROKEN, error.code, error.message, error.hint)
    except EmbeddedError as error:
        refused = error.code == "E160"
        _end(wanted, REFUSED if refused else BROKEN, error.code, error.message, error.hint)
    except ShardMapError as error:
        _end(wanted, CANNOT, error.code, str(error))
    else:
        _tell(wanted, done)


def _tell(wanted: _Wanted, done: Done | FailoverPlan) -> None:
    if wanted.as_json:
        click.echo(json.dumps(done.document(), indent=2))
    if not isinstance(done, Done):
        return
    for warning in done.warnings:
        wanted.tell(f"warning: {warning}")
    wanted.tell(f"{done.plan.heir} is the primary of {wanted.shard}.")
    if done.by_hand:
        wanted.tell("\nLeft to be done by hand:\n" + "\n".join(done.by_hand))
        sys.exit(BY_HAND)


def _end(wanted: _Wanted, exit_code: int, code: str, message: str, hint: str | None = None) -> None:
    if wanted.as_json:
        error = {"code": code, "message": message, "hint": hint}
        click.echo(json.dumps({"shard": wanted.shard, "done": False, "error": error}, indent=2))
    click.echo(f"Error: {code} {message}" + (f"\nHint: {hint}" if hint else ""), err=True)
    sys.exit(exit_code)


def _show(wanted: _Wanted, plan: FailoverPlan) -> None:
    """The plan, before anything is done."""
    kind = "switchover" if plan.planned else "failover"
    wanted.tell(f"{kind} of {wanted.shard} ({plan.asked.durability}) to {plan.heir}")
    for name, place in plan.places.items():
        wanted.tell(f"  {name}: {place}")
    for name in plan.lost:
        wanted.tell(f"  {name}: does not answer, or was left behind")
    if plan.asked.also:
        wanted.tell(f"  the same servers hold {', '.join(plan.asked.also)}: they go along")
    for loss in plan.losses:
        wanted.tell(f"  accepted loss: {loss}")
    for number, step in enumerate(plan.steps, 1):
        wanted.tell(f"{number}. {step}")
    wanted.tell("")


async def _embedded(cluster: EmbeddedCluster, wanted: _Wanted) -> Done | FailoverPlan:
    shards = {shard.id: shard for shard in cluster.endpoints().all}
    found = _found(shards, wanted.shard)
    asked = Asked(wanted.shard, found.durability, wanted.to, wanted.accept_loss, embedded=True)
    servers = Servers(found.endpoints, _resolved)
    plan = make_plan(asked, await servers.facts())
    _show(wanted, plan)
    if wanted.only_plan:
        return plan
    heir = await cluster.promote(
        wanted.shard, to=plan.heir, accept_loss=wanted.accept_loss, progress=wanted.tell
    )
    for name in plan.lost:  # a server that stood still is stopped by now
        await cluster.start(name, progress=wanted.tell)
    fact = await servers.fact(heir)
    others = tuple(one.name for one in found.endpoints if one.name != heir)
    return Done(plan, fact.timeline, others, ())


async def _streaming(catalog: Catalog, wanted: _Wanted) -> Done | FailoverPlan:
    settings = catalog.settings
    environ = {**settings.environ, **catalog.environ}
    shard_map = await _map(catalog, wanted)
    admin = settings.database.admin_user
    password = settings.database.admin_password or None

    def login(endpoint: Endpoint) -> Login:
        return Login(admin, password) if admin else resolve(endpoint, environ)

    catalog_shard = Shard(
        CATALOG, shard_map.catalog, shard_map.catalog_replicas, durability=Durability.ASYNC
    )
    shards = {**shard_map.shards, CATALOG: catalog_shard}
    found = _found(shards, wanted.shard)
    databases, also = _neighbours(found, shards)
    asked = Asked(wanted.shard, found.durability, wanted.to, wanted.accept_loss, databases, also)
    servers = Servers(found.endpoints, login)
    facts: tuple[ServerFacts, ...] = await servers.facts()
    plan = make_plan(asked, facts)
    _show(wanted, plan)
    if wanted.only_plan:
        return plan
    wanted.tell(f"begun by {author()}")
    return await Streaming(servers, wanted.tell).carry_out(plan, facts)


async def _map(catalog: Catalog, wanted: _Wanted) -> ShardMap:
    """The map in force; with the catalog away the last good copy of it."""
    settings = catalog.settings
    try:
        stored = await catalog.stored()
    except MapUnavailable as error:
        wanted.tell(f"{error}: going by the last good copy of the map")
        return last_good_copy(settings).read()
    return stored if stored is not None else first_from(given_cluster(settings), "undecided")


def _found(shards: Any, name: str) -> Shard:
    found: Shard | None = shards.get(name)
    if found is None:
        raise FailoverRefused(f"there is no shard {name}; there are {', '.join(sorted(shards))}")
    return found


def _neighbours(found: Shard, shards: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The databases on the shard's servers, and whose they are besides."""
    servers = {endpoint.straight.address[:2] for endpoint in found.endpoints}
    here = [
        (shard.id, endpoint.straight.database)
        for shard in shards.values()
        for endpoint in shard.endpoints
        if endpoint.straight.address[:2] in servers
    ]
    databases = tuple(sorted({database for _, database in here}))
    return databases, tuple(sorted({shard for shard, _ in here} - {found.id}))


def _resolved(endpoint: Endpoint) -> Login:
    return resolve(endpoint, {})
