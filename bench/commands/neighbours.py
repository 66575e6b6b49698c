"""`fluxshard bench neighbours`: whether one tenant, or one shard, in trouble harms the others."""

import json
from pathlib import Path

import click

from bench.commands.options import limit_option, run, settings_option, told
from bench.limits import Limit
from bench.neighbours.trial import WORKLOAD, Trial
from bench.report import publish
from bench.result import Result, Run
from bench.workloads import Size, workload
from bench.world import SERVED_BY, WorldSpec, open_for

NOTES = (
    "open loop, arrivals by chance; latencies count from when a request was due",
    "the bound is twice the normal p99 and 5 ms",
    "how many statements are let in to a server follows how slow they become, so that a flood waits"
    " in Fluxshard, where tenants take turns, and not in the server, where nobody does",
    "load generators, router and servers share this machine; what each costs is printed",
)


@click.command()
@click.option("--replicas", default=1, show_default=True, help="Of each of the two shards.")
@click.option("--workers", default=1, show_default=True, help="Processes of Fluxshard.")
@click.option(
    "--connections",
    type=click.IntRange(min=1),
    help="FLUXBASE_DATABASE_MAX_CONNECTIONS.  [default: what Fluxshard has by default]",
)
@limit_option("service:20ms*4")
@click.option("--tenants", default=20, show_default=True)
@click.option("--seconds", default=5.0, show_default=True, help="Of each measurement.")
@settings_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--seed", default=1, show_default=True, help="Seeds all that is by chance.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="A directory for result.json, table and plots.",
)
def command(  # noqa: PLR0913 - its options
    *,
    replicas: int,
    workers: int,
    connections: int | None,
    limit: Limit,
    tenants: int,
    seconds: float,
    settings: dict[str, str],
    as_json: bool,
    seed: int,
    out: Path | None,
) -> None:
    """Let one tenant ask for fifty times its share, and then let one shard freeze.

    Fluxshard runs with its defaults; `--set FLUXSHARD_LEAST_IN_FLIGHT=0` shows what it is like
    when all connections may always be used. All others ask for 40 % of the measured capacity together, in an open loop. Their p99 may become
    twice what it was and 5 ms, and none of their requests may fail. Ends with 1 when that is not so.
    """
    settings = {**SERVED_BY, **settings}
    if connections is not None:
        settings["FLUXBASE_DATABASE_MAX_CONNECTIONS"] = str(connections)
    spec = WorldSpec(
        shards=2, replicas=replicas, workers=workers, limit=limit, settings=settings, seed=seed
    )
    result, broken = run(_tried(spec, Size(tenants=tenants), seconds, seed, quiet=as_json))
    if out is not None:
        told(publish(result, out).splitlines()[-1])
    if as_json:
        click.echo(json.dumps(result.as_json()))
    if broken:
        raise SystemExit(1)


async def _tried(
    spec: WorldSpec, size: Size, seconds: float, seed: int, *, quiet: bool
) -> tuple[Result, list[str]]:
    async with open_for(spec, workload(WORKLOAD, size), told) as world:
        trial = Trial(world, size, seconds, seed, told)
        capacity = await trial.capacity()
        troubles = [await trial.flood(capacity), await trial.halt(capacity)]
    rounds = {"capacity": capacity.round}
    for trouble in troubles:
        for when, found in (("before", trouble.normal), ("meanwhile", trouble.meanwhile)):
            rounds |= {f"{trouble.name}, {when}: {group}": one for group, one in found.items()}
        rounds |= {f"{trouble.name}: {group}": one for group, one in trouble.makers.items()}
    title = (
        f"neighbours: {size.tenants} tenants on 2 shards at 40 % of"
        f" {capacity.rate:,.0f} requests/s, at most"
        f" {spec.settings.get('FLUXBASE_DATABASE_MAX_CONNECTIONS', 25)} connections to a server,"
        f" {spec.limit}"
    )
    if not quiet:
        click.echo("\n".join([title, *(line for one in troubles for line in one.lines())]))
    result = Result(
        command="neighbours",
        title=title,
        runs=[
            Run(name=name, parameters={}, world=spec.as_json(), rounds=[one])
            for name, one in rounds.items()
        ],
        figures={name: row for one in troubles for name, row in one.figures().items()},
        details={one.name: one.as_json() for one in troubles},
        notes=NOTES,
    )
    return result, [what for one in troubles for what in one.broken]
