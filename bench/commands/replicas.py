"""`fluxshard bench replicas`: reads against the number of replicas."""

from pathlib import Path

import click

from bench.commands.options import common_options, limit_option, run, told
from bench.limits import Limit
from bench.load import LoadSpec
from bench.replicas import Plan, replicas
from bench.report import publish
from bench.search import Bound
from bench.workloads import WORKLOADS


class Numbers(click.ParamType[tuple[int, ...]]):
    """Numbers with commas between them."""

    name = "numbers"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """The numbers."""
        try:
            found = tuple(dict.fromkeys(int(each) for each in str(value).split(",")))
        except ValueError:
            self.fail(f"{value!r} is not like 0,1,2,4", param, ctx)
        if not found or min(found) < 0 or max(found) == 0:
            self.fail("give numbers from 0 on, one of them above 0", param, ctx)
        return found


@click.command()
@click.option(
    "--replicas", "counts", type=Numbers(), default="0,1,2,4", show_default=True,
    help="Numbers of replicas to compare.",
)  # fmt: skip
@click.option(
    "--workload", "name", type=click.Choice(list(WORKLOADS)), default="point-read",
    show_default=True,
)  # fmt: skip
@limit_option("service:20ms*2")
@click.option(
    "--bound", "p99_ms", default=200.0, show_default=True, help="Milliseconds that p99 may have."
)
@click.option("--clients", default=64, show_default=True, help="Connections, the same for all.")
@click.option("--workers", default=1, show_default=True, help="Processes of Fluxshard.")
@click.option("--delay", "delay_ms", default=0.0, help="Milliseconds that replicas lag behind.")
@click.option("--rounds", default=3, show_default=True, help="Of each closed loop.")
@click.option(
    "--near", default=0.03, show_default=True, help="Share to which the kept rate is found."
)
@click.option("--control/--no-control", default=True, help="Measure without limits as well.")
@common_options
def command(  # noqa: PLR0913 - its options
    *,
    counts: tuple[int, ...],
    name: str,
    limit: Limit,
    p99_ms: float,
    clients: int,
    workers: int,
    delay_ms: float,
    rounds: int,
    near: float,
    control: bool,
    seconds: float,
    warm_s: float,
    seed: int,
    out: Path | None,
) -> None:
    """Show how reads scale with replicas, on servers of equal and limited capacity."""
    plan = Plan(
        counts=counts,
        limit=limit,
        bound=Bound(p99_ms),
        load=LoadSpec(workload=name, clients=clients, warm_s=warm_s, seconds=seconds, seed=seed),
        rounds=rounds,
        control=control,
        delay_s=delay_ms / 1000,
        workers=workers,
        near=near,
    )
    click.echo(publish(run(replicas(plan, told)), out))
