"""`fluxshard bench run`: workloads, each on a world with its tables."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import click

from bench.commands.options import common_options, limit_option, run, told
from bench.limits import Limit
from bench.load import LoadSpec, measure
from bench.report import publish
from bench.result import Result, Run
from bench.workloads import WORKLOADS, Size, workload
from bench.world import SERVED_BY, World, WorldSpec, open_for


@click.command()
@click.argument(
    "names", metavar="WORKLOAD...", nargs=-1, required=True, type=click.Choice(list(WORKLOADS))
)
@click.option("--clients", default=32, show_default=True, help="Connections that ask.")
@click.option(
    "--open",
    "rate",
    type=click.FloatRange(0, min_open=True),
    help="An open loop of so many arrivals a second; latencies count from when they are due."
    "  [default: a closed loop]",
)
@click.option("--poisson", is_flag=True, help="Arrivals of the open loop come by chance.")
@click.option("--shards", default=1, show_default=True)
@click.option("--replicas", default=1, show_default=True, help="Of each shard.")
@click.option("--workers", default=1, show_default=True, help="Processes of Fluxshard.")
@click.option("--instances", default=1, show_default=True, help="Servers of Fluxshard.")
@limit_option("none")
@click.option("--delay", "delay_ms", default=0.0, help="Milliseconds that replicas lag behind.")
@click.option("--tenants", default=20, show_default=True)
@click.option("--rows", default=5_000, show_default=True, help="Of each tenant.")
@click.option("--rounds", default=1, show_default=True)
@click.option("--processes", default=1, show_default=True, help="Of the load generator.")
@common_options
def command(  # noqa: PLR0913 - its options
    *,
    names: tuple[str, ...],
    clients: int,
    rate: float | None,
    poisson: bool,
    shards: int,
    replicas: int,
    workers: int,
    instances: int,
    limit: Limit,
    delay_ms: float,
    tenants: int,
    rows: int,
    rounds: int,
    processes: int,
    seconds: float,
    warm_s: float,
    seed: int,
    out: Path | None,
) -> None:
    """Run each WORKLOAD and print its figures. Ends with 1 when an operation went wrong.

    Workloads on the same tables share a world, one after the other.
    """
    spec = WorldSpec(
        shards=shards,
        replicas=replicas,
        workers=workers,
        instances=instances,
        limit=limit,
        delay_s=delay_ms / 1000,
        settings=SERVED_BY,
        seed=seed,
    )
    load = LoadSpec(
        workload=names[0],
        size=Size(tenants, rows),
        clients=clients,
        rate=rate,
        poisson=poisson,
        warm_s=warm_s,
        seconds=seconds,
        seed=seed,
        processes=processes,
    )
    result = run(_measured(spec, load, names, rounds))
    click.echo(publish(result, out))
    if any(each.failed for found in result.runs for each in found.rounds):
        raise SystemExit(1)


async def _measured(spec: WorldSpec, load: LoadSpec, names: Sequence[str], rounds: int) -> Result:
    runs: list[Run] = []
    for _, sharing in groupby(names, lambda name: workload(name, load.size).data):
        first, *others = sharing
        async with open_for(spec, workload(first, load.size), told) as world:
            for name in (first, *others):
                runs.append(await _run(world, replace(load, workload=name), rounds, len(runs)))
    loop = f"{load.clients} clients" if load.rate is None else f"{load.rate:g} arrivals/s"
    return Result(
        command="run",
        title=f"{', '.join(names) if len(names) < 4 else f'{len(names)} workloads'}: {loop}, {load.seconds:g} s after {load.warm_s:g} s of warming up",
        runs=tuple(runs),
    )


async def _run(world: World, load: LoadSpec, rounds: int, before: int) -> Run:
    """The rounds of one workload; no two of a world have the same seed."""
    found = []
    for number in range(rounds):
        told(f"{load.workload}, round {number + 1} of {rounds}")
        seed = load.seed + before * rounds + number
        found.append(await measure(world, replace(load, seed=seed)))
    return Run(
        name=load.workload,
        parameters=load.as_json(),
        world=world.spec.as_json(),
        rounds=tuple(found),
    )
