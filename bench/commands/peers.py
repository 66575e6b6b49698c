"""`fluxshard bench peers`: the same read by other ways."""

from pathlib import Path

import click

from bench.commands.options import common_options, limit_option, run, told
from bench.limits import Limit
from bench.load import LoadSpec
from bench.peers import ALL, Contest, contest
from bench.report import publish
from bench.world import SERVED_BY, WorldSpec


@click.command()
@click.argument("names", metavar="[PEER]...", nargs=-1, type=click.Choice(ALL))
@click.option("--clients", default=16, show_default=True, help="Connections of each.")
@click.option("--replicas", default=0, show_default=True, help="For those that spread reads.")
@click.option("--workers", default=1, show_default=True, help="Processes of Fluxshard.")
@limit_option("none")
@click.option("--rounds", default=5, show_default=True)
@common_options
def command(  # noqa: PLR0913 - its options
    *,
    names: tuple[str, ...],
    clients: int,
    replicas: int,
    workers: int,
    limit: Limit,
    rounds: int,
    seconds: float,
    warm_s: float,
    seed: int,
    out: Path | None,
) -> None:
    """Measure one point read by each PEER, on the same data and box.

    By default all: pgbench and asyncpg straight to PostgreSQL; pgbench through PgBouncer, HAProxy
    and Pgpool-II, if they are installed; and Fluxshard. What is not installed is named.
    """
    asked = Contest(
        names=names or ALL,
        spec=WorldSpec(
            replicas=replicas, workers=workers, limit=limit, settings=SERVED_BY, seed=seed
        ),
        load=LoadSpec(
            workload="point-read", clients=clients, warm_s=warm_s, seconds=seconds, seed=seed
        ),
        rounds=rounds,
    )
    click.echo(publish(run(contest(asked, told)), out))
