"""`fluxshard bench sessions`: whether any read is older than what its session has written or seen."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click

from bench.commands.options import run, settings_option, told
from bench.processes import Meter
from bench.report import publish
from bench.result import Result
from bench.sessions.check import Lagging, Plan, broken_promises, check_all
from bench.sessions.report import lines
from bench.sessions.users import TABLES, fill
from bench.world import SERVED_BY, WorldSpec, open_world

DELAYS_MS: Final = (0.0, 50.0, 2000.0)
CONTROL_PART: Final = 10
NOTES: Final = (
    "half of the reads begin while users write, half once replicas have caught up with them",
    "the control's reads ask for no freshness; what they find proves that the others could have",
)


@click.command()
@click.option("--reads", default=200_000, show_default=True, help="In all, over all delays.")
@click.option(
    "--delay",
    "delays_ms",
    type=click.FloatRange(0),
    multiple=True,
    default=DELAYS_MS,
    show_default=True,
    help="Milliseconds by which replicas show commits later; may be given several times.",
)
@click.option(
    "--instances",
    default=1,
    show_default=True,
    help="Servers of Fluxshard. Several have to share what sessions saw, by --set or --keeping.",
)
@click.option("--workers", default=3, show_default=True, help="Processes of each.")
@click.option("--replicas", default=2, show_default=True)
@click.option("--users", default=24, show_default=True, help="Sessions, all at work at once.")
@click.option(
    "--rounds", default=4, show_default=True, help="Of writing and catching up, by delay."
)
@click.option(
    "--keeping",
    is_flag=True,
    help="Users send back the Fluxshard-Position of the last answer; instances share nothing.",
)
@click.option("--unchecked", is_flag=True, help="Only the control, with all reads.")
@settings_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--seed", default=1, show_default=True, help="Seeds all that is by chance.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="A directory for result.json and table.",
)
def command(  # noqa: PLR0913 - its options
    *,
    reads: int,
    delays_ms: Sequence[float],
    instances: int,
    workers: int,
    replicas: int,
    users: int,
    rounds: int,
    keeping: bool,
    unchecked: bool,
    settings: dict[str, str],
    as_json: bool,
    seed: int,
    out: Path | None,
) -> None:
    """Count stale reads (an own write not seen) and backward ones (older than an earlier read).

    Users write numbered rows and read them at once through other instances than they wrote
    through, while replicas lag by a set time. Ends with 1 when a read was stale or backward, when
    anything failed, or when replicas that had caught up answered less than 90 % of the reads.

    A control follows with a tenth as many reads that ask for no freshness (Prefer: consistency=any):
    when it finds no stale read either, the checker proves nothing, and that is said, too.
    """
    spec = WorldSpec(
        replicas=replicas,
        instances=instances,
        workers=workers,
        settings={**SERVED_BY, **settings},
    )
    plan = Plan(
        delays_s=tuple(delay_ms / 1000 for delay_ms in delays_ms),
        reads=0 if unchecked else reads,
        control_reads=reads if unchecked else reads // CONTROL_PART,
        users=users,
        rounds=rounds,
        seed=seed,
        keeping=keeping,
    )
    found, spent = run(_checked(spec, plan))
    wrong = broken_promises(found)
    result = Result(
        command="sessions",
        title=f"session guarantees: {users} users who hop between {instances} instances of"
        f" {workers} workers, {replicas} replicas",
        runs=(),
        figures={name: row for one in found for name, row in one.figures().items()},
        details={
            "staleness": {
                f"{one.name} ({one.whole.tally.reads:,} reads)": one.ages_ms() for one in found
            }
        },
        notes=[*NOTES, *(f"BROKEN: {what}" for what in wrong)],
    )
    text = "\n".join([result.title, *lines(found, spent), *(f"BROKEN  {what}" for what in wrong)])
    click.echo(json.dumps(result.as_json()) if as_json else text)
    if out is not None:
        told(publish(result, out).splitlines()[-1])
    if wrong:
        raise SystemExit(1)


async def _checked(spec: WorldSpec, plan: Plan) -> tuple[list[Lagging], dict[str, Any]]:
    async with open_world(spec, TABLES, fill, told) as world:
        meter = Meter(world.parts())
        found, cpu_s = await check_all(world, plan, told)
        spent = meter.spent()
    return found, replace(spent, by_part={**spent.by_part, "load generator": cpu_s}).as_json()
