"""`fluxshard bench tpcc`: TPC-C with a warehouse as tenant."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from bench.commands.options import common_options, limit_option, run, told
from bench.limits import Limit
from bench.load import LoadSpec, measure
from bench.report import publish
from bench.result import Result, Round, Run
from bench.tpcc.checks import OVER_ALL, WITHIN, broken
from bench.tpcc.draws import Remote
from bench.tpcc.tables import PLACED, Scale
from bench.tpcc.transactions import IN_PARTS
from bench.world import WorldSpec, open_world

NOTES = (
    "no keying or thinking times: the rate of new orders is not tpmC and compares with none",
    "transactions over two shards are two transactions, each atomic, both together not",
    "each statement is a message of its own, on the primary of the warehouse's shard",
)


@click.command()
@click.option("--warehouses", default=8, show_default=True)
@click.option("--items", default=10_000, show_default=True, help="The standard has 100,000.")
@click.option("--customers", default=300, show_default=True, help="Of a district; standard: 3,000.")
@click.option("--remote-lines", default=1.0, show_default=True, help="Per cent of order lines.")
@click.option("--remote-payments", default=15.0, show_default=True, help="Per cent of payments.")
@click.option("--clients", default=8, show_default=True, help="Terminals.")
@click.option("--shards", default=2, show_default=True)
@click.option("--replicas", default=0, show_default=True, help="Of each shard.")
@click.option("--workers", default=1, show_default=True, help="Processes of Fluxshard.")
@limit_option("none")
@click.option("--rounds", default=1, show_default=True)
@common_options
def command(  # noqa: PLR0913 - its options
    *,
    warehouses: int,
    items: int,
    customers: int,
    remote_lines: float,
    remote_payments: float,
    clients: int,
    shards: int,
    replicas: int,
    workers: int,
    limit: Limit,
    rounds: int,
    seconds: float,
    warm_s: float,
    seed: int,
    out: Path | None,
) -> None:
    """Run TPC-C, each warehouse a tenant, and check its consistency conditions at the end.

    Ends with 1 when a condition does not hold, or a transaction went wrong.
    """
    scale, remote = Scale(warehouses, items, customers), Remote(remote_lines, remote_payments)
    spec = WorldSpec(
        shards=shards,
        replicas=replicas,
        workers=workers,
        limit=limit,
        settings={
            "FLUXSHARD_SQL_MAX_TRANSACTIONS": str(clients + 2),
            "FLUXBASE_DATABASE_MAX_CONNECTIONS": str((clients + 6) * workers),
        },
        seed=seed,
    )
    load = LoadSpec(
        workload="tpcc",
        tpcc={**asdict(scale), **asdict(remote)},
        clients=clients,
        warm_s=warm_s,
        seconds=seconds,
        seed=seed,
    )
    result = run(_measured(spec, load, scale, rounds))
    click.echo(publish(result, out))
    if result.figures["conditions broken"] or any(
        one.failed for found in result.runs for one in found.rounds
    ):
        raise SystemExit(1)


async def _measured(spec: WorldSpec, load: LoadSpec, scale: Scale, rounds: int) -> Result:
    async with open_world(spec, PLACED, scale.fill, told) as world:
        found = []
        for number in range(rounds):
            told(f"round {number + 1} of {rounds}")
            found.append(await measure(world, replace(load, seed=load.seed + number)))
        told("checking the conditions")
        wrong = await broken(world, scale.customers)
    return Result(
        command="tpcc",
        title=f"TPC-C, {scale.warehouses} warehouses on {spec.shards} shards, {load.clients} terminals",
        runs=(
            Run(
                name="tpcc",
                parameters=load.as_json(),
                world=spec.as_json(),
                rounds=tuple(replace(one, served={}) for one in found),
            ),
        ),
        figures={**_figures(found), "conditions broken": wrong},
        notes=NOTES,
    )


def _figures(rounds: list[Round]) -> dict[str, Any]:
    orders = sum(len(one.latencies["new-order"]) for one in rounds if "new-order" in one.latencies)
    return {
        "new orders per minute": round(orders / sum(one.seconds for one in rounds) * 60, 1),
        "transactions in two parts": sum(one.served.get(IN_PARTS, 0) for one in rounds),
        "conditions checked": len(WITHIN) + len(OVER_ALL),
    }
